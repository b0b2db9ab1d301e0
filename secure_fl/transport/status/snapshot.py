"""What the status page says, at one moment. Moments are seconds of the post's clock, which knows no dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from secure_fl.transport.post import Asked
from secure_fl.transport.roster import Member

Place = Literal["there", "late", "absent", "done", "revoked"]
"""late: it gives no sign, or takes long to answer; done: it knows that the federation is over."""


class Phase(Enum):
    """Of a federation."""

    GATHERING = "it waits for all parties to come"
    WORKING = "rounds go on"
    OVER = "all rounds are finished"
    GIVEN_UP = "it ended with an error"


@dataclass(frozen=True)
class Traffic:
    """Bytes of answers that came from parties, and of orders that went to them."""

    received: int = 0
    sent: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.received + other.received, self.sent + other.sent)


@dataclass(frozen=True)
class PartyStatus:
    """One party."""

    member: Member
    place: Place
    why: str
    """What makes it late or absent; empty where it is there."""
    since: float | None
    """When that began; None where there is no such moment."""
    due: Asked | None
    """The order whose answer is waited for."""
    in_round: Traffic
    in_all: Traffic
    """Since the gateway was started."""


@dataclass(frozen=True)
class FinishedRound:
    """One that is kept on disk."""

    number: int
    contributors: tuple[str, ...]
    """Whose updates are in the sum; empty for round 0, of which that is not kept."""
    missing: tuple[str, ...]
    attempts: int | None
    """Of the sum that was finished; None for round 0."""
    traffic: Traffic
    seconds: float | None
    """None where another process of the gateway finished it."""


@dataclass(frozen=True)
class Trouble:
    """A refusal, an absence, or a round that failed; the same in several rounds is one."""

    first_round: int
    round: int
    """The last one."""
    party: str
    """Empty where it is the round's."""
    why: str
    last: float
    times: int = 1


@dataclass(frozen=True)
class Stage:
    """What was asked last, and of how many."""

    asked: Asked
    parties: int
    answered: int


@dataclass(frozen=True)
class Status:
    """All of it."""

    federation: str
    scheme: str
    custody: str
    dataset: str
    rounds: int
    phase: Phase
    began: float
    """When the gateway was started."""
    ended: bool
    """The gateway's process ends."""
    error: str
    resumed: int | None
    """The round after which an earlier process of the gateway stopped."""
    round: int | None
    """That is worked on."""
    stage: Stage | None
    traffic: Traffic
    """Of the round that is worked on."""
    parties: tuple[PartyStatus, ...]
    finished: tuple[FinishedRound, ...]
    troubles: tuple[Trouble, ...]
    turned_away: Mapping[str, int]
    """Requests that were refused, by reason."""

    def those(self, *places: Place) -> tuple[str, ...]:
        return tuple(party.member.name for party in self.parties if party.place in places)

    @property
    def due(self) -> tuple[str, ...]:
        return tuple(party.member.name for party in self.parties if party.due is not None)

    @property
    def in_all(self) -> Traffic:
        return sum((party.in_all for party in self.parties), Traffic())
