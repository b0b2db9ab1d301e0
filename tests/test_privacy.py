"""One bank's privacy over a whole run: calibrated for all rounds, counted round by round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl import privacy as privacy_module
from secure_fl.accounting import SampledGaussian, epsilon
from secure_fl.data import Examples
from secure_fl.errors import ConfigurationError, PrivacyError
from secure_fl.privacy import STATISTICS_NOISE, RowPrivacy, distributed_noise_multiplier, training_settings
from secure_fl.training import initial_weights

SETTINGS: dict[str, Any] = {"batch_size": 100, "rounds": 3, "delta": 1e-5}
START = initial_weights(1)


def of_bank(rows: int = 1_000, **changes: Any) -> RowPrivacy:
    experiment = Experiment(**{**SETTINGS, **changes})
    return RowPrivacy.of_bank(experiment, training_settings(experiment), "bank-1", rows, None, False)


def examples(rows: int = 1_000, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    fraud = rng.random(rows) < 0.2
    return Examples(rng.normal(size=(rows, 128)).astype(np.float32), fraud, fraud.astype(np.int8))


@pytest.fixture
def seeds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that trainings are given; nothing is trained."""
    given: list[int] = []

    def train(weights: Any, *arguments: Any, seed: int, **options: Any) -> Any:
        given.append(seed)
        return weights

    monkeypatch.setattr(privacy_module, "train_privately", train)
    return given


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1_037, 4_999])
def test_noise_is_calibrated_for_all_rounds_and_the_statistics(rows: int) -> None:
    bank = of_bank(rows, epsilon=2.0, local_epochs=2)
    assert bank.sample_rate == 100 / rows
    assert bank.steps == 2 * (rows // 100)
    events = [SampledGaussian(STATISTICS_NOISE, 1.0, 1)]
    events += [SampledGaussian(bank.noise.noise_multiplier, 100 / rows, bank.steps)] * 3
    assert 1.97 < epsilon(events, 1e-5) <= 2.0
    assert epsilon([*events, events[-1]], 1e-5) > 2.0


@pytest.mark.slow
def test_a_budget_ends_with_its_last_round(seeds: list[int]) -> None:
    bank = of_bank(epsilon=2.0)
    bank.histogram(np.ones((1_000, 2)))
    for number in (1, 2, 3):
        bank.train(START, examples(), number, b"model %d" % number)
    with pytest.raises(PrivacyError, match="round 4"):
        bank.train(START, examples(), 4, b"model 4")
    assert len(seeds) == len(set(seeds)) == 3
    assert bank.report().epsilon == bank.ledger.epsilon <= 2.0
    assert bank.report().steps == 3 * bank.steps


def test_what_is_released_again_is_the_same_in_everything(seeds: list[int]) -> None:
    """Another model, other rows, another round: each is another release, with a seed and a charge of its own."""
    bank = of_bank(noise_multiplier=5.0)
    variants = [(examples(), 1, b"m"), (examples(seed=1), 1, b"m"), (examples(), 2, b"m"), (examples(), 1, b"n")]
    for rows, number, digest in variants:
        bank.train(START, rows, number, digest)
        bank.train(START, rows, number, digest)
    assert len(set(seeds)) == 4
    assert [seeds[2 * n] == seeds[2 * n + 1] for n in range(4)] == [True] * 4
    assert len(bank.ledger.events) == 4


def test_the_ledger_does_not_show_the_rows(seeds: list[int]) -> None:
    """A plain hash would tell whoever guesses the rows whether they are right: two banks, same rows, other contexts."""
    one, other = of_bank(noise_multiplier=5.0), of_bank(noise_multiplier=5.0)
    for bank in (one, other):
        bank.train(START, examples(), 1, b"m")
    assert one.ledger.entries[0].context != other.ledger.entries[0].context


def test_a_batch_as_large_as_the_bank(seeds: list[int]) -> None:
    bank = of_bank(rows=100, noise_multiplier=30.0)
    bank.histogram(np.ones((100, 2)))
    bank.train(START, examples(100), 1, b"m")
    assert (bank.sample_rate, bank.steps, bank.report().steps) == (1.0, 1, 1)


def test_a_bank_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="smaller than a batch"):
        of_bank(rows=99, noise_multiplier=1.0)


def test_an_unreachable_target_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        of_bank(epsilon=0.1)


def test_distributed_noise_follows_from_epsilon_or_is_given() -> None:
    given = Experiment(mechanism="distributed", noise_multiplier=0.7, delta=1e-5)
    assert distributed_noise_multiplier(given, 10_369) == 0.7
    loose, tight = (
        distributed_noise_multiplier(Experiment(mechanism="distributed", epsilon=e, delta=1e-5), 10_369) for e in (8, 1)
    )
    assert 0 < loose < tight
