"""The simulator: exact counts, the meaning of each fraud pattern, the Handbook's distributions, determinism."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.data import PATTERNS, Simulation, Transactions, simulate
from secure_fl.data.simulator import DAY, LARGE_AMOUNT
from secure_fl.errors import ConfigurationError


@pytest.fixture(scope="module")
def large() -> Transactions:
    return simulate(Simulation(transactions=200_000, fraud_share=0.008, seed=1))


@settings(max_examples=25, deadline=None)
@given(
    transactions=st.integers(3_000, 8_000),
    days=st.integers(14, 60),
    fraud_share=st.sampled_from([0.001, 0.005, 0.05, 0.2]),
    large_amount_fraud=st.sampled_from([0.1, 0.5, 1.0]),
    seed=st.integers(0, 1_000),
)
def test_counts_are_exact_and_rows_are_valid(
    transactions: int, days: int, fraud_share: float, large_amount_fraud: float, seed: int
) -> None:
    table = simulate(Simulation(transactions, days, None, None, fraud_share, large_amount_fraud, seed))
    assert len(table) == transactions
    assert table.fraud.sum() == round(fraud_share * transactions)
    assert set(np.unique(table.pattern)) <= {0, 1, 2, 3}
    assert np.all(np.diff(table.when) >= 0)
    assert table.when.min() >= 0
    assert table.when.max() < days * DAY
    assert table.numeric["amount"].min() >= 0


@pytest.mark.parametrize("share", [0.001, 0.005, 0.02])
def test_the_share_of_fraud_is_met_and_every_pattern_occurs(share: float) -> None:
    table = simulate(Simulation(transactions=50_000, fraud_share=share))
    assert table.fraud.mean() == pytest.approx(share, rel=0.1)
    assert set(np.unique(table.pattern)) == {0, 1, 2, 3}
    assert len(PATTERNS) == 3


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    first, again, other = (simulate(Simulation(transactions=2_000, fraud_share=0.02, seed=s)) for s in (5, 5, 6))
    for name in first.numeric:
        np.testing.assert_array_equal(first.numeric[name], again.numeric[name])
        assert not np.array_equal(first.numeric[name], other.numeric[name])
    for name in first.text:
        np.testing.assert_array_equal(first.text[name], again.text[name])
    np.testing.assert_array_equal(first.pattern, again.pattern)


def test_large_amounts_are_fraud_as_often_as_asked() -> None:
    for share in (1.0, 0.5):
        table = simulate(Simulation(transactions=100_000, fraud_share=0.005, large_amount_fraud=share, seed=2))
        amount = table.numeric["amount"]
        assert amount[table.pattern == 1].min() > LARGE_AMOUNT
        alone = (amount > LARGE_AMOUNT) & ((table.pattern == 1) | (table.pattern == 0))
        assert (table.pattern[alone] == 1).mean() == pytest.approx(share, abs=0.02)


def test_a_compromised_terminal_is_fraudulent_for_28_days_on_end(large: Transactions) -> None:
    """Between the first and the last fraud of a campaign no payment at the terminal is honest."""
    terminal, when, pattern = large.text["terminal"], large.when, large.pattern
    checked = 0
    for name in np.unique(terminal[pattern == 2].astype(str))[:20]:
        own = terminal == name
        times = when[own & (pattern == 2)]
        if times[-1] - times[0] < 28 * DAY:
            inside = own & (when >= times[0]) & (when <= times[-1])
            assert not np.any(pattern[inside] == 0)
            checked += 1
    assert checked >= 10


def test_a_leaked_card_pays_five_times_as_much_for_a_third_of_14_days(large: Transactions) -> None:
    customer, when, pattern, amount = large.text["customer"], large.when, large.pattern, large.numeric["amount"]
    ratios, shares = [], []
    for name in np.unique(customer[pattern == 3].astype(str)):
        own = customer == name
        times = when[own & (pattern == 3)]
        if len(times) >= 3 and times[-1] - times[0] < 14 * DAY:
            ratios.append(amount[own & (pattern == 3)].mean() / amount[own & (pattern == 0)].mean())
            inside = own & (when >= times[0]) & (when <= times[-1])
            shares.append((pattern[inside] == 3).mean())
    assert len(ratios) >= 20
    assert np.mean(ratios) == pytest.approx(5.0, rel=0.15)
    assert 0.3 < np.mean(shares) < 0.55


def test_customers_pay_as_in_the_handbook(large: Transactions) -> None:
    """Means in U(5, 100), deviation half of the mean, up to 4 payments a day, around noon."""
    honest = large.take(large.pattern == 0)
    _, customer = np.unique(honest.text["customer"].astype(str), return_inverse=True)
    count = np.bincount(customer)
    mean = np.bincount(customer, honest.numeric["amount"]) / count
    often = count > 100
    assert 3.0 < mean[often].min() < 10.0
    assert 85.0 < mean[often].max() < 125.0
    assert (count / 183).max() < 4.6
    assert (count / 183).mean() == pytest.approx(1.94, rel=0.05)
    spread = np.array([honest.numeric["amount"][customer == c].std() / mean[c] for c in np.flatnonzero(often)[:50]])
    assert spread.mean() == pytest.approx(0.5, abs=0.06)
    hour = honest.when % DAY / 3600
    assert hour.mean() == pytest.approx(12.0, abs=0.1)
    assert hour.std() == pytest.approx(4.9, abs=0.3)


def test_a_customer_stays_near_home_and_a_terminal_has_one_category(large: Transactions) -> None:
    pairs = set(zip(large.text["customer"], large.text["terminal"], strict=True))
    customers = len(set(large.text["customer"]))
    assert len(pairs) / customers < 20
    labels = set(zip(large.text["terminal"], large.text["category"], strict=True))
    assert len(labels) == len(set(large.text["terminal"]))


def test_a_lonely_customer_pays_at_the_nearest_terminal() -> None:
    table = simulate(Simulation(transactions=1_000, customers=50, terminals=1, fraud_share=0.01))
    assert set(table.text["terminal"]) == {"T0"}


@pytest.mark.slow
def test_a_million_rows_are_feasible() -> None:
    table = simulate(Simulation(transactions=1_000_000, fraud_share=0.001))
    assert len(table) == 1_000_000
    assert table.fraud.sum() == 1_000


@pytest.mark.parametrize(
    "settings",
    [
        {"transactions": 10},
        {"days": 3},
        {"customers": 0},
        {"terminals": 0},
        {"fraud_share": 0.0},
        {"fraud_share": 0.5},
        {"fraud_share": float("nan")},
        {"large_amount_fraud": 0.0},
        {"seed": -1},
        {"transactions": 1_000, "fraud_share": 0.001},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="; "):
        Simulation(**settings)


BOUNDS: dict[str, tuple[float, float, float, float]] = {
    "transactions": (99, 100, 100_000_000, 100_000_001),
    "days": (13, 14, 3660, 3661),
    "customers": (0, 1, 10_000_000, 10_000_001),
    "terminals": (0, 1, 10_000_000, 10_000_001),
    "fraud_share": (0.00009, 0.0001, 0.2, 0.2001),
    "large_amount_fraud": (0.09, 0.1, 1.0, 1.01),
    "seed": (-1, 0, 2**63, 2**64),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_settings_go_as_far_as_their_bounds(name: str) -> None:
    below, lowest, highest, above = BOUNDS[name]
    usual = {"fraud_share": 0.05, "transactions": 200_000}
    for value in (lowest, highest):
        Simulation(**usual | {name: value})  # type: ignore[arg-type]
    for value in (below, above):
        with pytest.raises(ConfigurationError, match=f"{name} of the simulation is {value}; choose"):
            Simulation(**usual | {name: value})  # type: ignore[arg-type]


def test_three_frauds_are_enough_and_two_are_not() -> None:
    assert simulate(Simulation(transactions=1_000, fraud_share=0.003)).fraud.sum() == 3
    with pytest.raises(ConfigurationError, match="fewer than 3 frauds among 1000"):
        Simulation(transactions=1_000, fraud_share=0.002)


def test_patterns_and_categories_come_in_their_shares(large: Transactions) -> None:
    frauds = np.bincount(large.pattern, minlength=4)[1:] / large.fraud.sum()
    assert frauds.tolist() == pytest.approx([0.10, 0.55, 0.35], abs=0.02)
    _, first = np.unique(large.text["terminal"].astype(str), return_index=True)
    kinds = large.text["category"][first]
    shares = {"grocery": 0.28, "restaurant": 0.20, "fuel": 0.12, "clothing": 0.11, "pharmacy": 0.10}
    for kind, share in (shares | {"electronics": 0.07, "travel": 0.04, "online": 0.08}).items():
        assert np.mean(kinds == kind) == pytest.approx(share, abs=0.035), kind
    risky = np.isin(large.text["category"], ["fuel", "electronics", "online"])
    safe = np.isin(large.text["category"], ["grocery", "pharmacy"])
    risk, safety = ((large.pattern[part] == 2).mean() for part in (risky, safe))
    assert risk > 2 * safety, "a terminal is compromised by the risk of its category"
    honest = large.pattern == 0
    means = [
        large.numeric["amount"][honest & (large.text["category"] == kind)].mean() for kind in ("pharmacy", "travel")
    ]
    assert means[1] > 1.2 * means[0]


def test_amounts_are_hundredths_and_names_as_long_as_they_must_be(large: Transactions) -> None:
    amount = large.numeric["amount"]
    np.testing.assert_array_equal(amount, np.round(amount, 2))
    assert len(set(large.text["customer"])) == pytest.approx(200_000 / (1.94 * 183), rel=0.03)
    assert len(set(large.text["terminal"])) > 1.2 * len(set(large.text["customer"]))
    table = simulate(Simulation(transactions=2_000, customers=10, terminals=11, fraud_share=0.01))
    assert set(table.text["customer"]) == {f"C{number}" for number in range(10)}
    assert set(table.text["terminal"]) <= {f"T{number:02}" for number in range(11)}
    defaults = simulate(Simulation(transactions=2_000, customers=10, fraud_share=0.01)).text["terminal"]
    assert set(defaults) <= {f"T{number:02}" for number in range(20)}
    assert max(map(str, defaults)) > "T11"
