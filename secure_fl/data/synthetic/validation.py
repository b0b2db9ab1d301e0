"""Checks of a proposal before anybody relies on it: is it possible, plausible, new, and nobody's real payment?

    schema              it still is a valid pattern, every number in its range
    combination         its parts exclude each other: card and shop, more terminals than payments
    travel              one card in countries that are too far apart for its gaps
    velocity            payments faster than people and terminals can make them
    room                no sequence fits into the period, customers and terminals of the bank
    duplicate           nearly the same as another pattern (similarity.py)
    leakage             sampled rows lie nearer to real training rows than to rows held out (leakage.py)

Rules: every check that fails is named, with its reason; a pattern is accepted if none does. Reasons say fields and
figures of the pattern, never a value of a real row and never a text that a model wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from secure_fl.data.simulator import DAY
from secure_fl.data.synthetic.leakage import RealRows, leak
from secure_fl.data.synthetic.patterns import Channel, FraudPattern, Proposal, parse_pattern
from secure_fl.data.synthetic.sampler import Sample, sample_campaigns
from secure_fl.data.synthetic.similarity import resembles_any
from secure_fl.data.synthetic.travel import least_hours
from secure_fl.errors import ConfigurationError, DataError

Check = Literal["schema", "combination", "travel", "velocity", "room", "duplicate", "leakage"]
PROBES = 400
"""Rows drawn from a pattern to look at."""
_BY_CARD: frozenset[Channel] = frozenset({"card present", "contactless", "cash machine"})
"""Channels in which a card is somewhere; a card that exists only once cannot be elsewhere at that time."""
_SECONDS: dict[Channel, float] = {
    "contactless": 5.0, "card present": 15.0, "cash machine": 30.0, "telephone": 45.0, "online": 0.5
}  # fmt: skip
"""Shortest time that a terminal (for online and telephone: a merchant) needs for one payment. Judgement, not data."""
_NOT_AT_A_TILL: frozenset[str] = frozenset({"online"})
_NOT_FROM_AFAR: frozenset[str] = frozenset({"fuel"})


@dataclass(frozen=True)
class Objection:
    """One check that failed."""

    check: Check
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What validation says about one proposal."""

    digest: str
    objections: tuple[Objection, ...] = ()

    @property
    def accepted(self) -> bool:
        return not self.objections

    @property
    def reason(self) -> str:
        """In one line, for the log and for tables."""
        return "; ".join(f"{each.check}: {each.reason}" for each in self.objections) or "passed validation"


def validate(proposal: Proposal, others: Iterable[FraudPattern], real: RealRows, rng: np.random.Generator) -> Verdict:
    """The verdict on one proposal.

    others: patterns that it must differ from; real: of the bank, or simulated; rng: for the rows that are drawn.
    Raises ConfigurationError if the real rows are of a kind that patterns cannot describe.
    """
    pattern = proposal.pattern
    fault = _schema(pattern)
    if fault is not None:
        return Verdict(proposal.digest, (fault,))
    objections = [*_combination(pattern), *_travel(pattern), *_fastest(pattern), *_duplicate(pattern, others)]
    try:
        drawn = sample_campaigns(pattern, PROBES, real.host, rng)
    except ConfigurationError:
        objections.append(Objection("room", "no campaign finds its time, customers and terminals among the rows"))
    else:
        objections += [*_busiest(pattern, drawn), *_leakage(drawn, real)]
    return Verdict(proposal.digest, tuple(objections))


def objection(pattern: FraudPattern) -> str | None:
    """Why a pattern is implausible on its own, without any rows, or None: for the generator, which asks again."""
    fault = _schema(pattern)
    found = [fault] if fault else [*_combination(pattern), *_travel(pattern), *_fastest(pattern)]
    return "; ".join(f"{each.check}: {each.reason}" for each in found) or None


def _schema(pattern: FraudPattern) -> Objection | None:
    """Parsed again: a copy with changes may hold what the constructor would have refused."""
    try:
        parse_pattern(pattern.canonical_json)
    except DataError as error:
        return Objection("schema", str(error).rpartition("; ")[0])
    return None


def _combination(pattern: FraudPattern) -> Iterator[Objection]:
    kinds = {share.category for share in pattern.categories}
    if pattern.channel in _BY_CARD and kinds <= _NOT_AT_A_TILL:
        yield Objection("combination", f"{pattern.channel} payments, but only categories without a till")
    if pattern.channel not in _BY_CARD and kinds <= _NOT_FROM_AFAR:
        yield Objection("combination", f"{pattern.channel} payments, but only categories that are paid on the spot")
    most = pattern.accounts.high * pattern.payments.high
    if pattern.terminals.low > most:
        yield Objection(
            "combination", f"at least {pattern.terminals.low} terminals, but at most {most} payments in a campaign"
        )
    if pattern.account_origin == "fresh" and pattern.terminal_origin == "fresh" and most == 1:
        yield Objection("combination", "one payment of a new customer at a new terminal leaves nothing to recognize")


def _travel(pattern: FraudPattern) -> Iterator[Objection]:
    if pattern.channel not in _BY_CARD or len(pattern.countries) == 1:
        return
    hours = least_hours(pattern.countries, pattern.accounts.high)
    seconds = min(pattern.duration_days * DAY, (pattern.payments.high - 1) * pattern.gaps.high)
    if hours * 3600 > seconds:
        yield Objection(
            "travel",
            f"a card has {seconds / 3600:.1f} h for countries that are {hours:.1f} h apart by air",
        )


def _fastest(pattern: FraudPattern) -> Iterator[Objection]:
    needed = _SECONDS[pattern.channel]
    if pattern.payments.high > 1 and pattern.gaps.high < needed:
        yield Objection(
            "velocity", f"gaps of at most {pattern.gaps.high:g} s, but a {pattern.channel} payment takes {needed:g} s"
        )


def _busiest(pattern: FraudPattern, drawn: Sample) -> Iterator[Objection]:
    """Payments that one terminal takes within an hour, in the busiest hour of any campaign."""
    able = int(3600 / _SECONDS[pattern.channel])
    most = 0
    terminals = np.unique(drawn.rows.text["terminal"].astype(np.str_), return_inverse=True)[1]
    for place in np.unique(terminals):
        when = drawn.rows.when[terminals == place]
        most = max(most, int(np.max(np.arange(when.size) - np.searchsorted(when, when - 3600, side="right") + 1)))
    if most > able:
        yield Objection("velocity", f"{most} payments in an hour at one terminal, which can take {able}")


def _duplicate(pattern: FraudPattern, others: Iterable[FraudPattern]) -> Iterator[Objection]:
    near = [other for other in others if other.digest != pattern.digest and resembles_any(pattern, (other,))]
    if near:
        yield Objection("duplicate", f"nearly the same as the pattern {near[0].digest[:12]}")


def _leakage(drawn: Sample, real: RealRows) -> Iterator[Objection]:
    reason = leak(drawn.rows, real)
    if reason is not None:
        yield Objection("leakage", reason)
