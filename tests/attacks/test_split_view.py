"""An aggregator that lies: which scheme opens the victim's update to it, found out with the real halves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from secure_fl.attacks.scene import Scene
from secure_fl.attacks.split_view import VARIANTS, dead_model, isolate, run_split_view
from secure_fl.attacks.trial import Observatory
from secure_fl.attacks.victim import LocalStep
from secure_fl.errors import MessageError

pytestmark = pytest.mark.slow

MakeScene = Callable[..., Scene]

OPENED = [
    ("plaintext", "two-models"),
    ("plaintext", "made-up-banks"),
    ("ckks", "two-models"),
    ("ckks", "made-up-banks"),
    ("bfv", "two-models"),
    ("bfv", "made-up-banks"),
    ("additive", "made-up-banks"),
]
REFUSED = [("masked", "two-models"), ("masked", "made-up-banks"), ("additive", "two-models")]


def test_a_dead_model_learns_nothing_but_its_last_bias(scene: MakeScene, rng: np.random.Generator) -> None:
    observatory = Observatory(scene("plaintext").with_batch(8), LocalStep())
    lie = dead_model(observatory.model)
    bank = observatory.scene.draw_banks(rng)[1]
    cohort = observatory.aggregation.cohort(1, observatory.codec.length, context=lie.digest)
    bank.receive(cohort, lie.to_bytes())
    assert np.flatnonzero(bank.train(1).update).tolist() == [len(lie.weights) - 1]


@pytest.mark.parametrize(("scheme", "variant"), OPENED)
def test_the_sum_becomes_the_victims_update(
    scene: MakeScene, rng: np.random.Generator, scheme: str, variant: str
) -> None:
    observatory = Observatory(scene(scheme).with_batch(2), LocalStep())
    banks = observatory.scene.draw_banks(rng)
    update = isolate(observatory, variant, banks, rng)
    true = banks[0].train(1).update
    assert np.abs(update - true)[:-1].max() < 1e-6  # steps of quantization
    assert np.abs(true).max() > 1e-3


@pytest.mark.parametrize(("scheme", "variant"), REFUSED)
def test_some_schemes_refuse(scene: MakeScene, rng: np.random.Generator, scheme: str, variant: str) -> None:
    observatory = Observatory(scene(scheme).with_batch(2), LocalStep())
    with pytest.raises(MessageError):
        isolate(observatory, variant, observatory.scene.draw_banks(rng), rng)


def test_figures(scene: MakeScene, rng: np.random.Generator) -> None:
    for scheme, opened in (("ckks", True), ("masked", False)):
        rows = run_split_view(scene(scheme), LocalStep(), (1,), 2, rng, lambda what, done, total: None)
        assert [row["variant"] for row in rows] == list(VARIANTS)
        for row in rows:
            assert row["success_rate"] == (1.0 if opened else 0.0)
            assert row["opened"] == (2 if opened else 0)
            assert (row["refusal"] is None) == opened
            assert 0 <= row["interval"][0] <= row["success_rate"] <= row["interval"][1] <= 1
