"""Banks vanish at any stage: the sum over those whose masked input arrived is exact, or there is a named error."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import pytest

from secure_fl.errors import DropoutError
from secure_fl.secagg import simulate
from secure_fl.secagg.masked.wire import CONSISTENCY_CHECK, MASKED_INPUT, STAGES, UNMASK
from secure_fl.secagg.packing import IntVector

AFTER_INPUT = (CONSISTENCY_CHECK, UNMASK)
FIRST_MISSED = (None, *STAGES)


def updates_of(banks: int, parameters: int = 2, bits: int = 8) -> IntVector:
    return np.random.default_rng(banks).integers(0, 1 << bits, (banks, parameters))


def survives(updates: IntVector, drop: Mapping[int, str], threshold: int | None = None) -> bool:
    """True: exact over those that sent a masked input; False: `DropoutError`, and not without need."""
    banks = len(updates)
    needed = threshold or banks // 2 + 1
    try:
        result = simulate("masked", updates, threshold=threshold, drop=drop)
    except DropoutError:
        assert banks - len(drop) < needed or banks > 100
        return False
    sent = {row for row in range(banks) if drop.get(row) in (None, *AFTER_INPUT)}
    assert result.contributors == sent
    assert result.total.tolist() == updates[sorted(sent)].sum(axis=0).tolist()
    assert banks - len(drop) >= needed
    return True


def every_assignment(banks: int) -> Iterable[dict[int, str]]:
    for stages in itertools.product(FIRST_MISSED, repeat=banks):
        yield {row: stage for row, stage in enumerate(stages) if stage is not None}


def test_three_banks_in_every_way_that_they_can_drop_out() -> None:
    outcomes = [survives(updates_of(3), drop) for drop in every_assignment(3)]
    assert len(outcomes) == 6**3
    assert sum(outcomes) == 1 + 3 * 5  # nobody drops, or one at one of five stages


@pytest.mark.slow
def test_four_banks_in_every_way_that_they_can_drop_out() -> None:
    outcomes = [survives(updates_of(4), drop) for drop in every_assignment(4)]
    assert (len(outcomes), sum(outcomes)) == (6**4, 1 + 4 * 5)


@pytest.mark.slow
def test_five_banks_in_every_way_that_they_can_drop_out() -> None:
    outcomes = [survives(updates_of(5), drop) for drop in every_assignment(5)]
    assert (len(outcomes), sum(outcomes)) == (6**5, 1 + 5 * 5 + 10 * 5 * 5)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_six_banks_every_subset_at_every_stage(stage: str) -> None:
    subsets = [rows for size in range(7) for rows in itertools.combinations(range(6), size)]
    outcomes = [survives(updates_of(6), dict.fromkeys(rows, stage)) for rows in subsets]
    assert (len(outcomes), sum(outcomes)) == (64, 1 + 6 + 15)


@pytest.mark.slow
def test_six_banks_in_random_mixtures() -> None:
    rng = np.random.default_rng(6)
    outcomes = []
    for _ in range(300):
        rows = rng.choice(6, rng.integers(1, 4), replace=False)
        outcomes.append(survives(updates_of(6), {int(row): str(rng.choice(STAGES)) for row in rows}))
    assert 0 < sum(outcomes) < 300


@pytest.mark.slow
def test_two_thousand_random_dropouts_of_up_to_twenty_banks() -> None:
    rng = np.random.default_rng(20)
    outcomes = []
    for _ in range(2000):
        banks = int(rng.integers(3, 21, 2).min())  # fewer more often, for the time it takes
        threshold = int(rng.integers(banks // 2 + 1, banks + 1))
        rows = rng.choice(banks, rng.integers(0, banks - threshold + 2), replace=False)
        drop = {int(row): str(rng.choice(STAGES)) for row in rows}
        outcomes.append(survives(updates_of(banks), drop, threshold))
    assert 500 < sum(outcomes) < 1900


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("row", range(5))
def test_one_of_five_drops_out(row: int, stage: str) -> None:
    assert survives(updates_of(5, 40), {row: stage})


def test_one_drops_out_at_each_stage_in_turn() -> None:
    assert survives(updates_of(12, 9), dict(enumerate(STAGES)))


@pytest.mark.parametrize("threshold", [4, 5, 6, 7])
@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_the_threshold_is_what_decides(threshold: int, gone: int) -> None:
    drop = dict.fromkeys(range(gone), MASKED_INPUT)
    assert survives(updates_of(7), drop, threshold) == (7 - gone >= threshold)


@pytest.mark.parametrize("stage", STAGES)
def test_the_error_says_how_many_are_left(stage: str) -> None:
    with pytest.raises(DropoutError, match=r"only 2 .*3"):
        simulate("masked", updates_of(5), drop=dict.fromkeys((0, 2, 4), stage))


@pytest.mark.parametrize("stage", STAGES)
def test_all_gone_is_a_named_error(stage: str) -> None:
    with pytest.raises(DropoutError):
        simulate("masked", updates_of(4), drop=dict.fromkeys(range(4), stage))


@pytest.mark.slow
@pytest.mark.parametrize("banks", [110, 121, 130])
def test_on_the_sparse_graph_fifteen_in_a_hundred_vanish(banks: int) -> None:
    rng = np.random.default_rng(banks)
    rows = rng.choice(banks, banks * 15 // 100, replace=False)
    assert survives(updates_of(banks, 50), {int(row): str(rng.choice(STAGES)) for row in rows})


@pytest.mark.slow
def test_on_the_sparse_graph_a_cut_neighbourhood_is_a_named_error() -> None:
    """Two fifths gone leave a majority, and some bank with too few neighbours."""
    banks = 110
    rows = np.random.default_rng(1).choice(banks, 50, replace=False)
    assert not survives(updates_of(banks), {int(row): MASKED_INPUT for row in rows})


# Rings


@pytest.mark.parametrize("bits", range(4, 25))
def test_every_number_of_bits(bits: int) -> None:
    updates = updates_of(5, 33, bits)
    result = simulate("masked", updates, bits=bits, drop={3: MASKED_INPUT})
    assert result.total.tolist() == (updates.sum(axis=0) - updates[3]).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("banks", "bits", "ring"), [(16, 12, 16), (17, 12, 24), (16, 20, 24), (17, 20, 32), (64, 10, 16), (65, 10, 24)]
)
@pytest.mark.parametrize("drop", [{}, {1: MASKED_INPUT, 2: UNMASK}])
def test_a_ring_that_is_full_to_the_brim_does_not_overflow(
    banks: int, bits: int, ring: int, drop: dict[int, str]
) -> None:
    result = simulate("masked", np.full((banks, 5), (1 << bits) - 1), bits=bits, drop=drop)
    assert result.plan.derived()["ring_bits"] == ring
    assert result.total.tolist() == [len(result.contributors) * ((1 << bits) - 1)] * 5


@pytest.mark.parametrize("parameters", [1, 2, 7, 8, 9, 131_071, 131_073])
@pytest.mark.parametrize("bits", [8, 16, 24])
def test_vectors_of_awkward_lengths(parameters: int, bits: int) -> None:
    updates = updates_of(3, parameters, bits)
    assert (simulate("masked", updates, bits=bits, drop={0: MASKED_INPUT}).total == updates[1:].sum(axis=0)).all()


@pytest.mark.slow
def test_a_thousand_banks_sum_a_fraud_model_in_one_process() -> None:
    updates = np.random.default_rng(0).integers(0, 256, (1000, 10_369))
    result = simulate("masked", updates, drop={7: MASKED_INPUT, 8: UNMASK})
    assert result.contributors == {*range(1000)} - {7}
    assert (result.total == updates.sum(axis=0) - updates[7]).all()
