"""Who masks with whom, and whether the odds that the graph promises are the odds that it has."""

from __future__ import annotations

from math import exp, lgamma

import numpy as np
import pytest

from secure_fl.secagg import plan
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.graph import COMPLETE_UP_TO, degree_and_threshold, neighbours

CROWDS = [101, 110, 250, 1000, 3163, 10_000]
SMALL = [3, 4, 5, 17, 100]
crowds = pytest.mark.parametrize("banks", CROWDS)
Graph = tuple[tuple[int, ...], ...]


def graph(banks: int, seed: bytes = b"seed") -> Graph:
    return neighbours(banks, degree_and_threshold(banks)[0], seed)


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
def test_few_banks_mask_with_everybody(banks: int) -> None:
    assert degree_and_threshold(banks) == (banks - 1, banks // 2 + 1)
    assert graph(banks) == tuple(tuple(sorted({*range(banks)} - {bank})) for bank in range(banks))


@crowds
def test_everybody_has_as_many_neighbours_and_they_know_each_other(banks: int) -> None:
    degree, around = degree_and_threshold(banks)[0], graph(banks)
    for bank, others in enumerate(around):
        assert len(set(others)) == len(others) == degree
        assert list(others) == sorted(others)
        assert bank not in others
        assert all(bank in around[other] for other in others)


@crowds
def test_the_graph_hangs_together(banks: int) -> None:
    assert reached(graph(banks)) == banks


@pytest.mark.parametrize("banks", [101, 500])
def test_the_graph_follows_from_its_seed(banks: int) -> None:
    assert graph(banks, b"a") == graph(banks, b"a")
    graphs = {graph(banks, seed.to_bytes(2, "big")) for seed in range(20)}
    assert len(graphs) == 20
    assert len({around[0] for around in graphs}) == 20


def test_over_many_seeds_everybody_is_equally_often_a_neighbour() -> None:
    """Each of the 109 others is one of bank 0's with equal odds; a deviation of 6 sigma fails."""
    banks, seeds = 110, 1000
    counts = np.zeros(banks)
    for seed in range(seeds):
        counts[list(graph(banks, seed.to_bytes(4, "big"))[0])] += 1
    odds = degree_and_threshold(banks)[0] / (banks - 1)
    assert counts[0] == 0
    assert np.abs(counts[1:] - seeds * odds).max() < 6 * np.sqrt(seeds * odds * (1 - odds))


@crowds
def test_a_secret_takes_more_than_half_of_the_neighbourhood(banks: int) -> None:
    """The bank itself counts among the holders, so no two disjoint sets of holders are both enough."""
    degree, threshold = degree_and_threshold(banks)
    assert degree < banks - 1
    assert degree + 1 < 2 * threshold <= 2 * degree


def at_least(population: int, marked: int, drawn: int, least: int) -> float:
    """Tail of the hypergeometric distribution by logarithms of the gamma function."""

    def log_choose(n: int, k: int) -> float:
        return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)

    return sum(
        exp(log_choose(marked, i) + log_choose(population - marked, drawn - i) - log_choose(population, drawn))
        for i in range(max(least, drawn - population + marked), min(drawn, marked) + 1)
    )


def failures(banks: int, degree: int, threshold: int) -> tuple[float, float, float]:
    """Union bounds, with a tenth corrupt and a tenth gone: both secrets opened, circle cut, sums that cannot end."""
    corrupt, gone = banks // 10, banks // 10
    opened = banks * at_least(banks - 1, corrupt, degree, 2 * threshold - (degree + 1))
    cut = banks * np.prod([(corrupt + gone - i) / (banks - i) for i in range(degree // 2)])
    stuck = banks * at_least(banks - 1, gone - 1, degree, degree - threshold + 1)
    return opened, float(cut), stuck


@crowds
def test_the_three_failures_are_as_rare_as_promised(banks: int) -> None:
    opened, cut, stuck = failures(banks, *degree_and_threshold(banks))
    assert opened <= 2**-40
    assert cut <= 2**-40
    assert stuck <= 2**-20


@pytest.mark.parametrize("banks", [250, 1000, 10_000])
def test_a_much_smaller_degree_would_not_do(banks: int) -> None:
    """The degree is not larger than it must be: three quarters of it fail one of the three."""
    degree = degree_and_threshold(banks)[0] * 3 // 4 // 2 * 2
    for threshold in range(degree // 2 + 1, degree + 1):
        opened, cut, stuck = failures(banks, degree, threshold)
        assert opened > 2**-40 or cut > 2**-40 or stuck > 2**-20


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


def test_what_is_left_hangs_together_when_a_fifth_is_gone() -> None:
    rng = np.random.default_rng(8)
    for draw in range(60):
        gone = frozenset(int(bank) for bank in rng.choice(110, 22, replace=False))
        assert reached(graph(110, bytes([draw])), gone) == 88


@pytest.mark.parametrize("banks", [*SMALL, *CROWDS])
def test_the_plan_carries_the_graph(banks: int) -> None:
    planned = plan("masked", banks, 10, 4)
    assert isinstance(planned, MaskedPlan)
    assert (planned.degree, planned.share_threshold) == degree_and_threshold(banks)


def test_with_few_banks_the_threshold_of_the_sum_opens_secrets_too() -> None:
    planned = plan("masked", 10, 10, 8, threshold=9)
    assert isinstance(planned, MaskedPlan)
    assert planned.share_threshold == planned.threshold == 9


def test_from_here_on_the_graph_is_sparse() -> None:
    assert degree_and_threshold(COMPLETE_UP_TO)[0] == COMPLETE_UP_TO - 1
    assert degree_and_threshold(COMPLETE_UP_TO + 1)[0] < COMPLETE_UP_TO
