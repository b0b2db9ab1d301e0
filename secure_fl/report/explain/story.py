"""What a step-by-step page is made of: parties, the steps of a run, what is in each message, and who can read it.

All numbers on it were computed by the protocol's own functions from messages that were recorded; a page has no
arithmetic of its own. `readers` says for whom a value is; whoever looks with other eyes sees the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from secure_fl.secagg.custody import Custody

EAVESDROPPER = "an eavesdropper"
"""Whoever reads the wires where no transport encrypts them."""
SHOWN_BYTES, SHOWN_NUMBERS = 12, 4


@dataclass(frozen=True)
class Field:
    """A part of a message."""

    name: str
    data: bytes
    meaning: str = ""
    """What its readers make of it; empty where there is nothing to open."""
    readers: tuple[str, ...] | None = None
    """Who can: parties, in the order of the page. None: everybody."""

    @property
    def raw(self) -> str:
        """The first bytes, for everybody else."""
        return shortened(self.data)


@dataclass(frozen=True)
class Message:
    """One message as it travelled."""

    sender: str
    recipient: str
    size: int
    """Bytes, envelope included."""
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Line:
    """One line of arithmetic: a vector, and what is done with it."""

    sign: str
    label: str
    numbers: tuple[str, ...]
    twin: str = ""
    """Lines of one twin cancel each other, wherever on the page they stand."""


@dataclass(frozen=True)
class Work:
    """What a party computes by itself, and nobody else sees unless it says so."""

    party: str
    title: str
    lines: tuple[Line, ...]
    text: str = ""

    @property
    def columns(self) -> int:
        return max(len(line.numbers) for line in self.lines)


@dataclass(frozen=True)
class Step:
    """What happens next."""

    title: str
    text: str
    stage: str = ""
    messages: tuple[Message, ...] = ()
    work: tuple[Work, ...] = ()
    at: str = ""
    """The party at which it happens, where nothing travels."""
    trouble: bool = False
    """Somebody vanishes, refuses or lies."""


@dataclass(frozen=True)
class Story:
    """One run, from start to end."""

    title: str
    """Who lies, or that nobody does."""
    text: str
    steps: tuple[Step, ...]
    liar: str = ""
    parties: tuple[str, ...] = ()
    """In the order of their columns; empty: those of the play."""


@dataclass(frozen=True)
class Finding:
    """What parties that pool what they saw make of one bank's numbers."""

    bank: str
    truth: tuple[str, ...]
    found: tuple[str, ...]
    """Empty: no numbers of this bank."""
    how: str
    broken: bool = False
    """Whether what they found are its numbers, all of them."""


@dataclass(frozen=True)
class Pool:
    """Curious parties, and what they find."""

    members: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> frozenset[str]:
        """Banks whose numbers they read."""
        return frozenset(finding.bank for finding in self.findings if finding.broken)

    def is_telling(self, others: Iterable[Pool]) -> bool:
        """Whether it is one party, or reads a bank that no part of it reads."""
        parts = [other for other in others if set(other.members) < set(self.members)]
        return not parts or bool(self.broken - frozenset().union(*(part.broken for part in parts)))


@dataclass(frozen=True)
class Play:
    """One protocol with its parties, as people watch it."""

    name: str
    title: str
    text: str
    parties: tuple[str, ...]
    """In the order of their columns."""
    stories: tuple[Story, ...]
    """The first is the one that was asked for."""
    pools: tuple[Pool, ...]
    custody: Custody

    @property
    def viewers(self) -> tuple[str, ...]:
        """With whose eyes one can look."""
        more = (party for story in self.stories for party in story.parties)
        return (*dict.fromkeys((*self.parties, *more)), EAVESDROPPER)


def shown(numbers: Iterable[object], most: int = SHOWN_NUMBERS) -> tuple[str, ...]:
    """The first numbers: integers as they are, others with four decimals."""
    texts = tuple(f"{n:.4f}" if isinstance(n, float) else str(n) for n in numbers)
    return texts if len(texts) <= most else (*texts[:most], "…")


def shortened(data: bytes | memoryview, count: int = SHOWN_BYTES) -> str:
    """The first bytes in hexadecimal, and how many follow."""
    text = bytes(data[:count]).hex(" ")
    return text if len(data) <= count else f"{text} … {len(data) - count:,} more"
