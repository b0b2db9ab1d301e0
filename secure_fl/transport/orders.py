"""What the gateway wants of a party, and what it says to that, as bytes.

An order names the cohort that it belongs to by what the party cannot know by itself: session, round, attempt, length
and context. The party makes the cohort from them and its own settings, and every envelope is checked against it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from secure_fl.errors import ConfigurationError, MessageError, PlanError, ProtocolError
from secure_fl.secagg.budget import MAX_PARAMETERS, Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Answer, reason

HELLO, PUBLIC_KEY, TAKE_KEY, STATISTICS, MODEL, ASK, SETTLE, FINISHED = (
    "hello", "public_key", "take_key", "statistics", "model", "ask", "settle", "finished",
)  # fmt: skip
KEY_JOIN, KEY_COMMIT, KEY_PUBLISH, KEY_ACCEPT = "key_join", "key_commit", "key_publish", "key_accept"
"""To members of a committee, which make a key."""
EVALUATE = "evaluate"
"""To nodes of a Flower app alone."""
_HEAD = struct.Struct("<II")
_LARGEST_HEAD = 1 << 20


@dataclass(frozen=True)
class About:
    """The cohort of an order."""

    session: str
    round: int
    attempt: int
    length: int
    context: str

    def __post_init__(self) -> None:
        numbers, words = (self.round, self.attempt, self.length), (self.session, self.context)
        if not all(type(number) is int for number in numbers) or not all(isinstance(word, str) for word in words):
            raise TypeError("a cohort's numbers are whole, and its names are text")

    @classmethod
    def of(cls, cohort: Cohort[Plan]) -> About:
        return cls(cohort.session.hex(), cohort.round, cohort.attempt, cohort.plan.parameters, cohort.context.hex())


def cohort_of(about: About | None, first: Callable[[bytes, int, int, bytes], Cohort[Any]]) -> Cohort[Any]:
    """The cohort of an order; `first`: from session, round, length and context to the one of the first attempt.

    Raises `MessageError` for one that cannot be.
    """
    if about is None or not 1 <= about.length <= MAX_PARAMETERS:
        raise MessageError("an order names no sum that can be; look whether both have one version")
    try:
        cohort = first(bytes.fromhex(about.session), about.round, about.length, bytes.fromhex(about.context))
        return replace(cohort, attempt=about.attempt)
    except (ConfigurationError, PlanError, ValueError):
        raise MessageError("an order is about a sum that cannot be; look whether both have one version") from None


@dataclass(frozen=True)
class Order:
    """One thing to do."""

    number: int
    """Rises with each order to a party."""
    kind: str
    about: About | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    shared: bytes = field(default=b"", repr=False)
    """The end of the body, where orders to several parties have the same one: it lies in memory once."""

    def to_bytes(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def pieces(self) -> tuple[bytes, bytes]:
        """What travels, of which the second piece is the shared one."""
        about = None if self.about is None else asdict(self.about)
        head = json.dumps({"kind": self.kind, "about": about, "facts": self.facts}).encode()
        return _HEAD.pack(self.number, len(head)) + head + self.body, self.shared

    @classmethod
    def from_bytes(cls, data: bytes) -> Order:
        """Raises `MessageError`."""
        try:
            number, length = _HEAD.unpack_from(data)
            if length > _LARGEST_HEAD:
                raise ValueError("too long")
            head = json.loads(data[_HEAD.size : _HEAD.size + length])
            about = None if head["about"] is None else About(**head["about"])
            return cls(number, str(head["kind"]), about, dict(head["facts"]), data[_HEAD.size + length :])
        except (struct.error, ValueError, KeyError, TypeError, RecursionError):
            raise MessageError("an order of the gateway cannot be read; look whether both have one version") from None


def pack_answer(answer: Answer) -> bytes:
    """Bytes, or a refusal with its reason and whom it blames."""
    if isinstance(answer, bytes):
        return b"\x00" + answer
    refused = answer.refused if isinstance(answer, ProtocolError) else {}
    return b"\x01" + json.dumps({"reason": reason(answer), "refused": refused}).encode()


def unpack_answer(data: bytes) -> Answer:
    """The inverse; what cannot be read is a refusal too."""
    if data[:1] == b"\x00":
        return data[1:]
    try:
        said = json.loads(data[1:])
        refused = {_shown(bank): _shown(why) for bank, why in dict(said["refused"]).items()}
        return ProtocolError(f"{_shown(said['reason'])}; make a new attempt", refused)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return MessageError("its answer cannot be read; look whether both have one version")


def _shown(said: object) -> str:
    """What a party says, as terminals and pages only show it: nothing that steers them, or has no bytes in UTF-8."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(said)[:500])
