"""Every rule against its definition written out with loops, examples worked by hand, and what it promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.robust import RULES, Robust
from secure_fl.robust.centred_clipping import centred_clipping
from secure_fl.robust.fltrust import fltrust
from secure_fl.robust.multi_krum import multi_krum
from secure_fl.robust.norm_clipping import norm_clipping
from secure_fl.settings.robust import LEAST_BANKS, least_banks
from tests.robust import naive

Matrix = np.ndarray

NAIVE: dict[str, Callable[[naive.Rows, int], naive.Vector]] = {
    "median": naive.median,
    "trimmed-mean": naive.trimmed_mean,
    "norm-clip": naive.norm_clip,
    "krum": naive.krum,
    "multi-krum": naive.multi_krum,
    "bulyan": naive.bulyan,
    "centred-clip": naive.centred_clip,
}
ALONE = sorted(name for name, rule in RULES.items() if not rule.needs_root)
MOVES_ALONG = sorted(set(ALONE) - {"norm-clip"})
"""Rules that a shift of all updates shifts as much: norms are measured from zero."""


def drawn(seed: int, n: int, parameters: int) -> Matrix:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, parameters)) + rng.normal(size=parameters)


def case(name: str, seed: int) -> tuple[Matrix, int]:
    """Random updates, and as many byzantine ones as the rule may bear, or fewer."""
    rng = np.random.default_rng(seed)
    f = int(rng.integers(0, 3 if name != "centred-clip" else 2))
    n = least_banks(name, f) + int(rng.integers(0, 4))
    return drawn(seed, max(n, 1), int(rng.integers(1, 6))), f


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", sorted(NAIVE))
def test_it_is_what_its_paper_defines(name: str, seed: int) -> None:
    updates, f = case(name, seed)
    np.testing.assert_allclose(RULES[name](updates, f).aggregate, NAIVE[name](updates.tolist(), f), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_point_nearby_or_row_is_closer_to_all_rows_than_the_geometric_median(seed: int) -> None:
    updates, f = case("rfa", seed)
    found = RULES["rfa"](updates, f).aggregate
    least = naive.sum_of_distances(updates.tolist(), found.tolist())
    rng = np.random.default_rng(seed)
    nearby = [found + step * rng.normal(size=len(found)) for step in (1e-4, 1e-2, 1.0) for _ in range(5)]
    for point in [*updates, *nearby]:
        assert least <= naive.sum_of_distances(updates.tolist(), point.tolist()) * (1 + 3e-4)  # near a row it is slow


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_fltrust_is_what_its_paper_defines(seed: int) -> None:
    updates, root = drawn(seed, 5, 4), drawn(seed + 1, 1, 4)[0]
    found = fltrust(updates, 2, root)
    np.testing.assert_allclose(found.aggregate, naive.fltrust(updates.tolist(), root.tolist()), atol=1e-12)
    assert set(found.chosen) == set(np.flatnonzero(updates @ root > 0))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", ALONE)
def test_the_order_of_banks_says_nothing(name: str, seed: int) -> None:
    updates, f = case(name, seed)
    order = np.random.default_rng(seed).permutation(len(updates))
    found, shuffled = RULES[name](updates, f), RULES[name](updates[order], f)
    if found.tied:  # two of three that are each other's closest, say: then the first goes
        assert {int(order[row]) for row in shuffled.tied} == set(found.tied)
        return
    np.testing.assert_allclose(shuffled.aggregate, found.aggregate, atol=1e-9)
    assert {int(order[row]) for row in shuffled.chosen} == set(found.chosen)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", MOVES_ALONG)
def test_a_shift_of_all_updates_shifts_the_aggregate(name: str, seed: int) -> None:
    updates, f = case(name, seed)
    shift = np.random.default_rng(seed).normal(size=updates.shape[1])
    moved = RULES[name](updates + shift, f).aggregate
    np.testing.assert_allclose(moved, RULES[name](updates, f).aggregate + shift, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), unit=st.sampled_from([1e-30, 1e-6, 1e6, 1e30]))
@pytest.mark.parametrize("name", ALONE)
def test_the_unit_says_nothing(name: str, seed: int, unit: float) -> None:
    updates, f = case(name, seed)
    np.testing.assert_allclose(RULES[name](updates * unit, f).aggregate / unit, RULES[name](updates, f).aggregate, 1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([1e-30, 1.0, 10.0, 1e6, 1e30, 1e200]))
@pytest.mark.parametrize("name", ALONE)
def test_byzantine_vectors_move_it_by_a_bounded_amount(name: str, seed: int, size: float) -> None:
    """However far they go: within a few times how far the honest ones are from each other."""
    f = 1 + seed % 2
    n = least_banks(name, f) + seed % 3
    rng = np.random.default_rng(seed)
    honest = drawn(seed, n - f, 4)
    sent = size * (rng.normal(size=(f, 4)) if seed % 5 else np.ones((f, 4)))
    updates = np.concatenate([honest, sent])[rng.permutation(n)]
    spread = max(np.linalg.norm(a - b) for a in honest for b in honest) + np.linalg.norm(honest, axis=1).max()
    moved = np.linalg.norm(RULES[name](updates, f).aggregate - honest.mean(axis=0))
    assert moved <= 4 * spread


def test_a_mean_has_no_such_bound() -> None:
    """So the test above can fail."""
    updates = np.concatenate([drawn(1, 6, 4), 1e6 * np.ones((2, 4))])
    assert np.linalg.norm(updates.mean(axis=0)) > 1e5


HAND = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [100.0, 100.0]])


def test_examples_worked_by_hand() -> None:
    assert RULES["median"](HAND, 2).aggregate.tolist() == [1, 1]
    assert RULES["trimmed-mean"](HAND, 1).aggregate == pytest.approx([2 / 3, 2 / 3])
    found = RULES["krum"](HAND, 1)  # of 2 closest: 1 + 1 for each corner of the square: all four tie
    assert (found.aggregate.tolist(), found.chosen, found.tied) == ([0, 0], (0,), (0, 1, 2, 3))
    found = RULES["multi-krum"](HAND, 1)
    assert (found.aggregate.tolist(), found.chosen, found.tied) == ([0.5, 0.5], (0, 1, 2, 3), ())
    assert multi_krum(HAND, 1, m=5).aggregate == pytest.approx([20.4, 20.4])
    norms = norm_clipping(np.array([[3.0, 4.0], [0.0, 10.0], [0.0, 0.0]]), norm=5.0)
    assert norms.aggregate == pytest.approx([1, 3])
    assert norm_clipping(np.array([[3.0, 4.0], [0.0, 10.0], [0.0, 0.0]])).aggregate == pytest.approx([1, 3])
    assert centred_clipping(np.array([[0.0], [0.0], [9.0]]), 0, radius=3.0, start=np.zeros(1), steps=1).aggregate == 1
    trust = fltrust(np.array([[0.0, 5.0], [0.0, -7.0], [2.0, 0.0], [3.0, 3.0]]), 1, np.array([0.0, 2.0]))
    share = 0.5**0.5  # cosine of the last one; the first points exactly there, the others not at all
    assert trust.aggregate == pytest.approx([2 * share * share / (1 + share), (2 + 2 * share * share) / (1 + share)])
    assert trust.chosen == (0, 3)
    geometric = RULES["rfa"](np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]]), 1)
    assert geometric.aggregate == pytest.approx([2, 2])


def test_bulyan_worked_by_hand() -> None:
    found = RULES["bulyan"](np.array([[0.0], [1.0], [3.0], [7.0], [12.0], [20.0], [500.0]]), 1)
    # Of 4 closest, 3 scores 4 + 9 + 16 + 81 = 110, 7 scores 126, 1 scores 162: 3 goes first. Of 3 closest of the rest,
    # 7 scores 25 + 36 + 49; then 1 of 2 closest 1 + 121. Of 1 closest, 12 and 20 tie at 64, and 12 was better among
    # all; so do 0 and 20 at 400, and 0 was.
    assert found.chosen == (0, 1, 2, 3, 4)
    assert found.aggregate == pytest.approx([4 / 3]), "of 0, 1, 3, 7, 12 the three that are closest to 3"


@pytest.mark.parametrize("name", ALONE)
def test_weights_say_how_the_aggregate_is_made(name: str) -> None:
    updates = drawn(3, 11, 4)
    found = RULES[name](updates, 1)
    if found.weights is not None:
        np.testing.assert_allclose(found.weights @ updates, found.aggregate)
        assert found.chosen == tuple(np.flatnonzero(found.weights))
    assert RULES[name].chooses == (len(found.chosen) < 11)


# Bad input


@pytest.mark.parametrize("name", sorted(LEAST_BANKS))
@pytest.mark.parametrize("f", [0, 1, 2])
def test_too_few_banks_are_refused_with_the_number_to_change(name: str, f: int) -> None:
    root = np.ones(3)
    least = least_banks(name, f)
    RULES[name](drawn(1, least, 3), f, root)
    if least > 1:
        with pytest.raises(ConfigurationError, match=f"{least - 1} are too few; use at least {least} banks"):
            RULES[name](drawn(1, least - 1, 3), f, root)
    with pytest.raises(ConfigurationError, match="-1 byzantine banks cannot be; use 0 or more"):
        RULES[name](drawn(1, 20, 3), -1, root)


def test_the_conditions_are_those_of_the_papers() -> None:
    assert {name: least_banks(name, 2) for name in LEAST_BANKS} == {
        "median": 5,
        "trimmed-mean": 5,
        "norm-clip": 5,
        "krum": 7,
        "multi-krum": 7,
        "bulyan": 11,
        "rfa": 5,
        "centred-clip": 20,
        "fltrust": 3,
    }


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", sorted(RULES))
def test_an_update_that_is_not_finite_is_left_out_and_named(name: str, bad: float) -> None:
    """It is one of the byzantine ones, so one fewer is left among the rest."""
    root = np.ones(3)
    updates = drawn(2, least_banks(name, 2), 3)
    updates[4 % len(updates), 1] = bad
    place = 4 % len(updates)
    found = RULES[name](updates, 2, root)
    rest = RULES[name](np.delete(updates, place, axis=0), 1, root)
    assert found.refused == (place,)
    assert place not in found.chosen
    assert np.array_equal(found.aggregate, rest.aggregate)
    assert found.weights is None or (len(found.weights) == len(updates) and found.weights[place] == 0)
    assert found.chosen == tuple(row + (row >= place) for row in rest.chosen)


@pytest.mark.parametrize("name", ["median", "krum"])
def test_where_too_few_are_finite_nothing_is_averaged(name: str) -> None:
    updates = np.full((5, 3), np.nan)
    with pytest.raises(TrainingError, match=f"0, 1, 2, 3, 4 are not finite, and 0 others are too few for {name}"):
        RULES[name](updates, 1)
    updates = drawn(1, 3, 2)
    updates[1] = np.inf
    with pytest.raises(TrainingError, match="rows 1 are not finite, and 2 others are too few for krum"):
        RULES["krum"](updates, 0)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,), (3, 2, 2)])
def test_what_is_no_table_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="give \\[banks, parameters\\]"):
        RULES["median"](np.zeros(shape), 0)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e30, 1e-30, -3.5])
@pytest.mark.parametrize("name", sorted(RULES))
def test_identical_updates_are_their_own_aggregate(name: str, value: float) -> None:
    updates = np.full((11, 3), value)
    found = RULES[name](updates, 1, np.full(3, value))
    np.testing.assert_allclose(found.aggregate, updates[0], rtol=1e-12)


@pytest.mark.parametrize("name", ALONE)
def test_colluders_that_send_one_vector_do_not_win(name: str) -> None:
    f = 1 if name in ("bulyan", "centred-clip") else 2
    updates = np.concatenate([drawn(5, 12, 4), np.full((f, 4), 1e3)])
    found = RULES[name](updates, f)
    assert np.abs(found.aggregate).max() < 10
    if RULES[name].chooses:
        assert not {12, 13} & set(found.chosen)


@pytest.mark.parametrize("name", sorted(RULES))
def test_huge_and_tiny_norms_side_by_side_are_survived(name: str) -> None:
    updates = np.concatenate([drawn(7, 9, 3), [[1e30] * 3, [1e-30] * 3]])
    found = RULES[name](updates, 1, updates[0])
    assert np.isfinite(found.aggregate).all()
    assert np.abs(found.aggregate).max() < 10


def test_fltrust_without_anybody_to_trust_stands_still() -> None:
    found = fltrust(-np.ones((3, 2)), 1, np.ones(2))
    assert (found.aggregate.tolist(), found.chosen) == ([0, 0], ())
    assert fltrust(np.ones((3, 2)), 1, np.zeros(2)).chosen == ()
    assert 0 not in fltrust(np.array([[0.0, 0.0], [1.0, 1.0]]), 0, np.ones(2)).chosen
    with pytest.raises(ConfigurationError, match="give a finite one"):
        fltrust(np.ones((3, 2)), 1, np.array([np.nan, 1]))
    with pytest.raises(ConfigurationError, match="clean root set; give root"):
        RULES["fltrust"](np.ones((3, 2)), 1)


def test_updates_are_not_changed() -> None:
    updates = drawn(1, 11, 3)
    before = updates.copy()
    for rule in RULES.values():
        result: Robust = rule(updates, 1, np.ones(3))
        assert result.aggregate.shape == (3,)
    assert np.array_equal(updates, before)
