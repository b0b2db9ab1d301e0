"""What the smallest sum is that a lying aggregator opens: every lie on small cohorts, in the model of `adversary`."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.secagg.masked.adversary import (
    SEVEN,
    TOLD,
    View,
    circle,
    complete,
    exhaust,
    given_away,
    knowledge,
    members,
    opens,
    opens_both_secrets,
    smallest_sum,
    sums_that_open,
)

# Complete graphs

ALLOWED = [
    (banks, threshold, colluders)
    for banks in (3, 4, 5)
    for threshold in range(banks // 2 + 1, banks + 1)
    for colluders in range(2 * threshold - banks)
]
ONE_TOO_MANY = [(banks, threshold) for banks in (3, 4, 5, 6) for threshold in range(banks // 2 + 1, banks)]


@pytest.mark.parametrize(("banks", "threshold", "colluders"), ALLOWED)
def test_no_lie_opens_a_sum_over_fewer_than_the_threshold(banks: int, threshold: int, colluders: int) -> None:
    """The custody statement, for every number of colluders below 2t - n: t banks in the sum, less the colluders."""
    rules = complete(banks, threshold, colluders)
    assert smallest_sum(rules) == threshold - colluders
    assert not opens_both_secrets(rules)


@pytest.mark.parametrize(("banks", "threshold"), ONE_TOO_MANY)
def test_one_colluder_more_opens_single_banks(banks: int, threshold: int) -> None:
    """So the line "broken by ... 2t - n banks" is tight."""
    rules = complete(banks, threshold, 2 * threshold - banks)
    assert smallest_sum(rules) == 1
    assert opens_both_secrets(rules)


@pytest.mark.parametrize(("banks", "threshold"), ONE_TOO_MANY)
def test_the_search_finds_withheld_shares_where_lists_are_not_checked_against_letters(
    banks: int, threshold: int
) -> None:
    """Without any colluder, sums over 2t - n banks: what stood here before."""
    rules = complete(banks, threshold, within_letters=False)
    assert smallest_sum(rules) == 2 * threshold - banks


@pytest.mark.slow
def test_the_search_finds_replays_where_statements_of_other_attempts_count() -> None:
    assert smallest_sum(complete(5, 3, replay=True), lists_at_once=3) < 3


CHANGES: list[dict[str, bool]] = [{}, {"within_letters": False}, {"replay": True}]


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes), "as it is"))
@pytest.mark.parametrize(("banks", "threshold"), [(3, 2), (3, 3), (4, 3), (4, 4)])
def test_the_search_leaves_out_nothing(banks: int, threshold: int, changes: dict[str, bool]) -> None:
    for colluders in range(banks):
        rules = complete(banks, threshold, colluders, **changes)
        if len(changes) and (banks, threshold, colluders) == (4, 3, 0):
            continue  # half a minute each
        assert exhaust(rules, all_keys=banks > 3 and not colluders) == smallest_sum(rules, 3)


def test_sums_that_open_are_all_combinations_that_open() -> None:
    """Against linear algebra: of inputs with open seeds, those combinations in which the unknown masks cancel."""
    rng, sizes = np.random.default_rng(0), set()
    for _ in range(400):
        rules = replace(complete(5, 3, int(rng.integers(2))), within_letters=bool(rng.integers(2)))
        views = {
            bank: View(
                rules.around[bank], int(rng.integers(32)) & rules.around[bank], int(rng.choice([0, 7, 15, 31, 28]))
            )
            for bank in members(rules.honest)
        }
        seeds, keys = knowledge(rules, views)
        rows = [bank for bank in views if seeds >> bank & 1]
        masks = {pair: column for column, pair in enumerate(itertools.combinations(range(5), 2))}
        matrix = np.zeros((len(rows), len(masks)))
        for row, bank in enumerate(rows):
            for other in members(views[bank].letters & rules.honest):
                known = (keys >> bank | keys >> other) & 1
                matrix[row, masks[min(bank, other), max(bank, other)]] = 0 if known else 1 if bank < other else -1
        found = sums_that_open(rules, views)
        assert len(found) == len(rows) - (np.linalg.matrix_rank(matrix) if rows else 0)
        for target in found:
            assert not np.array([target >> bank & 1 for bank in rows]) @ matrix @ np.ones(len(masks))
            assert not (np.array([target >> bank & 1 for bank in rows]) @ matrix).any()
        sizes |= {target.bit_count() for target in found}
    assert sizes >= {1, 2}


# Circles: over 100 banks in earnest, a few here


@pytest.mark.slow
def test_on_a_circle_who_vanished_can_cut_it_into_arcs() -> None:
    """Where half the neighbours and the bank itself suffice to open a secret; nobody colludes, all hear one list.

    So what opens is a sum over no fewer than `holders` banks, and not over `threshold` of them.
    """
    assert smallest_sum(circle(10, degree=4, holders=3, threshold=6), lists_at_once=1) == 3
    assert smallest_sum(circle(6, degree=2, holders=2, threshold=4)) == 2


def test_on_a_circle_a_holder_more_than_half_keeps_arcs_together() -> None:
    assert smallest_sum(circle(8, degree=4, holders=4, threshold=5), lists_at_once=1) >= 5
    assert smallest_sum(circle(6, degree=4, holders=4, threshold=4)) >= 4
    assert smallest_sum(circle(6, degree=2, holders=3, threshold=4)) == 6


def test_on_a_circle_arcs_take_a_few_colluders_at_both_cuts() -> None:
    """holders - k/2 - 1 within reach of each of the two cuts, here one: fewer than the 2t - (k + 1) around one bank."""
    for corrupt, opened in ((0, False), (1 << 0, False), (1 << 0 | 1 << 5, True)):
        rules = circle(10, degree=4, holders=4, threshold=6, corrupt=corrupt)
        told = tuple(0b1110011100 | corrupt if bank in (2, 3, 4, 7, 8, 9) else 0 for bank in range(10))
        assert opens(rules, told, 0b11100, *given_away(rules, told)) == opened


def test_on_a_circle_one_quorum_for_all_keeps_two_stories_apart() -> None:
    """Where two quorums fit side by side, no colluder is needed; with one more signature none is in sight."""
    assert opens(SEVEN, TOLD, 1, *given_away(SEVEN, TOLD))
    rules = replace(SEVEN, quorum=4)
    assert not opens(rules, TOLD, 1, *given_away(rules, TOLD))
