"""Membership inference on small federations, and on federations whose leak is planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl.attacks import membership
from secure_fl.attacks.membership import (
    Budget,
    Places,
    Pool,
    draw_pool,
    run_membership,
    train_federation,
    train_population,
)
from secure_fl.attacks.scene import Scene
from secure_fl.errors import ConfigurationError
from secure_fl.training import initial_weights
from secure_fl.training.local import one_thread
from secure_fl.training.model import FlatWeights

pytestmark = pytest.mark.slow

MakeScene = Callable[..., Scene]


def quiet(what: str, done: int, total: int) -> None:
    """No progress."""


def untrained(scene: Scene, places: Places) -> FlatWeights:
    return initial_weights(scene.experiment.seed)


@dataclass
class ByHeart:
    """Models that know their training rows and nothing else: 0.9 for the true label of a row, 0.6 of any other."""

    scene: Scene
    trained_on: list[set[bytes]] = field(default_factory=list)
    frauds: set[bytes] = field(default_factory=set)

    def train(self, scene: Scene, places: Places) -> FlatWeights:
        rows = set()
        for number, chosen in enumerate(places):
            data = scene.dataset.banks[number].train.take(chosen)
            features = membership._bank(scene, number, chosen).examples.features
            rows |= {row.tobytes() for row in features}
            self.frauds |= {row.tobytes() for row in features[data.fraud]}
        self.trained_on.append(rows)
        return np.array([len(self.trained_on) - 1], dtype=np.float32)

    def predict(self, weights: FlatWeights, features: NDArray[np.float32]) -> NDArray[np.float64]:
        known = self.trained_on[int(weights[0])]
        sure = np.array([0.9 if row.tobytes() in known else 0.6 for row in features])
        fraud = np.array([row.tobytes() in self.all_frauds for row in features])
        return np.where(fraud, sure, 1 - sure)

    @property
    def all_frauds(self) -> set[bytes]:
        if not hasattr(self, "_all"):
            banks = enumerate(self.scene.dataset.banks)
            whole = [
                (membership._bank(self.scene, n, np.arange(len(b.train))).examples, b.train.fraud) for n, b in banks
            ]
            self._all = {row.tobytes() for examples, fraud in whole for row in examples.features[fraud]}
        return self._all


@pytest.fixture
def by_heart(scene: MakeScene, monkeypatch: pytest.MonkeyPatch) -> ByHeart:
    made = ByHeart(scene("plaintext", "membership"))
    monkeypatch.setattr(membership, "predict", made.predict)
    return made


def test_confidence_is_that_of_the_true_label_and_membership_that_of_the_rows_trained_on(
    by_heart: ByHeart, rng: np.random.Generator
) -> None:
    """Inverted labels, wrong rows and a wrong sign of the logit all show here."""
    pool = draw_pool(by_heart.scene, 60, rng)
    population = train_population(by_heart.scene, pool, 8, rng, lambda done, total: None, by_heart.train)
    sure, unsure = np.log(0.9 / 0.1), np.log(0.6 / 0.4)
    assert np.allclose(population.confidence, np.where(population.member, sure, unsure))
    fraud = [bank.train.fraud[places] for bank, places in zip(by_heart.scene.dataset.banks, pool.places, strict=True)]
    assert np.array_equal(population.fraud, np.concatenate(fraud))
    assert 0 < population.fraud.sum() < len(population.fraud)
    for rows, member in zip(by_heart.trained_on, population.member, strict=True):
        assert len(rows) <= member.sum()  # as many rows as coins fell so, but for rows that are the same


def test_models_that_know_their_rows_by_heart_are_caught(by_heart: ByHeart, rng: np.random.Generator) -> None:
    (row,) = run_membership(by_heart.scene, [None], 60, 8, 3, rng, quiet, train_target=by_heart.train)
    for attack in ("lira", "loss", "lira_on_frauds"):
        assert row[attack]["advantage"] == pytest.approx(1.0, abs=0.02)
    assert row["success_rate"] == row["lira"]["advantage"]
    assert row["trials"] == 24


def test_a_model_that_saw_nothing_gives_nothing_away(scene: MakeScene, rng: np.random.Generator) -> None:
    (row,) = run_membership(
        scene("plaintext", "membership"), [Budget(1.0, 1e-5)], 100, 8, 3, rng, quiet, train_target=untrained
    )
    assert abs(row["success_rate"]) < 0.06
    assert row["interval"][0] <= 0 <= row["interval"][1]
    assert len({tuple(row[attack]["by_pool"]) for attack in ("lira", "lira_on_frauds", "loss")}) == 3
    assert row["bound"] == pytest.approx(0.4621, abs=1e-4)
    assert row["guessing"] == 0.0
    assert row["records_in_pool"] == 600
    assert row["batch"] == 33


def test_every_record_has_a_coin_of_its_own() -> None:
    """Exact halves would give a sum without variance, and records that tell of each other."""
    pool, rng = Pool((np.arange(100), np.arange(50))), np.random.default_rng(1)
    drawn = np.array([np.concatenate(pool.draw(rng)) for _ in range(4000)])
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 4.5 * 0.5 / np.sqrt(4000)
    assert drawn[:, :100].sum(axis=1).var() == pytest.approx(25, rel=0.1)
    together = np.corrcoef(drawn[:, :20].T)
    assert np.abs(together[~np.eye(20, dtype=bool)]).max() < 4.5 / np.sqrt(4000)


def test_a_pool_is_twice_the_rows_of_each_bank_and_pools_differ(scene: MakeScene, rng: np.random.Generator) -> None:
    pools = [draw_pool(scene("plaintext", "membership"), 100, rng) for _ in range(2)]
    assert all(len(np.unique(places)) == 200 for pool in pools for places in pool.places)
    assert not np.array_equal(pools[0].places[0], pools[1].places[0])


@pytest.mark.slow
def test_schemes_train_the_same_model(scene: MakeScene, rng: np.random.Generator) -> None:
    places = draw_pool(scene("plaintext", "membership"), 60, rng).places
    in_clear = train_federation(scene("plaintext", "membership"), places)
    assert np.array_equal(in_clear, train_federation(scene("masked", "membership"), places))


@pytest.mark.slow
def test_a_model_without_dp_leaks(scene: MakeScene, rng: np.random.Generator) -> None:
    """Sixty passes over few rows, and an interval over pools that lies above 0 as a whole."""
    learnt_by_heart = {"learning_rate": 0.01, "dropout": 0.0, "rounds": 3, "local_epochs": 20}
    opened = membership._changed(scene("plaintext", "membership"), **learnt_by_heart)
    with one_thread():
        (row,) = run_membership(opened, [None], 50, 8, 4, rng, quiet)
    assert row["bound"] is None
    assert row["success_rate"] > 0.05
    assert row["interval"][0] > 0
    assert row["loss"]["advantage"] > 0.04
    assert row["loss"]["interval"][0] > 0
    assert row["lira"]["advantage"] == row["success_rate"] == pytest.approx(np.mean(row["lira"]["by_pool"]))


@pytest.mark.parametrize(
    ("rows", "models", "pools", "what"),
    [(10, 16, 3, "--rows 10"), (10**6, 16, 3, "--rows"), (100, 2, 3, "2 models"), (100, 8, 2, "2 pools")],
)
def test_what_cannot_work_is_refused(
    scene: MakeScene, rng: np.random.Generator, rows: int, models: int, pools: int, what: str
) -> None:
    scene_ = scene("plaintext", "membership")
    with pytest.raises(ConfigurationError, match=what):
        run_membership(scene_, [None], rows, models, pools, rng, quiet, train_target=untrained)


def test_a_fifth_of_a_pool_are_frauds() -> None:
    class Table:
        fraud = np.arange(1_000) < 300

        def __len__(self) -> int:
            return len(self.fraud)

    scene: Any = SimpleNamespace(dataset=SimpleNamespace(banks=[SimpleNamespace(train=Table())] * 2))
    for places in draw_pool(scene, 100, np.random.default_rng(1)).places:
        assert (len(places), len(set(places.tolist())), Table.fraud[places].sum()) == (200, 200, 40)
