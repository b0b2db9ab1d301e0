"""Sampled rows against what their pattern says, recomputed row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.data import Simulation, Transactions, simulate
from secure_fl.data.simulator import DAY, SCHEMA
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import (
    Amount,
    CategoryWeight,
    FraudPattern,
    Gaps,
    Hours,
    Number,
)
from secure_fl.data.synthetic.population import Population, population
from secure_fl.data.synthetic.sampler import Sample, sample, sample_campaigns
from secure_fl.data.transactions import Schema
from secure_fl.errors import ConfigurationError

TABLE = simulate(Simulation(transactions=8_000, days=100, fraud_share=0.01, seed=4))
HOST = population(TABLE)
SHAPES = ("uniform", "mostly low", "mostly high", "log-uniform")


@st.composite
def patterns(draw: st.DrawFn) -> FraudPattern:
    """Any pattern whose sequences are short enough for the table."""

    def number(most: int) -> Number:
        low = draw(st.integers(1, most))
        return Number(low=low, high=draw(st.integers(low, most)))

    def ends(low: float, high: float) -> tuple[float, float]:
        first, second = sorted((draw(st.floats(low, high)), draw(st.floats(low, high))))
        return round(first, 2), round(second, 2)

    basis: Any = draw(st.sampled_from(["currency", "customer mean"]))
    low, high = ends(0.01, 500.0 if basis == "currency" else 20.0)
    gap_low, gap_high = ends(1.0, 40_000.0)
    kinds: list[Any] = draw(st.lists(st.sampled_from(list(HOST.terminals)), min_size=1, max_size=4, unique=True))
    return FraudPattern(
        name="Any pattern",
        description="A pattern of the test.",
        amount=Amount(
            basis=basis,
            low=low,
            high=high,
            shape=draw(st.sampled_from(SHAPES)),
            course=draw(st.sampled_from(["independent", "rising", "falling"])),
        ),
        categories=tuple(CategoryWeight(category=kind, weight=draw(st.floats(0.01, 10.0))) for kind in kinds),
        payments=number(8),
        gaps=Gaps(low=gap_low, high=gap_high + 1.0, shape=draw(st.sampled_from(SHAPES))),
        hours=Hours(first=draw(st.integers(0, 23)), length=draw(st.integers(1, 24))),
        velocity=draw(st.integers(1, 8)),
        accounts=number(12),
        account_origin=draw(st.sampled_from(["existing", "fresh"])),
        terminals=number(5),
        terminal_origin=draw(st.sampled_from(["existing", "fresh"])),
        duration_days=draw(st.floats(15.0, 40.0)),
        channel="online",
        countries=("BE",),
    )


def sequences(drawn: Sample) -> list[np.ndarray[Any, Any]]:
    """Rows of each sequence, in order of time."""
    return [np.flatnonzero(drawn.sequence == number) for number in np.unique(drawn.sequence)]


@settings(max_examples=60)
@given(patterns(), st.integers(1, 400), st.integers(0, 2**32))
def test_every_row_keeps_to_the_pattern(pattern: FraudPattern, count: int, seed: int) -> None:
    drawn = sample_campaigns(pattern, count, HOST, np.random.default_rng(seed), number=9)
    rows = drawn.rows
    when, amount = rows.when, rows.numeric["amount"]
    assert len(rows) == count
    assert rows.schema == SCHEMA
    assert rows.fraud.all()
    assert set(rows.pattern) == {9}
    assert np.array_equal(when, rows.numeric["time"])
    assert np.all(when == np.round(when))
    assert np.all(np.diff(when) >= 0)
    assert TABLE.when.min() <= when.min()
    assert when.max() <= TABLE.when.max()
    assert np.allclose(amount * 100, np.round(amount * 100), atol=1e-6)
    hours = (when - pattern.hours.first * 3600) % DAY
    assert np.all(hours < pattern.hours.length * 3600)
    _check_parties(pattern, drawn)
    _check_amounts(pattern, rows)
    for sequence in sequences(drawn):
        _check_sequence(pattern, drawn, sequence)


def _check_parties(pattern: FraudPattern, drawn: Sample) -> None:
    text = drawn.rows.text
    kinds = dict(zip(TABLE.text["terminal"], TABLE.text["category"], strict=True))
    known = {"existing": set(TABLE.text["customer"]), "fresh": set(text["customer"]) - set(TABLE.text["customer"])}
    assert set(text["customer"]) <= known[pattern.account_origin]
    assert set(text["category"]) <= {share.category for share in pattern.categories}
    if pattern.terminal_origin == "existing":
        assert all(kinds[place] == kind for place, kind in zip(text["terminal"], text["category"], strict=True))
    else:
        assert not set(text["terminal"]) & set(kinds)
    for campaign in np.unique(drawn.campaign):
        hit = drawn.campaign == campaign
        assert len(set(text["terminal"][hit])) <= pattern.terminals.high
        assert len(set(text["customer"][hit])) == len(set(drawn.sequence[hit])) <= pattern.accounts.high
        when = drawn.rows.when[hit]
        assert when[-1] - when[0] <= pattern.duration_days * DAY


def _check_amounts(pattern: FraudPattern, rows: Transactions) -> None:
    amount = rows.numeric["amount"]
    if pattern.amount.basis == "currency":
        assert pattern.amount.low - 1e-9 <= amount.min()
        assert amount.max() <= pattern.amount.high + 1e-9
    elif pattern.account_origin == "existing":
        honest = ~TABLE.fraud
        for customer in set(rows.text["customer"]):
            paid = TABLE.numeric["amount"][honest & (TABLE.text["customer"] == customer)]
            if paid.size:
                own = amount[rows.text["customer"] == customer]
                assert pattern.amount.low * paid.mean() - 0.006 <= own.min() + 0.01 * (own.min() <= 0.01)
                assert own.max() <= max(0.01, pattern.amount.high * paid.mean() + 0.006)


def _check_sequence(pattern: FraudPattern, drawn: Sample, sequence: np.ndarray[Any, Any]) -> None:
    when, amount = drawn.rows.when[sequence], drawn.rows.numeric["amount"][sequence]
    last = drawn.campaign[sequence[0]] == drawn.campaign.max()
    assert sequence.size <= pattern.payments.high
    assert sequence.size >= pattern.payments.low or last  # the exact count may cut the last campaign
    assert np.all(np.diff(when) >= np.ceil(pattern.gaps.low))
    if pattern.hours.length == 24 and pattern.velocity >= sequence.size:
        assert np.all(np.diff(when) <= pattern.gaps.high)
    assert np.all(when[pattern.velocity :] - when[: -pattern.velocity] >= DAY)
    sign = {"independent": 0, "rising": 1, "falling": -1}[pattern.amount.course]
    assert np.all(sign * np.diff(amount) >= 0)
    assert len(set(drawn.rows.text["customer"][sequence])) == 1


@given(patterns(), st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_rows(pattern: FraudPattern, seed: int) -> None:
    first, again = (sample(pattern, 50, TABLE, np.random.default_rng(seed)) for _ in range(2))
    for name in first.numeric:
        np.testing.assert_array_equal(first.numeric[name], again.numeric[name])
    for name in first.text:
        np.testing.assert_array_equal(first.text[name], again.text[name])


def test_categories_are_drawn_in_their_proportions() -> None:
    pattern = next(p.pattern for p in library() if p.pattern.name == "Account takeover")
    categories = sample(pattern, 20_000, TABLE, np.random.default_rng(2)).text["category"]
    total = sum(share.weight for share in pattern.categories)
    for share in pattern.categories:
        assert np.mean(categories == share.category) == pytest.approx(share.weight / total, abs=0.02)


@pytest.mark.parametrize(
    ("shape", "median"), [("uniform", 50.5), ("mostly low", 30.0), ("mostly high", 71.0), ("log-uniform", 10.0)]
)
def test_shapes_have_their_medians(shape: Any, median: float) -> None:
    base = library()[0].pattern
    pattern = base.model_copy(update={"amount": Amount(basis="currency", low=1.0, high=100.0, shape=shape)})
    amounts = sample(pattern, 20_000, TABLE, np.random.default_rng(3)).numeric["amount"]
    assert np.median(amounts) == pytest.approx(median, abs=1.5)


def test_two_hundred_thousand_rows() -> None:
    drawn = sample(library()[0].pattern, 200_000, TABLE, np.random.default_rng(5))
    assert len(drawn) == 200_000


def test_a_table_that_patterns_cannot_describe_is_refused() -> None:
    ulb = Schema(label="Class", time="Time", amount="Amount", numeric=("V1",))
    rows = Transactions(
        schema=ulb,
        numeric={name: np.zeros(2) for name in ulb.numbers},
        text={},
        fraud=np.zeros(2, dtype=np.bool_),
        pattern=np.zeros(2, dtype=np.int8),
        when=np.zeros(2),
    )
    with pytest.raises(ConfigurationError, match="principal components"):
        sample(library()[0].pattern, 5, rows, np.random.default_rng(0))


def test_a_pattern_that_finds_no_room_is_named() -> None:
    slow = next(p.pattern for p in library() if p.pattern.name == "Low and slow")
    short = TABLE.take(TABLE.when < 5 * DAY)
    with pytest.raises(ConfigurationError, match="'Low and slow' find no room"):
        sample(slow, 5, short, np.random.default_rng(0))
    lonely = Population(0, 10**7, HOST.customers[:2], HOST.mean_amount[:2], HOST.terminals)
    with pytest.raises(ConfigurationError, match="hits at least 10 customers and the table has 2"):
        sample_campaigns(library()[0].pattern, 5, lonely, np.random.default_rng(0))
    bare = Population(0, 10**7, HOST.customers, HOST.mean_amount, {})
    with pytest.raises(ConfigurationError, match="no terminal of the categories"):
        sample_campaigns(library()[0].pattern, 5, bare, np.random.default_rng(0))


@pytest.mark.parametrize(("count", "number"), [(0, 4), (5, 0), (5, 128)])
def test_numbers_out_of_range_are_refused(count: int, number: int) -> None:
    with pytest.raises(ConfigurationError, match="cannot be drawn"):
        sample(library()[0].pattern, count, TABLE, np.random.default_rng(0), number)
