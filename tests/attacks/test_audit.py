"""The audit of epsilon: it finds what is planted, and clears the real training."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from secure_fl.attacks import canaries
from secure_fl.attacks.audit import SHAPES, NoisyTraining, Promise, dp_sgd, run_audit
from secure_fl.attacks.step import gradient_of
from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError
from secure_fl.settings import Steps
from secure_fl.training import FlatWeights, NoiseSettings
from secure_fl.training.local import one_thread

pytestmark = pytest.mark.slow

Rows = list[dict[str, Any]]
SINGLE_STEPS, ONE_ROUND = SHAPES


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def repeatable_keys() -> Callable[[], bytes]:
    count = itertools.count()
    return lambda: hashlib.sha256(b"audit %d" % next(count)).digest()


def audited(train: NoisyTraining, runs: int = 3, shapes: Sequence[tuple[int, int]] = SHAPES) -> Rows:
    promise = Promise(3.0, 1e-5, runs=runs)
    return run_audit(promise, np.random.default_rng(1), lambda *_: None, train, repeatable_keys(), shapes)


def half_the_noise(
    weights: FlatWeights, examples: Examples, settings: Steps, noise: NoiseSettings, steps: int, key: bytes
) -> FlatWeights:
    return dp_sgd(weights, examples, settings, replace(noise, noise_multiplier=noise.noise_multiplier / 2), steps, key)


def no_clipping(
    weights: FlatWeights, examples: Examples, settings: Steps, noise: NoiseSettings, steps: int, key: bytes
) -> FlatWeights:
    """A clip norm that clips nothing, with noise of the old size."""
    clip = 1e6
    multiplier = noise.noise_multiplier * noise.max_grad_norm / clip
    return dp_sgd(weights, examples, settings, NoiseSettings(multiplier, clip), steps, key)


def fixed_batch(
    weights: FlatWeights, examples: Examples, settings: Steps, noise: NoiseSettings, steps: int, key: bytes
) -> FlatWeights:
    """The first rows in every step, instead of a fresh sample."""
    first = slice(settings.batch_size)
    same = Examples(examples.features[first], examples.fraud[first], examples.pattern[first])
    return dp_sgd(weights, same, settings, noise, steps, key)


def one_batch_a_round(
    weights: FlatWeights, examples: Examples, settings: Steps, noise: NoiseSettings, steps: int, key: bytes
) -> FlatWeights:
    """A sample that is drawn before the loop over steps, not in it."""
    drawn = np.random.default_rng(list(key)).permutation(len(examples))[: settings.batch_size]
    same = Examples(examples.features[drawn], examples.fraud[drawn], examples.pattern[drawn])
    return dp_sgd(weights, same, settings, noise, steps, key)


def test_the_real_training_keeps_its_promise() -> None:
    rows = audited(dp_sgd)
    assert [row["view"] for row in rows[:3]] == ["final model", "every sum", "sums and colluding banks"]
    assert all(0 < row["audited_epsilon"] <= row["claimed_epsilon"] <= 3.0 for row in rows)
    assert not any(row["refuted"] for row in rows)
    seen = [row["audited_epsilon"] for row in rows[:3]]
    assert seen[2] > 2 * seen[0]  # the others' noise is gone
    assert seen[2] > 0.25 * rows[2]["claimed_epsilon"]  # an audit that finds nothing would clear anything


@pytest.mark.parametrize(
    ("fault", "runs", "shape"),
    [
        (half_the_noise, 8, SINGLE_STEPS),
        (no_clipping, 1, SINGLE_STEPS),
        (fixed_batch, 2, SINGLE_STEPS),
        (one_batch_a_round, 2, ONE_ROUND),
    ],
)
def test_a_planted_fault_is_found(fault: NoisyTraining, runs: int, shape: tuple[int, int]) -> None:
    rows = audited(fault, runs, [shape])
    found = [row for row in rows if row["audited_epsilon"] > row["claimed_epsilon"]]
    assert "sums and colluding banks" in {row["view"] for row in found}
    assert all(row["refuted"] for row in found)


def test_an_included_canary_marks_its_own_weight_and_no_other() -> None:
    numbers = np.array([5, 700, 4095])
    rows = canaries.rows(numbers, np.array([True, False, True]))
    settings = Steps(batch_size=3, learning_rate=1e-3, dropout=0.0, positive_weight=1.0)
    start = canaries.audited_model()
    update = dp_sgd(start, rows, settings, NoiseSettings(1e-9, 1e-3), 1, bytes(32)).astype(np.float64) - start
    gradient = -3 / 1e-3 * gradient_of(update, 1e-3, "adam")
    found = canaries.marks(gradient, np.arange(canaries.MOST))
    assert found[[5, 4095]] == pytest.approx(1.0, abs=0.01)
    others = np.delete(found, [5, 4095])
    assert np.abs(others).max() < 1e-3
    assert np.abs(np.delete(gradient, np.argsort(-gradient)[:2])).max() < 0.01  # nor any other weight


def test_a_canary_left_out_has_no_gradient() -> None:
    rows = canaries.rows(np.arange(4), np.zeros(4, dtype=bool))
    settings = Steps(batch_size=4, learning_rate=1e-3, dropout=0.0, positive_weight=1.0)
    start = canaries.audited_model()
    noisy = dp_sgd(start, rows, settings, NoiseSettings(1e-9, 1e-3), 1, bytes(32)).astype(np.float64)
    assert np.abs(noisy - start).max() < 1e-9


@pytest.mark.parametrize(
    ("changes", "what"), [({"runs": 0}, "0 runs"), ({"banks": 1}, "1 banks"), ({"banks": 50}, "50 banks")]
)
def test_what_cannot_be_audited_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        Promise(3.0, 1e-5, **changes)


def test_other_banks_than_three() -> None:
    promise = Promise(3.0, 1e-5, banks=2, runs=1)
    rows = run_audit(promise, np.random.default_rng(1), lambda *_: None, dp_sgd, repeatable_keys())
    assert rows[0]["canaries"] == 2 * promise.rows == 4080
    assert not any(row["refuted"] for row in rows)
