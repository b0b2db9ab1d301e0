"""From a fraud pattern to any number of fraudulent rows, drawn campaign by campaign, vectorized.

Rules:
- The rows have the columns of the host table, lie inside its period, and are all fraud, with a pattern number of their
  own. Times are whole seconds and amounts whole hundredths, as in the host, so that rounding betrays no row.
- Existing customers and terminals are drawn from the host; a terminal keeps its merchant category. Fresh ones get
  identifiers that the host does not know.
- A sequence keeps at least payments.low payments: one that the end of its campaign would cut shorter is drawn again.
  Only the last campaign may be incomplete, because the number of rows is exact.
- The same generator state gives the same rows. Channel and countries are not sampled: there are no such columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.simulator import DAY, SCHEMA
from secure_fl.data.synthetic.patterns import MAX_AMOUNT, FraudPattern, Hours, Number, Shape
from secure_fl.data.synthetic.population import Population, population
from secure_fl.data.transactions import MAX_PATTERN, Transactions
from secure_fl.errors import ConfigurationError

FIRST_NUMBER = 4
"""Smallest pattern number that no simulated fraud has."""
_ATTEMPTS = 40
_CELLS = 4_000_000


@dataclass(frozen=True, eq=False, repr=False)
class Sample:
    """n fraudulent rows in order of time, and which belong together."""

    rows: Transactions
    campaign: NDArray[np.int64]
    """int64 [n]"""
    sequence: NDArray[np.int64]
    """int64 [n]; one per account of a campaign."""


@dataclass(eq=False)
class _Draw:
    """Payments of some campaigns, in order of campaign, sequence and time; m payments."""

    when: NDArray[np.int64]
    amount: NDArray[np.float64]
    category: NDArray[np.object_]
    customer: NDArray[np.object_]
    terminal: NDArray[np.object_]
    campaign: NDArray[np.int64]
    sequence: NDArray[np.int64]


def sample(
    pattern: FraudPattern, count: int, host: Transactions, rng: np.random.Generator, number: int = FIRST_NUMBER
) -> Transactions:
    """`count` fraudulent rows in order of time, drawn for the customers, terminals and period of `host`.

    host: the training part of a table with the columns of the simulator; number: their pattern number, 1 to 127.
    Raises ConfigurationError if the pattern finds no room there, or a number is out of range.
    """
    return sample_campaigns(pattern, count, population(host), rng, number).rows


def sample_campaigns(
    pattern: FraudPattern, count: int, host: Population, rng: np.random.Generator, number: int = FIRST_NUMBER
) -> Sample:
    """As `sample`, with the campaign and the sequence of each row; `population` makes the host."""
    if count < 1 or not 1 <= number <= MAX_PATTERN:
        raise ConfigurationError(
            f"{count} rows of pattern number {number} cannot be drawn; ask for at least one row and a number from 1 to "
            f"{MAX_PATTERN}"
        )
    _require_room(pattern, host)
    parts: list[_Draw] = []
    drawn = campaigns = sequences = 0
    for _ in range(_ATTEMPTS):
        part = _draw_campaigns(pattern, _campaigns_for(pattern, count - drawn), host, rng)
        part.campaign += campaigns
        part.sequence += sequences
        parts.append(part)
        drawn += part.when.size
        if drawn >= count:
            return _join(parts, count, number)
        if part.when.size:
            campaigns, sequences = int(part.campaign[-1]) + 1, int(part.sequence.max()) + 1
    raise ConfigurationError(_no_room(pattern))


def _require_room(pattern: FraudPattern, host: Population) -> None:
    if pattern.shortest_seconds > host.end - host.begin:
        raise ConfigurationError(_no_room(pattern))
    if pattern.account_origin == "existing" and pattern.accounts.low > host.customers.size:
        raise ConfigurationError(
            f"the pattern {pattern.name!r} hits at least {pattern.accounts.low} customers and the table has "
            f"{host.customers.size}; lower accounts, or use more transactions"
        )
    if pattern.terminal_origin == "existing" and not any(c.category in host.terminals for c in pattern.categories):
        raise ConfigurationError(
            f"the table has no terminal of the categories of the pattern {pattern.name!r}; use more transactions"
        )


def _no_room(pattern: FraudPattern) -> str:
    return (
        f"sequences of the pattern {pattern.name!r} find no room in the period of the table; shorten its gaps, widen "
        "its hours or duration, or use a longer period"
    )


def _campaigns_for(pattern: FraudPattern, count: int) -> int:
    """Enough campaigns for about so many rows, as long as they fit into memory."""
    accounts, payments = ((n.low + n.high) / 2 for n in (pattern.accounts, pattern.payments))
    most = _CELLS // (pattern.accounts.high * pattern.payments.high)
    return max(1, min(most, round(1.1 * count / (accounts * payments)) + 1))


def _draw_campaigns(pattern: FraudPattern, campaigns: int, host: Population, rng: np.random.Generator) -> _Draw:
    """Payments of so many campaigns; those of sequences that find no room are left out."""
    accounts = _number(pattern.accounts, campaigns, rng)
    if pattern.account_origin == "existing":
        accounts = np.minimum(accounts, host.customers.size)
    campaign = np.repeat(np.arange(campaigns), accounts)
    when, made = _times(pattern, campaign, campaigns, host, rng)
    customer, mean = _customers(pattern, accounts, host, rng)
    multiple = _amounts(pattern, made, rng)
    terminal, category = _terminals(pattern, campaigns, host, rng)
    row, column = np.nonzero(made)
    slots = _number(pattern.terminals, campaigns, rng)[campaign[row]]
    slot = (rng.random(row.size) * slots).astype(np.int64)
    return _Draw(
        when=when[row, column],
        amount=_in_hundredths(pattern, multiple[row, column], mean[row]),
        category=category[campaign[row], slot],
        customer=customer[row],
        terminal=terminal[campaign[row], slot],
        campaign=campaign[row],
        sequence=row,
    )


def _times(
    pattern: FraudPattern, campaign: NDArray[np.int64], campaigns: int, host: Population, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """int64 and bool [sequences, payments.high]: when each payment is made, and whether it is made."""
    shape = (campaign.size, pattern.payments.high)
    shortest = int(np.ceil(pattern.shortest_seconds))
    begin = _open(rng.integers(host.begin, host.end - shortest, size=campaigns, endpoint=True), pattern.hours, rng)
    limit = np.minimum(begin + int(pattern.duration_days * DAY), host.end)[campaign]
    first = begin[campaign]
    late = first + (rng.random(shape[0]) * np.maximum(limit - first - shortest + 1, 1)).astype(np.int64)
    gaps = np.clip(np.round(_between(pattern.gaps.low, pattern.gaps.high, pattern.gaps.shape, rng.random(shape))),
                   np.ceil(pattern.gaps.low), np.floor(pattern.gaps.high)).astype(np.int64)  # fmt: skip
    when = np.empty(shape, dtype=np.int64)
    when[:, 0] = _open(late, pattern.hours, rng)
    for k in range(1, shape[1]):
        when[:, k] = when[:, k - 1] + gaps[:, k]
        if k >= pattern.velocity:
            when[:, k] = np.maximum(when[:, k], when[:, k - pattern.velocity] + DAY)
        when[:, k] = _open(when[:, k], pattern.hours, rng)
    wanted = _number(pattern.payments, shape[0], rng)
    made = (np.arange(shape[1]) < wanted[:, None]) & (when <= limit[:, None])
    made[made.sum(axis=1) < pattern.payments.low] = False
    return when, made


def _open(when: NDArray[np.int64], hours: Hours, rng: np.random.Generator) -> NDArray[np.int64]:
    """The same moments; those outside of the hours are moved into the first hour of the next day's."""
    since = (when - hours.first * 3600) % DAY
    later = DAY - since + rng.integers(3600, size=when.shape)
    moved: NDArray[np.int64] = np.where(since < hours.length * 3600, when, when + later)
    return moved


def _amounts(pattern: FraudPattern, made: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """float64 [sequences, payments.high]: amounts or multiples, along each sequence in the course of the pattern."""
    amount = pattern.amount
    drawn = _between(amount.low, amount.high, amount.shape, rng.random(made.shape))
    if amount.course == "independent":
        return drawn
    sign = 1.0 if amount.course == "rising" else -1.0
    ordered: NDArray[np.float64] = sign * np.sort(np.where(made, sign * drawn, np.inf), axis=1)
    return ordered


def _in_hundredths(pattern: FraudPattern, drawn: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [m]: amounts in the currency, rounded to hundredths that stay within the bounds of the pattern."""
    low, high = 1.0, 100.0 * MAX_AMOUNT
    if pattern.amount.basis == "currency":
        low, high = np.ceil(round(100 * pattern.amount.low, 6)), np.floor(round(100 * pattern.amount.high, 6))
    else:
        drawn = drawn * mean
    amounts: NDArray[np.float64] = np.clip(np.round(100.0 * drawn), low, high) / 100.0
    return amounts


def _customers(
    pattern: FraudPattern, accounts: NDArray[np.int64], host: Population, rng: np.random.Generator
) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Who is hit and the mean amount, str and float64 [sequences]; no customer twice in one campaign."""
    if pattern.account_origin == "fresh":
        names = _fresh("C", int(accounts.sum()), rng)
        return names, rng.choice(host.mean_amount, size=names.size)
    order, size = rng.permutation(host.customers.size), host.customers.size
    ends = np.cumsum(accounts)
    place = np.arange(ends[-1]) - np.repeat(ends - accounts, accounts)
    chosen = order[(np.repeat(rng.integers(size, size=accounts.size), accounts) + place) % size]
    return host.customers[chosen], host.mean_amount[chosen]


def _terminals(
    pattern: FraudPattern, campaigns: int, host: Population, rng: np.random.Generator
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Terminals and their merchant categories in the proportions asked for, str [campaigns, terminals.high] each."""
    existing = pattern.terminal_origin == "existing"
    usable = [c for c in pattern.categories if not existing or c.category in host.terminals]
    weights = np.array([c.weight for c in usable])
    shape = (campaigns, pattern.terminals.high)
    kind = rng.choice(len(usable), size=shape, p=weights / weights.sum())
    category = np.array([c.category for c in usable], dtype=np.object_)[kind]
    if not existing:
        return _fresh("T", kind.size, rng).reshape(shape), category
    terminal = np.empty(shape, dtype=np.object_)
    begin, slot = rng.integers(2**31, size=campaigns), np.arange(shape[1])
    for index, share in enumerate(usable):
        names = rng.permutation(host.terminals[share.category])
        terminal = np.where(kind == index, names[(begin[:, None] + slot) % names.size], terminal)
    return terminal, category


def _fresh(letter: str, size: int, rng: np.random.Generator) -> NDArray[np.object_]:
    """Identifiers that no table has: 96 random bits, shared by one draw, and a running number."""
    stem = rng.bytes(12).hex()
    names = np.empty(size, dtype=np.object_)
    names[:] = [f"{letter}-{stem}-{index}" for index in range(size)]
    return names


def _number(number: Number, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.integers(number.low, number.high, size=size, endpoint=True)


def _between(low: float, high: float, shape: Shape, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of the distribution function at u in [0, 1)."""
    if shape == "log-uniform":
        spread: NDArray[np.float64] = low * (high / low) ** u
        return np.clip(spread, low, high)
    place = {"uniform": u, "mostly low": 1.0 - np.sqrt(1.0 - u), "mostly high": np.sqrt(u)}[shape]
    return low + (high - low) * place


def _join(parts: list[_Draw], count: int, number: int) -> Sample:
    """The first `count` payments of the parts, in order of time."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])[:count] for name in _Draw.__dataclass_fields__
    }
    order = np.argsort(columns["when"], kind="stable")
    columns = {name: column[order] for name, column in columns.items()}
    when = columns["when"].astype(np.float64)
    rows = Transactions(
        schema=SCHEMA,
        numeric={"time": when, "amount": columns["amount"]},
        text={name: columns[name] for name in SCHEMA.texts},
        fraud=np.ones(count, dtype=np.bool_),
        pattern=np.full(count, number, dtype=np.int8),
        when=when,
    )
    return Sample(rows, columns["campaign"], columns["sequence"])
