"""Who masks with whom, and whether the odds that the graph promises are the odds that it has."""

from __future__ import annotations

import itertools
from math import exp, lgamma, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.secagg import graph as graphs
from secure_fl.secagg import plan
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.graph import COMPLETE_UP_TO, Rules, default_threshold, most_curious, most_liars, neighbours, rules

CROWDS = [(110, 99), (130, 81), (250, 225), (1000, 900), (3163, 3005), (10_000, 9045)]
"""Banks and thresholds."""
SMALL = [3, 4, 5, 17, 100]
crowds = pytest.mark.parametrize(("banks", "threshold"), CROWDS)
Graph = tuple[tuple[int, ...], ...]


def graph(banks: int, threshold: int, seed: bytes = b"seed") -> Graph:
    return neighbours(banks, rules(banks, threshold).degree, seed)


def reached(around: Graph, gone: frozenset[int] = frozenset()) -> int:
    """How many banks can be reached from the first that is left, through banks that are left."""
    first = next(bank for bank in range(len(around)) if bank not in gone)
    seen, todo = {first}, [first]
    while todo:
        for other in around[todo.pop()]:
            if other not in seen and other not in gone:
                seen.add(other)
                todo.append(other)
    return len(seen)


@pytest.mark.parametrize("banks", SMALL)
@pytest.mark.parametrize("above", [0, 1])
def test_few_banks_mask_with_everybody(banks: int, above: int) -> None:
    threshold = banks // 2 + 1 + above
    assert rules(banks, threshold) == (banks - 1, threshold, banks, threshold)
    assert graph(banks, threshold) == tuple(tuple(sorted({*range(banks)} - {bank})) for bank in range(banks))


@pytest.mark.slow
@crowds
def test_everybody_has_as_many_neighbours_and_they_know_each_other(banks: int, threshold: int) -> None:
    degree, around = rules(banks, threshold).degree, graph(banks, threshold)
    assert degree < banks - 1
    for bank, others in enumerate(around):
        assert len(set(others)) == len(others) == degree
        assert list(others) == sorted(others)
        assert bank not in others
        assert all(bank in around[other] for other in others)


@crowds
def test_the_graph_hangs_together(banks: int, threshold: int) -> None:
    assert reached(graph(banks, threshold)) == banks


@pytest.mark.parametrize("banks", [101, 500])
def test_the_graph_follows_from_its_seed(banks: int) -> None:
    threshold = banks * 9 // 10
    assert graph(banks, threshold, b"a") == graph(banks, threshold, b"a")
    drawn = {graph(banks, threshold, seed.to_bytes(2, "big")) for seed in range(20)}
    assert len(drawn) == 20
    assert len({around[0] for around in drawn}) == 20


def test_over_many_seeds_everybody_is_equally_often_a_neighbour() -> None:
    """Each of the 109 others is one of bank 0's with equal odds; a deviation of 6 sigma fails."""
    banks, seeds = 110, 1000
    counts = np.zeros(banks)
    for seed in range(seeds):
        counts[list(graph(banks, 99, seed.to_bytes(4, "big"))[0])] += 1
    odds = rules(banks, 99).degree / (banks - 1)
    assert counts[0] == 0
    assert np.abs(counts[1:] - seeds * odds).max() < 6 * np.sqrt(seeds * odds * (1 - odds))


def at_least(population: int, marked: int, drawn: int, least: int) -> float:
    """Tail of the hypergeometric distribution, added up in the other direction than the package does."""

    def log_choose(n: int, k: int) -> float:
        return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)

    return sum(
        exp(log_choose(marked, i) + log_choose(population - marked, drawn - i) - log_choose(population, drawn))
        for i in reversed(range(max(least, 0, drawn - population + marked), min(drawn, marked) + 1))
    )


def failures(banks: int, threshold: int, chosen: Rules, corrupt: int) -> dict[str, float]:
    """-log2 of the union bounds in the docstring of `graph`, computed independently, over what each may be."""
    degree, holders, witnesses, quorum = chosen
    vanished, row = banks - threshold, holders - degree // 2 - 1
    one_row = banks * at_least(banks - 1, corrupt, degree // 2, row)
    odds = {
        "no holders": (banks * at_least(banks - 1, vanished, degree, degree + 1 - holders), 20),
        "no quorum": (at_least(banks, vanished, witnesses, witnesses + 1 - quorum), 20),
        "two lists": (at_least(banks, corrupt, witnesses, 2 * quorum - witnesses), 40),
        "around": (banks * at_least(banks - 1, corrupt, degree, 2 * row + 1), 40),
        "two rows": (one_row**2 / 2, 40),
    }
    return {name: probability * 2.0**bits for name, (probability, bits) in odds.items()}


@crowds
def test_the_failures_are_as_rare_as_promised(banks: int, threshold: int) -> None:
    assert max(failures(banks, threshold, rules(banks, threshold), banks // 10).values()) <= 1 + 1e-6


@settings(deadline=None, max_examples=400)
@given(st.integers(101, 3000), st.data())
def test_what_corrupt_banks_can_do_is_bounded_for_any_numbers(banks: int, data: st.DataObject) -> None:
    """Also where the one bound decides that seldom does: too many corrupt banks around a bank."""
    degree = 2 * data.draw(st.integers(2, min(60, (banks - 2) // 2)))
    holders = data.draw(st.integers(degree // 2 + 2, degree + 1))
    corrupt = data.draw(st.integers(0, banks // 3))
    witnesses = data.draw(st.integers(4, 120).filter(lambda number: number <= banks))
    quorum = data.draw(st.integers(witnesses // 2 + 1, witnesses))
    odds = failures(banks, banks, Rules(degree, holders, witnesses, quorum), corrupt)
    for name, withstands in {
        "around": graphs._around(banks, degree, holders, corrupt) <= 2.0**-40,
        "two rows": graphs._two_rows(banks, degree, holders, corrupt) <= 2.0**-40,
        "two lists": graphs._agree(banks, witnesses, quorum, corrupt),
    }.items():
        if not 1 - 1e-6 < odds[name] < 1 + 1e-6:
            assert withstands == (odds[name] <= 1), name
    both = graphs._withstands(banks, degree, holders, corrupt)
    assert both == (max(odds["around"], odds["two rows"]) <= 1)


def test_a_row_of_no_banks_is_never_enough() -> None:
    """With k/2 + 1 holders a bank and its one side open its secrets, whoever is corrupt."""
    assert graphs._withstands(1000, 100, 100, 0)
    assert not graphs._withstands(1000, 100, 51, 0)


@crowds
def test_two_neighbours_or_two_witnesses_less_would_not_do(banks: int, threshold: int) -> None:
    """The numbers are the smallest: with fewer, no quorum at all keeps all failures rare."""
    degree, holders, witnesses, quorum = rules(banks, threshold)
    for smaller in range(degree - 8, degree, 2):
        for fewer in range(smaller // 2 + 2, smaller + 1):
            short = failures(banks, threshold, Rules(smaller, fewer, witnesses, quorum), banks // 10)
            assert max(short.values()) > 1
    for smaller in range(max(witnesses - 8, 2), witnesses, 2):
        for fewer in range(smaller // 2 + 1, smaller + 1):
            short = failures(banks, threshold, Rules(degree, holders, smaller, fewer), banks // 10)
            assert max(short.values()) > 1


@crowds
def test_one_more_holder_or_witness_would_not_be_there(banks: int, threshold: int) -> None:
    degree, holders, witnesses, quorum = rules(banks, threshold)
    assert failures(banks, threshold, Rules(degree, holders + 1, witnesses, quorum), 0)["no holders"] > 1
    assert failures(banks, threshold, Rules(degree, holders, witnesses, quorum + 1), 0)["no quorum"] > 1


@crowds
def test_the_number_of_liars_is_the_largest_that_keeps_failures_rare(banks: int, threshold: int) -> None:
    chosen = rules(banks, threshold)
    most = most_liars(banks, chosen)
    assert most >= banks // 10
    assert max(failures(banks, threshold, chosen, most).values()) <= 1 + 1e-6
    assert max(failures(banks, threshold, chosen, most + 1).values()) > 1


@crowds
def test_the_number_of_curious_banks_is_the_largest_that_keeps_failures_rare(banks: int, threshold: int) -> None:
    chosen, vanished = rules(banks, threshold), banks - threshold

    def worst(curious: int) -> float:
        opened = banks * at_least(banks - 1, curious, chosen.degree, chosen.share_threshold)
        full = prod((curious + vanished - i) / (banks - i) for i in range(chosen.degree // 2))
        return max(opened, (banks * full) ** 2 / 2) * 2.0**40

    most = most_curious(banks, vanished, chosen)
    assert worst(most) <= 1 + 1e-6 < worst(most + 1)


@pytest.mark.parametrize("banks", [101, 129, 130, 131, 200, 1000, 10_000])
def test_without_a_threshold_of_its_own_a_sum_gets_the_least_that_128_neighbours_bear(banks: int) -> None:
    threshold = default_threshold(banks)
    assert banks // 2 < threshold <= banks
    assert rules(banks, threshold).degree <= 128
    assert threshold == banks // 2 + 1 or rules(banks, threshold - 1).degree > 128
    assert (threshold == banks // 2 + 1) == (banks <= 129)
    planned = plan("masked", banks, 10, 4)
    assert planned.threshold == threshold
    assert plan("ckks", banks, 10, 4).threshold == banks // 2 + 1


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.integers(101, 2000), st.data())
def test_so_many_banks_vanish_and_the_sum_still_ends(banks: int, data: st.DataObject) -> None:
    """The threshold means the same at any size: whoever vanishes, enough holders and witnesses stay."""
    threshold = data.draw(st.integers(banks // 2 + 1, banks), label="threshold")
    seed = data.draw(st.integers(0, 2**32), label="seed")
    planned = plan("masked", banks, 10, 4, threshold)
    assert isinstance(planned, MaskedPlan)
    assert planned.may_vanish == banks - threshold
    vanished = np.random.default_rng(seed).choice(banks, planned.may_vanish, replace=False)
    lives = np.ones(banks, dtype=bool)
    lives[vanished] = False
    holders = np.array([lives[list(around)].sum() for around in graph(banks, threshold, seed.to_bytes(8, "big"))])
    assert holders.min() + (planned.degree == banks - 1) >= planned.share_threshold - 1
    assert (holders + lives >= planned.share_threshold).all()


@pytest.mark.slow
@pytest.mark.parametrize(("banks", "lost"), [(101, 50), (129, 64), (130, 49), (150, 47), (1000, 125)])
def test_a_higher_threshold_costs_neighbours_less_and_a_lower_one_more(banks: int, lost: int) -> None:
    degrees = [rules(banks, threshold).degree for threshold in range(banks // 2 + 1, banks + 1)]
    assert all(later <= earlier + 8 for earlier, later in itertools.pairwise(degrees))
    assert degrees[0] == banks - 1
    assert degrees[-1] < banks // 2
    assert plan("masked", banks, 10, 4).may_vanish == lost


def test_counting_agrees_with_a_monte_carlo() -> None:
    """The model behind the bounds, where failures are common enough to count: corrupt neighbours in a drawn graph."""
    banks, degree, corrupt, least, draws = 150, 72, 30, 18, 400
    rng = np.random.default_rng(7)
    hits = 0
    for draw in range(draws):
        bad = set(rng.choice(banks - 1, corrupt, replace=False) + 1)
        hits += len(bad & set(neighbours(banks, degree, draw.to_bytes(4, "big"))[0])) >= least
    expected = at_least(banks - 1, corrupt, degree, least)
    assert 0.05 < expected < 0.3
    assert abs(hits / draws - expected) < 5 * np.sqrt(expected * (1 - expected) / draws)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.integers(1, 200), st.data())
def test_the_tail_of_the_package_is_the_tail(population: int, data: st.DataObject) -> None:
    """Exact beyond the mean, where it decides; 1, which is on the safe side, up to it."""
    marked, drawn = (data.draw(st.integers(0, population)) for _ in range(2))
    least = data.draw(st.integers(-1, population + 1))
    tail, exact = graphs._tail(population, marked, drawn, least), at_least(population, marked, drawn, least)
    assert tail >= exact * (1 - 1e-9)
    if least > drawn * marked / population:
        assert tail == pytest.approx(exact, rel=1e-9, abs=1e-300)


def test_what_is_left_hangs_together_when_a_fifth_is_gone() -> None:
    rng = np.random.default_rng(8)
    for draw in range(60):
        gone = frozenset(int(bank) for bank in rng.choice(110, 22, replace=False))
        assert reached(graph(110, 99, bytes([draw])), gone) == 88


@pytest.mark.parametrize("banks", [*SMALL, *(banks for banks, _ in CROWDS)])
def test_the_plan_carries_the_rules(banks: int) -> None:
    planned = plan("masked", banks, 10, 4)
    assert isinstance(planned, MaskedPlan)
    assert planned.rules == rules(banks, planned.threshold)
    assert planned.sparse == (banks > 129)


def test_with_few_banks_the_threshold_of_the_sum_opens_secrets_too() -> None:
    planned = plan("masked", 10, 10, 8, threshold=9)
    assert isinstance(planned, MaskedPlan)
    assert planned.share_threshold == planned.threshold == planned.witness_threshold == 9


def test_from_here_on_the_graph_may_be_sparse() -> None:
    assert rules(COMPLETE_UP_TO, 95).degree == COMPLETE_UP_TO - 1
    assert rules(COMPLETE_UP_TO + 1, 96).degree < COMPLETE_UP_TO
