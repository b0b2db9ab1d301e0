"""Simulated card transactions: customers, terminals and three kinds of fraud. Real banks cannot share theirs.

The simulator of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine
Learning for Credit Card Fraud Detection - Practical Handbook", ULB 2022, chapter 3), vectorized:
customers and terminals lie in a square of 100 x 100; a customer has a mean amount in U(5, 100), a number of payments
a day in U(0, 4), and pays at the terminals within a radius of 5. Fraud comes in three patterns:
  1 large amount:        payments above 220;
  2 compromised terminal: every payment at it for 28 days;
  3 leaked card:         a third of the customer's payments for 14 days, with five times the amount.

Differences, on purpose:
- The number of payments and the share of fraud are exact. The Handbook draws Poisson counts per customer and day;
  given their total, these are multinomial, and that is drawn here.
- Terminals have a merchant category, which shifts amounts a little and the risk of being compromised.
- Campaigns of patterns 2 and 3 start evenly over the whole time, as many as the share of fraud asks for.
- `large_amount_fraud` of the payments above 220 are fraud (Handbook: all); the other large ones are drawn again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.transactions import Schema, Transactions
from secure_fl.errors import ConfigurationError

DAY = 86_400
SCHEMA = Schema(
    label="fraud",
    time="time",
    amount="amount",
    categorical=("category",),
    identifiers=("customer", "terminal"),
    calendar=True,
)
"""Columns of simulated transactions; time is in seconds since the midnight that starts day 0, a Monday."""
PATTERNS = ("large amount", "compromised terminal", "leaked card")
"""Names of the fraud patterns 1, 2, 3."""
LARGE_AMOUNT = 220.0
_RADIUS = 5.0
_PATTERN_MIX = (0.10, 0.55, 0.35)
_TERMINAL_DAYS, _CARD_DAYS = 28, 14
_CARD_SHARE, _CARD_FACTOR = 1 / 3, 5.0
_GOLDEN = 0.6180339887498949
_CATEGORIES = ("grocery", "restaurant", "fuel", "clothing", "pharmacy", "electronics", "travel", "online")
_CATEGORY_SHARE = np.array([0.28, 0.20, 0.12, 0.11, 0.10, 0.07, 0.04, 0.08])
_CATEGORY_AMOUNT = np.array([0.85, 0.80, 1.00, 1.05, 0.80, 1.25, 1.25, 1.00])
_CATEGORY_RISK = np.array([0.5, 1.0, 2.0, 0.8, 0.5, 2.0, 1.5, 2.5])


@dataclass(frozen=True)
class Simulation:
    """Settings of one simulation. Raises ConfigurationError if they are out of range."""

    transactions: int = 200_000
    """Exact number of payments."""
    days: int = 183
    customers: int | None = None
    """None: as many as pay 1.94 times a day on average, as in the Handbook."""
    terminals: int | None = None
    """None: two per customer, as in the Handbook."""
    fraud_share: float = 0.005
    """Exact share of fraud, up to rounding; the Handbook's is 0.008."""
    large_amount_fraud: float = 0.8
    """Share of fraud among the payments above 220 that no campaign explains."""
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "transactions": (self.transactions, 100, 100_000_000),
            "days": (self.days, 14, 3660),
            "customers": (1 if self.customers is None else self.customers, 1, 10_000_000),
            "terminals": (1 if self.terminals is None else self.terminals, 1, 10_000_000),
            "fraud_share": (self.fraud_share, 0.0001, 0.2),
            "large_amount_fraud": (self.large_amount_fraud, 0.1, 1.0),
            "seed": (self.seed, 0, 2**63),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ConfigurationError(f"{name} of the simulation is {value}; choose {low} to {high}")
        if round(self.fraud_share * self.transactions) < len(PATTERNS):
            raise ConfigurationError(
                f"a fraud_share of {self.fraud_share} leaves fewer than {len(PATTERNS)} frauds among "
                f"{self.transactions} transactions; raise one of them"
            )


@dataclass(eq=False)
class _Payments:
    """The table while it is being made; n payments in order of time."""

    when: NDArray[np.int64]
    customer: NDArray[np.int64]
    terminal: NDArray[np.int64]
    amount: NDArray[np.float64]
    mean: NDArray[np.float64]
    """The customer's mean amount."""
    pattern: NDArray[np.int8]


def simulate(simulation: Simulation) -> Transactions:
    """All banks' transactions in order of time, with the columns of `SCHEMA` and patterns 1 to 3.

    The same settings give the same rows. Raises ConfigurationError if so much fraud cannot be placed.
    """
    rng = np.random.default_rng(simulation.seed)
    customers = simulation.customers or max(10, math.ceil(simulation.transactions / (1.94 * simulation.days)))
    terminals = simulation.terminals or 2 * customers
    category = rng.choice(len(_CATEGORIES), size=terminals, p=_CATEGORY_SHARE)
    payments = _draw_payments(simulation, customers, terminals, category, rng)
    _commit_fraud(simulation, payments, category, rng)
    return Transactions(
        schema=SCHEMA,
        numeric={"time": payments.when.astype(np.float64), "amount": np.round(payments.amount, 2)},
        text={
            "category": np.array(_CATEGORIES, dtype=np.object_)[category[payments.terminal]],
            "customer": _names("C", customers)[payments.customer],
            "terminal": _names("T", terminals)[payments.terminal],
        },
        fraud=payments.pattern > 0,
        pattern=payments.pattern,
        when=payments.when.astype(np.float64),
    )


def _draw_payments(
    simulation: Simulation,
    customers: int,
    terminals: int,
    category: NDArray[np.int64],
    rng: np.random.Generator,
) -> _Payments:
    """Who pays when, where and how much, before any fraud."""
    n = simulation.transactions
    mean, rate = rng.uniform(5, 100, size=customers), rng.uniform(0, 4, size=customers)
    when = rng.integers(simulation.days, size=n) * DAY + _seconds_of_day(n, rng)
    when.sort()
    customer = rng.choice(customers, size=n, p=rate / rate.sum())
    terminal = _choose_terminals(customer, customers, terminals, rng)
    own_mean = mean[customer] * _CATEGORY_AMOUNT[category[terminal]]
    amount = rng.normal(own_mean, own_mean / 2)
    negative = amount < 0
    amount[negative] = rng.uniform(0, 2 * own_mean[negative])
    return _Payments(when, customer, terminal, amount, own_mean, np.zeros(n, dtype=np.int8))


def _seconds_of_day(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 [n]: around noon, N(43200, 20000) inside the day."""
    seconds = rng.normal(DAY / 2, 20_000, size=n)
    while (outside := (seconds < 0) | (seconds >= DAY)).any():
        seconds[outside] = rng.normal(DAY / 2, 20_000, size=int(outside.sum()))
    return seconds.astype(np.int64)


def _choose_terminals(
    customer: NDArray[np.int64], customers: int, terminals: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """int64 [n]: for each payment one of the terminals within the customer's radius, or else the nearest one."""
    home, place = rng.uniform(0, 100, size=(customers, 2)), rng.uniform(0, 100, size=(terminals, 2))
    near: list[NDArray[np.int64]] = []
    counts: list[NDArray[np.int64]] = []
    block = max(1, 20_000_000 // terminals)
    for start in range(0, customers, block):
        here = home[start : start + block, None, :]
        distance = np.square(here[..., 0] - place[:, 0]) + np.square(here[..., 1] - place[:, 1])
        reachable = distance <= _RADIUS**2
        lonely = np.flatnonzero(~reachable.any(axis=1))
        reachable[lonely, distance[lonely].argmin(axis=1)] = True
        near.append(np.nonzero(reachable)[1])
        counts.append(reachable.sum(axis=1))
    count = np.concatenate(counts)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    pick = first[customer] + (rng.random(customer.shape[0]) * count[customer]).astype(np.int64)
    chosen: NDArray[np.int64] = np.concatenate(near)[pick]
    return chosen


def _commit_fraud(
    simulation: Simulation, payments: _Payments, category: NDArray[np.int64], rng: np.random.Generator
) -> None:
    """Mark exactly the wanted number of payments as fraud, and change their amounts as the patterns say."""
    wanted = round(simulation.fraud_share * simulation.transactions)
    large, leaked = (max(1, round(wanted * _PATTERN_MIX[index])) for index in (0, 2))
    days = simulation.days
    card = _campaigns(payments, payments.customer, None, days, _CARD_DAYS, _CARD_SHARE, leaked, rng)
    payments.pattern[card] = 3
    payments.amount[card] *= _CARD_FACTOR

    candidates = rng.permutation(np.flatnonzero((payments.amount > LARGE_AMOUNT) & (payments.pattern == 0)))
    chosen, others = np.split(candidates, [min(large, round(candidates.size * simulation.large_amount_fraud))])
    payments.pattern[chosen] = 1

    risk = _CATEGORY_RISK[category]
    rest = wanted - card.size - chosen.size
    payments.pattern[_campaigns(payments, payments.terminal, risk, days, _TERMINAL_DAYS, 1.0, rest, rng)] = 2

    allowed = round(chosen.size * (1 / simulation.large_amount_fraud - 1))
    others = others[payments.pattern[others] == 0][allowed:]
    payments.amount[others] = rng.uniform(0, np.minimum(2 * payments.mean[others], LARGE_AMOUNT))


def _campaigns(
    payments: _Payments,
    party: NDArray[np.int64],
    risk: NDArray[np.float64] | None,
    days: int,
    length: int,
    share: float,
    wanted: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """int64 [wanted]: honest payments that campaigns turn into fraud.

    A campaign hits one party (a customer or a terminal; drawn with weight `risk`) for `length` days and takes each of
    its payments with probability `share`. Campaigns are added until enough payments are hit.
    """
    span = (days + length) * DAY
    keys = party * span + payments.when
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    parties = int(party.max()) + 1
    weights = None if risk is None else risk[:parties] / risk[:parties].sum()
    phase, number = rng.random(), 16 + 4 * wanted * parties * days // (len(party) * length)
    hit = np.empty(0, dtype=np.int64)
    for attempt in range(12):
        who = rng.choice(parties, size=number, p=weights)
        start = np.floor((phase + _GOLDEN * (attempt * number + np.arange(number))) % 1.0 * days).astype(np.int64) * DAY
        low = np.searchsorted(keys, who * span + start)
        high = np.searchsorted(keys, who * span + start + length * DAY)
        rows = order[_ranges(low, high)]
        rows = rows[(rng.random(rows.shape[0]) < share) & (payments.pattern[rows] == 0)]
        hit = np.concatenate([hit, rows])
        hit = hit[np.sort(np.unique(hit, return_index=True)[1])]
        if hit.size >= wanted:
            return hit[:wanted]
    raise ConfigurationError("so much fraud finds no place among these customers; lower fraud_share or add customers")


def _ranges(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """low[0], ..., high[0] - 1, low[1], ..., high[1] - 1, and so on."""
    lengths = high - low
    ends = np.cumsum(lengths)
    rows: NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(low - ends + lengths, lengths)
    return rows


def _names(letter: str, number: int) -> NDArray[np.object_]:
    width = len(str(number - 1))
    names = np.empty(number, dtype=np.object_)
    names[:] = [f"{letter}{index:0{width}d}" for index in range(number)]
    return names
