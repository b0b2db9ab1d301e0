"""The aggregator's view of real banks: rows from plaintext, nothing from the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl.attacks import inversion, matching
from secure_fl.attacks.inversion import run_inversion
from secure_fl.attacks.raw import undo
from secure_fl.attacks.scene import Scene, open_scene
from secure_fl.attacks.trial import Observatory
from secure_fl.attacks.victim import LocalStep
from secure_fl.data import ulb
from secure_fl.errors import ConfigurationError
from secure_fl.settings import Experiment

pytestmark = pytest.mark.slow

MakeScene = Callable[..., Scene]
SECRET = ("additive", "masked", "ckks", "bfv", "rlwe")


def quiet(what: str, done: int, total: int) -> None:
    """No progress."""


@pytest.fixture(autouse=True)
def _little_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradient matching takes most of the time; fewer trials and steps will do here."""
    monkeypatch.setattr(inversion, "MATCHING_TRIALS", 1)
    monkeypatch.setattr(matching, "STEPS", 60)


def figures(
    scene: Scene, batches: tuple[int, ...], trials: int, local: LocalStep | None = None
) -> list[dict[str, Any]]:
    return run_inversion(scene, local or LocalStep(), batches, trials, np.random.default_rng(3), quiet)[0]


def test_plaintext_gives_the_update_that_the_bank_made(scene: MakeScene, rng: np.random.Generator) -> None:
    observatory = Observatory(scene("plaintext").with_batch(3), LocalStep())
    seen = observatory.watch(rng)
    assert np.abs(seen.upload).max() <= 2e-3 * (1 + 1e-4)
    assert seen.rows.shape == (3, 128)
    assert seen.all_rows.shape == (9, 128)
    assert np.linalg.norm(seen.upload) > 0.1 * np.linalg.norm(seen.total)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["adam", "sgd"])
def test_a_batch_of_one_is_exact(scene: MakeScene, step: Any) -> None:
    (row,) = figures(scene("plaintext"), (1,), 6, LocalStep(step))
    assert row["success_rate"] == row["exact_rate"] == 1.0
    assert row["median_error"] < 1e-3
    assert row["guessing"] < 0.5
    assert row["interval"][0] > row["guessing_interval"][1]


@pytest.mark.parametrize("scheme", SECRET)
def test_secret_schemes_give_nothing(scene: MakeScene, scheme: str) -> None:
    for row in figures(scene(scheme), (1, 4), 3):
        assert row["success_rate"] == 0.0
        assert row["interval"][0] <= row["guessing_interval"][1]
        assert row["median_error"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["plaintext", "masked"])
def test_the_opened_sum_of_single_rows_gives_rows_away(scene: MakeScene, scheme: str) -> None:
    (row,) = figures(scene(scheme), (1,), 4)
    assert row["opened_sum"]["rows"] == 3
    assert row["opened_sum"]["success_rate"] > 0.25  # guessing has 0


@pytest.mark.slow
def test_noise_of_differential_privacy_ends_it(scene: MakeScene) -> None:
    (row,) = figures(scene("plaintext"), (1,), 4, LocalStep(noise_multiplier=1.0))
    assert row["success_rate"] == 0.0


@pytest.mark.slow
def test_small_batches_are_rebuilt_almost_whole(scene: MakeScene) -> None:
    rows = {row["batch"]: row for row in figures(scene("plaintext"), (2, 4, 8, 16), 5)}
    assert all(rows[batch]["success_rate"] > 0.85 for batch in (2, 4, 8))
    assert rows[16]["success_rate"] > 0.2
    assert all(row["success_rate"] >= row["matching_alone"]["success_rate"] for row in rows.values())


@pytest.mark.slow
def test_a_real_transaction_is_rebuilt_to_its_amount() -> None:
    scene = open_scene(Experiment(dataset="ulb", scheme="plaintext", bits="float32"), 1)
    _, rebuilt = run_inversion(scene, LocalStep(), (1,), 20, np.random.default_rng(1), quiet)
    assert max(float(trial.errors.max()) for trial in rebuilt[1]) < 1e-3
    for trial in rebuilt[1]:
        true, found = undo(trial.rows[0], scene.schema), undo(trial.guesses[0], scene.schema)
        assert set(true) == {"hour", "Amount", *(f"V{number}" for number in range(1, 29))}
        assert found["Amount"] == pytest.approx(true["Amount"], rel=0.01, abs=0.05)
        assert found["hour"] == pytest.approx(true["hour"], abs=0.05)
    bank = scene.dataset.banks[0]
    amounts = ulb.load().numeric["Amount"]
    assert np.isclose(amounts, undo(rebuilt[1][0].rows[0], scene.schema)["Amount"], atol=0.02).any()
    assert len(bank.train) > 1000


def test_what_cannot_work_is_refused(scene: MakeScene) -> None:
    with pytest.raises(ConfigurationError, match="0 trials"):
        figures(scene("plaintext"), (1,), 0)
    with pytest.raises(ConfigurationError, match="a batch of 1000000 is refused"):
        open_scene(scene("plaintext").experiment, 1_000_000)
    with pytest.raises(ConfigurationError, match="no local step"):
        LocalStep("lamb")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="noise multiplier"):
        LocalStep(noise_multiplier=-1.0)
