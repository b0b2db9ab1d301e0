"""Banks vanish at any stage: the sum over those whose masked input arrived is exact, or there is a named error."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from math import comb

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


def every_assignment(banks: int, rng: np.random.Generator) -> Iterable[dict[int, str]]:
    """Every number of banks that can be lost at each stage, each once; which banks those are is drawn.

    On the complete graph all banks are alike but for their number, so that this stands for all 6**banks assignments.
    """
    for stages in itertools.combinations_with_replacement(FIRST_MISSED, banks):
        rows = rng.permutation(banks)
        yield {int(row): stage for row, stage in zip(rows, stages, strict=True) if stage is not None}


@pytest.mark.slow
@pytest.mark.parametrize("banks", [3, 4, 5])
def test_banks_drop_out_in_every_way(banks: int) -> None:
    outcomes = [survives(updates_of(banks), drop) for drop in every_assignment(banks, np.random.default_rng(banks))]
    assert len(outcomes) == comb(banks + 5, 5)
    spare = banks - (banks // 2 + 1)
    assert sum(outcomes) == sum(comb(gone + 4, 4) for gone in range(spare + 1))  # so many gone, over five stages


def test_three_banks_by_name_in_every_way_that_one_or_two_can_drop_out() -> None:
    assignments = [
        dict(zip(rows, stages, strict=True))
        for size in (1, 2)
        for rows in itertools.combinations(range(3), size)
        for stages in itertools.product(STAGES, repeat=size)
    ]
    assert sum(survives(updates_of(3), drop) for drop in assignments) == 3 * 5


@pytest.mark.slow
def test_random_dropouts_of_up_to_twenty_banks_with_any_threshold() -> None:
    rng = np.random.default_rng(20)
    outcomes = []
    for _ in range(60):
        banks = int(rng.integers(3, 21, 3).min())  # fewer more often, for the time it takes
        threshold = int(rng.integers(banks // 2 + 1, banks + 1))
        rows = rng.choice(banks, rng.integers(0, banks - threshold + 2), replace=False)
        drop = {int(row): str(rng.choice(STAGES)) for row in rows}
        outcomes.append(survives(updates_of(banks), drop, threshold))
    assert 20 < sum(outcomes) < 55


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
def test_on_the_sparse_graph_fifteen_in_a_hundred_vanish() -> None:
    banks = 110
    rng = np.random.default_rng(banks)
    rows = rng.choice(banks, banks * 15 // 100, replace=False)
    assert survives(updates_of(banks, 50), {int(row): str(rng.choice(STAGES)) for row in rows}, threshold=90)


# Rings


@pytest.mark.parametrize("bits", range(4, 25))
def test_every_number_of_bits(bits: int) -> None:
    updates = updates_of(5, 33, bits)
    result = simulate("masked", updates, bits=bits, drop={3: MASKED_INPUT})
    assert result.total.tolist() == (updates.sum(axis=0) - updates[3]).tolist()


FULL = [(16, 12, 16), (17, 12, 17), (16, 20, 24), (16, 8, 12)]
LOSSES: list[dict[int, str]] = [{}, {1: MASKED_INPUT, 2: UNMASK}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("banks", "bits", "ring", "drop"),
    [*((*size, drop) for size in FULL for drop in LOSSES), (64, 10, 16, {}), (65, 10, 17, {})],
)
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
