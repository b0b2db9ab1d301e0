"""A pattern in words and figures for the people who review it: the same on the terminal and on the page.

Everything that a language model wrote is plain text here; whoever shows it escapes it for where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.simulator import DAY
from secure_fl.data.synthetic.patterns import FraudPattern, Number
from secure_fl.data.synthetic.population import population
from secure_fl.data.synthetic.sampler import Sample, sample_campaigns
from secure_fl.data.transactions import Transactions

DRAWN, SHOWN = 1000, 8
"""Rows drawn for pictures, and rows of them that are shown."""
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, repr=False, eq=False)
class Illustration:
    """What the rows of a pattern look like: m rows drawn."""

    amount: NDArray[np.float64]
    hour: NDArray[np.float64]
    """Hour of the day, 0 to 24."""
    gap: NDArray[np.float64]
    """Seconds between one payment and the next of the same sequence; fewer than m."""
    rows: tuple[tuple[str, ...], ...]
    """The first sequences, a row each: under the headings of `COLUMNS`."""


COLUMNS = ("sequence", "day", "time", "amount", "category", "customer", "terminal")


def illustrate(pattern: FraudPattern, host: Transactions, seed: int = 1) -> Illustration:
    """Rows of the pattern for a table of the simulator. Raises ConfigurationError if it finds no room there."""
    drawn = sample_campaigns(pattern, DRAWN, population(host), np.random.default_rng(seed))
    order = np.lexsort((drawn.rows.when, drawn.sequence))
    when, sequence = drawn.rows.when[order], drawn.sequence[order]
    same = sequence[1:] == sequence[:-1]
    return Illustration(
        amount=drawn.rows.numeric["amount"],
        hour=drawn.rows.when % DAY / 3600.0,
        gap=np.diff(when)[same],
        rows=tuple(_row(drawn, int(index)) for index in order[:SHOWN]),
    )


def parameters(pattern: FraudPattern) -> dict[str, str]:
    """What the pattern asks for, by name, in words."""
    amount = pattern.amount
    unit = "times the customer's mean" if amount.basis == "customer mean" else "in the table's currency"
    total = sum(share.weight for share in pattern.categories)
    last = (pattern.hours.first + pattern.hours.length) % 24
    return {
        "amount": f"{amount.low:g} to {amount.high:g} {unit}, {amount.shape}, {amount.course}",
        "categories": ", ".join(f"{share.category} {share.weight / total:.0%}" for share in pattern.categories),
        "payments": f"{_range(pattern.payments)} per account, at most {pattern.velocity} in 24 h",
        "gaps": f"{duration(pattern.gaps.low)} to {duration(pattern.gaps.high)}, {pattern.gaps.shape}",
        "hours": "all day" if pattern.hours.length == 24 else f"{pattern.hours.first}:00 to {last}:00",
        "accounts": f"{_range(pattern.accounts)} in concert, {pattern.account_origin}",
        "terminals": f"{_range(pattern.terminals)} per campaign, {pattern.terminal_origin}",
        "duration": f"at most {duration(pattern.duration_days * DAY)}",
        "channel": f"{pattern.channel} (not in the rows)",
        "countries": f"{', '.join(pattern.countries)} (not in the rows)",
    }


def duration(seconds: float) -> str:
    """In the unit that suits it: 5400 becomes "1.5 h"."""
    for size, unit in ((float(DAY), "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _row(drawn: Sample, index: int) -> tuple[str, ...]:
    when, text = int(drawn.rows.when[index]), drawn.rows.text
    day, second = divmod(when, DAY)
    return (
        str(drawn.sequence[index] + 1),
        f"{_WEEK[day % 7]} {day}",
        f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}",
        f"{drawn.rows.numeric['amount'][index]:.2f}",
        *(_short(str(text[name][index])) for name in ("category", "customer", "terminal")),
    )


def _short(name: str) -> str:
    """Fresh identifiers are long and random: their beginning and their number."""
    return name if len(name) <= 12 else f"{name[:5]}..{name[-5:]}"


def _range(number: Number) -> str:
    return str(number.low) if number.low == number.high else f"{number.low} to {number.high}"
