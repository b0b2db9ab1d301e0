"""Membership inference on small federations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from secure_fl.attacks.membership import Budget, Places, draw_pool, run_membership, train_federation
from secure_fl.attacks.scene import Scene
from secure_fl.errors import ConfigurationError
from secure_fl.training import initial_weights
from secure_fl.training.model import FlatWeights

pytestmark = pytest.mark.slow

MakeScene = Callable[..., Scene]


def quiet(what: str, done: int, total: int) -> None:
    """No progress."""


def untrained(scene: Scene, places: Places, budget: Budget | None) -> FlatWeights:
    return initial_weights(scene.experiment.seed)


def test_a_model_that_saw_nothing_gives_nothing_away(scene: MakeScene, rng: np.random.Generator) -> None:
    (row,) = run_membership(
        scene("plaintext", "membership"), [Budget(1.0, 1e-5)], 100, 8, rng, quiet, train_target=untrained
    )
    assert abs(row["success_rate"]) < 0.06
    assert row["bound"] == pytest.approx(0.4621, abs=1e-4)
    assert row["guessing"] == 0.0
    assert row["records_in_pool"] == 600


def test_the_pool_has_two_halves(scene: MakeScene, rng: np.random.Generator) -> None:
    pool = draw_pool(scene("plaintext", "membership"), 100, rng)
    assert all(len(np.unique(places)) == 200 for places in pool.places)
    assert [half.sum() for half in pool.draw(rng)] == [100, 100, 100]


@pytest.mark.slow
def test_schemes_train_the_same_model(scene: MakeScene, rng: np.random.Generator) -> None:
    places = draw_pool(scene("plaintext", "membership"), 60, rng).places
    in_clear = train_federation(scene("plaintext", "membership"), places, None)
    assert np.array_equal(in_clear, train_federation(scene("masked", "membership"), places, None))


@pytest.mark.slow
def test_a_model_without_dp_leaks(scene: MakeScene, rng: np.random.Generator) -> None:
    (row,) = run_membership(scene("plaintext", "membership"), [None], 60, 12, rng, quiet)
    assert row["bound"] is None
    assert -1 <= row["interval"][0] <= row["success_rate"] <= row["interval"][1] <= 1
    assert row["lira"]["advantage"] == row["success_rate"]


@pytest.mark.parametrize(
    ("rows", "models", "what"), [(10, 16, "--rows 10"), (10**6, 16, "--rows"), (100, 2, "2 models")]
)
def test_what_cannot_work_is_refused(
    scene: MakeScene, rng: np.random.Generator, rows: int, models: int, what: str
) -> None:
    with pytest.raises(ConfigurationError, match=what):
        run_membership(scene("plaintext", "membership"), [None], rows, models, rng, quiet, train_target=untrained)
