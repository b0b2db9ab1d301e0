"""The envelope around every message of a secure sum.

A message is checked before its payload is parsed: version, scheme, session, round, attempt, cohort, stage, sender,
recipient, length and a 128-bit checksum. That catches what is truncated, altered by accident, replayed from another
attempt or meant for someone else. The checksum is the tag of AES-256-GCM (NIST SP 800-38D) over the whole message under
the cohort's digest, which is public: fast, and no proof of who wrote the message. That proof is the transport's task
(TLS). Packed words of the right length are a ciphertext whatever they hold, so nothing is added unchecked.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Generic, TypeVar

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secure_fl.errors import ConfigurationError, MessageError
from secure_fl.secagg.budget import Plan

AGGREGATOR = "aggregator"
VERSION = 3
"""Raised when bytes on the wire change: parties of two versions refuse each other's messages."""
SESSION_BYTES = 16

_MAGIC = b"SFLm"
PlanT = TypeVar("PlanT", bound=Plan, covariant=True)

# magic, version, scheme, stage, session, round, attempt, cohort digest, sender, recipient, payload length: 112 bytes,
# so that payloads are aligned and numpy adds them at full speed
_FIELDS = struct.Struct("<4sB15s24s16sII32sHHQ")
_CHECKSUM_BYTES = 16
HEADER_BYTES = _FIELDS.size + _CHECKSUM_BYTES


@dataclass(frozen=True)
class Cohort(Generic[PlanT]):
    """What all parties of one secure sum must agree on; its digest stands in every message."""

    plan: PlanT
    round: int
    banks: tuple[str, ...]
    trustees: tuple[str, ...] = ()
    """Parties beside the banks and the aggregator: a key authority, share-holders."""
    context: bytes = b""
    """Hash of what the round works on, such as the global model that was broadcast."""
    session: bytes = bytes(SESSION_BYTES)
    """Of the federation (`new_session`): nothing that was said in another one counts in it."""
    attempt: int = 1
    """A round that failed is attempted again, with fresh secrets."""

    def __post_init__(self) -> None:
        if len(set(self.parties)) != len(self.parties):
            raise ConfigurationError("two parties of the cohort have one name; give each bank a name of its own")
        if len(self.banks) != self.plan.banks:
            raise ConfigurationError(
                f"the plan is for {self.plan.banks} banks but the cohort has {len(self.banks)}; plan again"
            )
        if len(self.session) != SESSION_BYTES or not 1 <= self.attempt < 1 << 32 or not 0 <= self.round < 1 << 32:
            raise ConfigurationError(
                f"a session has {SESSION_BYTES} bytes, and attempts count from 1, rounds from 0, both below 2**32; use "
                "new_session, and start a new federation"
            )

    @cached_property
    def parties(self) -> tuple[str, ...]:
        return (AGGREGATOR, *self.trustees, *self.banks)

    @cached_property
    def number(self) -> dict[str, int]:
        """The number by which messages name each party."""
        return {name: number for number, name in enumerate(self.parties)}

    @property
    def turn(self) -> tuple[bytes, int, int]:
        """What rises from sum to sum (see `turns`)."""
        return self.session, self.round, self.attempt

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over the version, the plan, session, round and attempt, the parties and the context."""
        agreed = {
            "version": VERSION,
            "plan": asdict(self.plan),
            "session": self.session.hex(),
            "round": self.round,
            "attempt": self.attempt,
            "banks": self.banks,
            "trustees": self.trustees,
            "context": self.context.hex(),
        }
        return hashlib.sha256(json.dumps(agreed, sort_keys=True).encode()).digest()


@dataclass(frozen=True)
class Message:
    """An opened message. Its payload is not part of its `repr`."""

    stage: str
    sender: str
    recipient: str
    payload: memoryview

    def __repr__(self) -> str:
        return f"Message({self.stage!r}, {self.sender!r} -> {self.recipient!r}, {len(self.payload)} bytes)"


def seal(
    cohort: Cohort[Plan], stage: str, sender: str, recipient: str, payload: Iterable[bytes] | bytes = b""
) -> bytes:
    """The bytes of one message. `payload` may be given in parts, to save a copy."""
    parts = [payload] if isinstance(payload, bytes) else list(payload)
    return b"".join([sealed_head(cohort, stage, sender, recipient, parts), *parts])


def sealed_head(cohort: Cohort[Plan], stage: str, sender: str, recipient: str, parts: Sequence[bytes]) -> bytes:
    """What stands before the payload of one message, where several messages share a payload in memory."""
    fields = _FIELDS.pack(
        _MAGIC,
        VERSION,
        cohort.plan.scheme.encode(),
        stage.encode(),
        cohort.session,
        cohort.round,
        cohort.attempt,
        cohort.digest,
        cohort.number[sender],
        cohort.number[recipient],
        sum(map(len, parts)),
    )
    return fields + checksum_of(cohort.digest, [fields, *parts])


def open_message(
    cohort: Cohort[Plan], data: bytes, *, recipient: str, sender: str, stage: str | None = None
) -> Message:
    """The message in `data`, after every check.

    Raises `MessageError`, which names the sender and the first check that failed.
    """

    def refuse(problem: str) -> MessageError:
        return MessageError(f"a message from {sender} to {recipient} {problem}; make a new attempt")

    if sender not in cohort.number:
        raise refuse("comes from nobody in the cohort")
    if len(data) < HEADER_BYTES:
        raise refuse("is truncated: it is shorter than its header")
    magic, version, scheme, sent_stage, session, round_, attempt, digest, source, target, length = _FIELDS.unpack_from(
        data
    )
    if magic != _MAGIC or version != VERSION:
        raise refuse(f"is not a version {VERSION} message of secure_fl")
    if len(data) != HEADER_BYTES + length:
        raise refuse(f"is truncated or oversized: {len(data)} bytes instead of {HEADER_BYTES + length}")
    if scheme.rstrip(b"\0") != cohort.plan.scheme.encode():
        raise refuse("belongs to another scheme")
    if session != cohort.session:
        raise refuse("belongs to another session")
    if (round_, attempt) != (cohort.round, cohort.attempt):
        raise refuse(
            f"belongs to round {round_}, attempt {attempt} instead of round {cohort.round}, attempt {cohort.attempt}"
        )
    if digest != cohort.digest:
        raise refuse("belongs to another cohort, plan or model")
    if source != cohort.number[sender] or target != cohort.number[recipient]:
        raise refuse("names another sender or recipient")
    name = sent_stage.rstrip(b"\0").decode(errors="replace")
    if stage is not None and name != stage:
        raise refuse(f"belongs to stage {name!r} instead of {stage!r}")
    payload = memoryview(data)[HEADER_BYTES:]
    checksum = checksum_of(cohort.digest, [memoryview(data)[: _FIELDS.size], payload])
    if checksum != data[_FIELDS.size : HEADER_BYTES]:
        raise refuse("was altered on its way: its checksum does not match")
    return Message(name, sender, recipient, payload)


def checksum_of(digest: bytes, parts: Iterable[bytes | memoryview]) -> bytes:
    """16 bytes over the parts, under a public digest of 32 bytes: against accidents, not against forgers."""
    encryptor = Cipher(algorithms.AES256(digest), modes.GCM(bytes(12))).encryptor()
    for part in parts:
        encryptor.authenticate_additional_data(part)
    encryptor.finalize()
    return encryptor.tag
