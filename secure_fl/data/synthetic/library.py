"""Built-in fraud patterns, for work without a language model. Every proposal says that it is built in.

Rules: the patterns are hand-written after kinds of fraud that are widely described (each has its reference line);
their numbers are chosen for the simulated transactions, whose customers pay 5 to 100 on average, and were not
estimated from anybody's data. They are proposals like any other: they pass validation and review before training.
"""

from __future__ import annotations

from typing import Any, Literal

from secure_fl.data.synthetic.patterns import (
    Amount,
    CategoryWeight,
    Course,
    FraudPattern,
    Gaps,
    Hours,
    Number,
    Proposal,
    Provenance,
    Shape,
)
from secure_fl.errors import ConfigurationError

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
_ALL_DAY = Hours(first=0, length=24)
_HANDBOOK = "Fraud Detection Handbook (Le Borgne et al. 2022), chapter 3"


def library(count: int | None = None) -> tuple[Proposal, ...]:
    """The first `count` built-in proposals, or all. Raises ConfigurationError if there are not so many."""
    if count is not None and not 1 <= count <= len(_LIBRARY):
        raise ConfigurationError(
            f"the built-in library has {len(_LIBRARY)} patterns, not {count}; ask for 1 to {len(_LIBRARY)}, or name a "
            "language model's endpoint instead of --built-in"
        )
    return _LIBRARY[:count]


def _currency(low: float, high: float, shape: Shape = "uniform", course: Course = "independent") -> Amount:
    return Amount(basis="currency", low=low, high=high, shape=shape, course=course)


def _multiple(low: float, high: float, shape: Shape = "uniform", course: Course = "independent") -> Amount:
    return Amount(basis="customer mean", low=low, high=high, shape=shape, course=course)


def _built_in(
    name: str,
    reference: str,
    description: str,
    *,
    categories: dict[Any, float],
    payments: tuple[int, int],
    gaps: tuple[float, float],
    accounts: tuple[int, int] = (1, 1),
    terminals: tuple[int, int],
    gap_shape: Shape = "log-uniform",
    hours: Hours = _ALL_DAY,
    origin: Literal["existing", "fresh"] = "existing",
    countries: tuple[str, ...] = ("BE",),
    **fields: Any,
) -> Proposal:
    pattern = FraudPattern(
        name=name,
        description=description,
        categories=tuple(CategoryWeight(category=kind, weight=weight) for kind, weight in categories.items()),
        payments=Number(low=payments[0], high=payments[1]),
        gaps=Gaps(low=gaps[0], high=gaps[1], shape=gap_shape),
        hours=hours,
        accounts=Number(low=accounts[0], high=accounts[1]),
        account_origin=origin,
        terminals=Number(low=terminals[0], high=terminals[1]),
        countries=countries,
        **{"terminal_origin": "existing", **fields},
    )
    return Proposal(pattern=pattern, provenance=Provenance(source="built-in library", reference=reference))


_LIBRARY: tuple[Proposal, ...] = (
    _built_in(
        "Card testing by a script",
        "Card testing, also called carding or account checking",
        "Stolen card numbers are tried with tiny online payments, seconds apart, to see which of them still work.",
        amount=_currency(0.5, 3.0),
        categories={"online": 1.0},
        payments=(2, 6),
        gaps=(2.0, 90.0),
        velocity=20,
        accounts=(10, 40),
        terminals=(1, 2),
        duration_days=0.25,
        channel="online",
        countries=("NL", "RO", "US"),
    ),
    _built_in(
        "Card testing, then a large purchase",
        "Card testing followed by the cash-out",
        "One small payment proves that the card works; within hours it is followed by ever larger ones for goods.",
        amount=_currency(1.0, 900.0, "log-uniform", "rising"),
        categories={"online": 3.0, "electronics": 2.0},
        payments=(3, 6),
        gaps=(3 * MINUTE, 3 * HOUR),
        velocity=8,
        terminals=(2, 4),
        duration_days=1.0,
        channel="online",
        countries=("BE", "FR"),
    ),
    _built_in(
        "Account takeover",
        "Account takeover: credentials phished, limits raised, then goods that sell again",
        "With stolen credentials the account is emptied through expensive orders in one evening.",
        amount=_multiple(3.0, 9.0, "mostly high"),
        categories={"online": 2.0, "electronics": 2.0, "clothing": 1.0},
        payments=(3, 8),
        gaps=(5 * MINUTE, 2 * HOUR),
        hours=Hours(first=17, length=8),
        velocity=10,
        terminals=(3, 6),
        duration_days=2.0,
        channel="online",
        countries=("BE", "DE"),
    ),
    _built_in(
        "Compromised terminal",
        f"{_HANDBOOK}: scenario 2",
        "A manipulated terminal copies every card; the copies are used at the same shop for ordinary amounts.",
        amount=_multiple(0.6, 1.8),
        categories={"fuel": 2.0, "restaurant": 1.0, "electronics": 1.0},
        payments=(1, 2),
        gaps=(6 * HOUR, 9 * DAY),
        hours=Hours(first=7, length=16),
        velocity=2,
        accounts=(15, 60),
        terminals=(1, 1),
        duration_days=28.0,
        channel="card present",
    ),
    _built_in(
        "Leaked card, spent over two weeks",
        f"{_HANDBOOK}: scenario 3",
        "Leaked card details are used beside the owner's own payments, with amounts several times the usual.",
        amount=_multiple(3.5, 6.5),
        categories={"grocery": 2.0, "restaurant": 2.0, "clothing": 1.0, "online": 2.0, "electronics": 1.0},
        payments=(4, 12),
        gaps=(6 * HOUR, 2 * DAY),
        velocity=3,
        terminals=(5, 12),
        duration_days=14.0,
        channel="online",
    ),
    _built_in(
        "Gift cards in round after round",
        "Gift card fraud: value that is passed on at once and cannot be recalled",
        "Gift cards are bought in the same few shops, several in a row, each below the amount that asks for approval.",
        amount=_currency(90.0, 200.0, "mostly high"),
        categories={"grocery": 2.0, "pharmacy": 1.0, "electronics": 1.0},
        payments=(3, 8),
        gaps=(MINUTE, 25 * MINUTE),
        hours=Hours(first=9, length=12),
        velocity=8,
        terminals=(1, 3),
        duration_days=1.0,
        channel="card present",
    ),
    _built_in(
        "Travel burst",
        "Stolen cards used for trips that start before the owner sees a statement",
        "Tickets and hotel nights for other people are booked within a day, far above the customer's usual sums.",
        amount=_currency(280.0, 1800.0, "mostly low"),
        categories={"travel": 4.0, "online": 1.0},
        payments=(2, 5),
        gaps=(10 * MINUTE, 5 * HOUR),
        velocity=5,
        terminals=(1, 3),
        duration_days=1.5,
        channel="online",
        countries=("ES", "TR", "TH"),
    ),
    _built_in(
        "Mule accounts in concert",
        "Money mules: many accounts steered by one hand",
        "A ring pays from many accounts to the same few merchants within days; each payment alone looks harmless.",
        amount=_multiple(1.5, 3.5),
        categories={"online": 2.0, "electronics": 1.0},
        payments=(2, 5),
        gaps=(2 * HOUR, 20 * HOUR),
        hours=Hours(first=8, length=14),
        velocity=3,
        accounts=(12, 40),
        terminals=(1, 3),
        duration_days=5.0,
        channel="online",
        countries=("BE", "LT", "CY"),
    ),
    _built_in(
        "Bust-out of a new account",
        "Bust-out fraud with synthetic identities",
        "A new customer pays small sums for weeks to earn trust, then spends as much as the limit allows and vanishes.",
        amount=_currency(8.0, 1500.0, "log-uniform", "rising"),
        categories={"grocery": 2.0, "clothing": 1.0, "electronics": 3.0, "travel": 1.0},
        payments=(10, 25),
        gaps=(8 * HOUR, 3 * DAY),
        velocity=3,
        origin="fresh",
        terminals=(6, 12),
        duration_days=60.0,
        channel="card present",
    ),
    _built_in(
        "Night-time orders",
        "Use while the owner sleeps, so that messages about payments stay unread",
        "Online orders between one and five in the morning, a few each night, for moderately raised amounts.",
        amount=_multiple(1.8, 4.0),
        categories={"online": 1.0},
        payments=(3, 10),
        gaps=(4 * MINUTE, 90 * MINUTE),
        hours=Hours(first=1, length=4),
        velocity=4,
        terminals=(2, 5),
        duration_days=6.0,
        channel="online",
    ),
    _built_in(
        "Low and slow",
        "Fraud kept below the thresholds of velocity rules",
        "Ordinary amounts, once in some days, at places the customer could well visit, for months.",
        amount=_multiple(0.8, 1.6),
        categories={"grocery": 3.0, "fuel": 2.0, "restaurant": 2.0, "pharmacy": 1.0},
        payments=(6, 14),
        gaps=(2 * DAY, 6 * DAY),
        gap_shape="uniform",
        hours=Hours(first=8, length=13),
        velocity=1,
        terminals=(3, 8),
        duration_days=75.0,
        channel="contactless",
    ),
    _built_in(
        "Stolen contactless card",
        "Lost and stolen cards: small payments without a PIN until the card is blocked",
        "A stolen card is tapped again and again below the limit for contactless payments, within a few hours.",
        amount=_currency(18.0, 49.9, "mostly high"),
        categories={"grocery": 3.0, "fuel": 1.0, "restaurant": 2.0, "pharmacy": 2.0},
        payments=(4, 10),
        gaps=(4 * MINUTE, 70 * MINUTE),
        hours=Hours(first=7, length=15),
        velocity=10,
        terminals=(4, 8),
        duration_days=1.0,
        channel="contactless",
    ),
    _built_in(
        "Fuel pump skimming",
        "Skimmers in unattended pumps; cloned cards are first used at other pumps",
        "Cards copied at unattended pumps are cloned and used for full tanks at several stations overnight.",
        amount=_currency(75.0, 150.0),
        categories={"fuel": 1.0},
        payments=(2, 5),
        gaps=(20 * MINUTE, 4 * HOUR),
        hours=Hours(first=20, length=10),
        velocity=5,
        accounts=(5, 20),
        terminals=(3, 8),
        duration_days=4.0,
        channel="card present",
    ),
    _built_in(
        "Collusive merchant",
        "Merchant fraud: a shop set up to charge stolen card numbers",
        "A shop that nobody knew charges many cards once or twice for similar amounts, and closes after some days.",
        amount=_currency(35.0, 95.0),
        categories={"online": 2.0, "clothing": 1.0},
        payments=(1, 2),
        gaps=(DAY, 4 * DAY),
        velocity=1,
        accounts=(25, 80),
        terminals=(1, 1),
        terminal_origin="fresh",
        duration_days=10.0,
        channel="online",
    ),
    _built_in(
        "Refund abuse, the purchases before it",
        "Refund abuse; refunds have no row in the simulated transactions, the purchases do",
        "Clothes and devices are bought in bulk at one shop to be returned empty; only the purchases can be seen.",
        amount=_multiple(2.0, 5.0, "mostly high"),
        categories={"clothing": 3.0, "electronics": 2.0, "online": 1.0},
        payments=(3, 6),
        gaps=(12 * HOUR, 4 * DAY),
        hours=Hours(first=9, length=11),
        velocity=2,
        terminals=(1, 2),
        duration_days=20.0,
        channel="card present",
    ),
    _built_in(
        "Subscription trap",
        "Recurring small charges that a customer overlooks",
        "The same small charge is taken from many cards every few weeks by a merchant that nobody remembers.",
        amount=_currency(14.0, 20.0),
        categories={"online": 1.0},
        payments=(2, 4),
        gaps=(27 * DAY, 31 * DAY),
        gap_shape="uniform",
        hours=Hours(first=2, length=3),
        velocity=1,
        accounts=(20, 60),
        terminals=(1, 1),
        terminal_origin="fresh",
        duration_days=100.0,
        channel="online",
        countries=("CY", "MT", "US"),
    ),
)
