"""What attackers send, against its paper; and that they know their own updates only."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl import Experiment
from secure_fl.codec.quantization import Contribution
from secure_fl.errors import ConfigurationError
from secure_fl.robust.poisoning import Attackers, updates


def own(seed: int = 1, attackers: int = 4, parameters: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(attackers, parameters)) + 1


def test_examples_worked_by_hand() -> None:
    two = np.array([[1.0, 4.0], [3.0, 8.0]])  # means 2 and 6, standard deviations 1 and 2
    assert updates.scaled(two, -4.0).tolist() == [[-4, -16], [-12, -32]]
    assert updates.inner_product(two, 0.5).tolist() == [[-1, -3]] * 2
    assert updates.a_little(two, 1.5).tolist() == [[0.5, 3.0]] * 2
    # Distance 2 sqrt(5) between the two; each is sqrt(5) (g + 1) or sqrt(5) |g - 1| from mean - g deviations
    np.testing.assert_allclose(updates.min_max(two), [[1.0, 4.0]] * 2, atol=1e-4)
    # Squared distance 20 between the two; 5 (g + 1)^2 + 5 (g - 1)^2 = 10 g^2 + 10, so g = 1
    np.testing.assert_allclose(updates.min_sum(two), [[1.0, 4.0]] * 2, atol=1e-4)
    assert updates.free_rider(two, 0.0, np.random.default_rng(1)).tolist() == [[0, 0], [0, 0]]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), attackers=st.integers(2, 6), unit=st.sampled_from([1e-6, 1.0, 1e6]))
@pytest.mark.parametrize("attack", ["min-max", "min-sum"])
def test_the_deviation_is_the_largest_that_hides(attack: str, seed: int, attackers: int, unit: float) -> None:
    rows = unit * own(seed, attackers)
    between = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)

    def hides(factor: float) -> bool:
        to_others = ((rows - (rows.mean(axis=0) - factor * rows.std(axis=0))) ** 2).sum(axis=1)
        if attack == "min-max":
            return bool(to_others.max() <= between.max())
        return bool(to_others.sum() <= between.sum(axis=1).max())

    sent = (updates.min_max if attack == "min-max" else updates.min_sum)(rows)
    assert (sent == sent[0]).all()
    factors = (rows.mean(axis=0) - sent[0]) / rows.std(axis=0)
    assert np.ptp(factors) < 1e-6
    assert hides(factors[0] - 1e-4)
    assert not hides(factors[0] + 1e-4)


def test_the_hidden_deviation_is_the_papers() -> None:
    # 50 banks, 12 attackers: 14 more supporters make a majority of 26, of 38 honest banks
    assert updates.hidden_deviations(50, 12) == pytest.approx(NormalDist().inv_cdf(24 / 38))
    assert updates.hidden_deviations(10, 3) == pytest.approx(NormalDist().inv_cdf(4 / 7))
    for banks, attackers in ((10, 2), (10, 6), (3, 2)):
        with pytest.raises(ConfigurationError, match="give attack_strength"):
            updates.hidden_deviations(banks, attackers)


def test_noise_of_a_free_rider_has_its_size() -> None:
    sent = updates.free_rider(own(parameters=20_000), 0.25, np.random.default_rng(1))
    assert sent.std() == pytest.approx(0.25, rel=0.02)
    assert abs((sent[0] * sent[1]).mean()) < 0.05 * 0.25**2


# Together


def attackers(attack: str, **changes: Any) -> Attackers:
    made = Attackers.of(Experiment.model_validate({"banks": 5, "byzantine": 2, "attack": attack, **changes}))
    assert made is not None
    return made


def contributions(seed: int = 1) -> dict[str, Contribution]:
    return {f"bank-{n + 1}": Contribution(row, 100 + n) for n, row in enumerate(own(seed, 5))}


ATTACKS = ["label-flip", "sign-flip", "scaled", "a-little", "inner-product", "min-max", "min-sum", "backdoor"]


@pytest.mark.parametrize("attack", [*ATTACKS, "free-rider"])
def test_honest_banks_send_what_they_would_and_teach_attackers_nothing(attack: str) -> None:
    band = attackers(attack, **({"attack_strength": 1.5} if attack == "a-little" else {}))
    before = contributions()
    sent = band.poison(before, 3, 0.1)
    others = {name: Contribution(1e3 * c.update, c.num_examples) for name, c in before.items()}
    others |= {name: before[name] for name in band.names}
    again = band.poison(others, 3, 0.1)
    assert list(sent) == list(before)
    for name, c in sent.items():
        assert c.num_examples == before[name].num_examples
        if name in band.names:
            assert np.array_equal(c.update, again[name].update), "it depends on attackers' own updates only"
            assert np.array_equal(c.update, before[name].update) == (attack == "label-flip")
        else:
            assert c is before[name]


@pytest.mark.parametrize(
    ("attack", "strength", "expected"),
    [
        ("sign-flip", None, -4.0),
        ("sign-flip", 2.0, -2.0),
        ("scaled", None, 2.5),
        ("backdoor", None, 2.5),
        ("backdoor", 1.0, 1.0),
        ("label-flip", None, 1.0),
    ],
)
def test_strengths_of_attacks_that_scale(attack: str, strength: float | None, expected: float) -> None:
    before = contributions()
    sent = attackers(attack, attack_strength=strength).poison(before, 1, 0.1)
    for name in ("bank-4", "bank-5"):
        np.testing.assert_allclose(sent[name].update, expected * before[name].update)


def test_each_attack_is_the_one_that_it_is_called() -> None:
    before = contributions()
    rows = np.array([before["bank-4"].update, before["bank-5"].update])
    for attack, strength, expected in (
        ("inner-product", None, updates.inner_product(rows, 0.5)),
        ("inner-product", 3.0, updates.inner_product(rows, 3.0)),
        ("a-little", 1.5, updates.a_little(rows, 1.5)),
        ("min-max", None, updates.min_max(rows)),
        ("min-sum", None, updates.min_sum(rows)),
        ("free-rider", None, np.zeros_like(rows)),
    ):
        sent = attackers(attack, attack_strength=strength).poison(before, 1, 0.1)
        assert np.array_equal([sent["bank-4"].update, sent["bank-5"].update], expected), attack


def test_a_free_riders_noise_is_in_clip_ranges_new_each_round_and_repeated_by_the_seed() -> None:
    band = attackers("free-rider", attack_strength=0.5)
    first, wide = band.poison(contributions(), 1, 0.1), band.poison(contributions(), 1, 1.0)
    np.testing.assert_allclose(wide["bank-5"].update, 10 * first["bank-5"].update)
    assert np.array_equal(first["bank-5"].update, band.poison(contributions(2), 1, 0.1)["bank-5"].update)
    for other in (
        band.poison(contributions(), 2, 0.1),
        attackers("free-rider", attack_strength=0.5, seed=2).poison(contributions(), 1, 0.1),
    ):
        assert not np.array_equal(first["bank-5"].update, other["bank-5"].update)
    assert not np.array_equal(first["bank-4"].update, first["bank-5"].update)


def test_attackers_that_dropped_out_are_not_missed() -> None:
    band = attackers("min-max")
    here = {name: c for name, c in contributions().items() if name != "bank-4"}
    assert np.array_equal(band.poison(here, 1, 0.1)["bank-5"].update, here["bank-5"].update), "alone it has no spread"
    honest = {name: here[name] for name in ("bank-1", "bank-2")}
    assert band.poison(honest, 1, 0.1) == honest


def test_nobody_attacks_unless_said() -> None:
    assert Attackers.of(Experiment()) is None
    assert Attackers.of(Experiment(scheme="plaintext", robust="median", byzantine=1)) is None
    with pytest.raises(ConfigurationError, match="hides 2 of 10 banks"):
        Attackers.of(Experiment(banks=10, byzantine=2, attack="a-little"))
