"""The envelope around every message of encrypted scoring, checked before anything in it is parsed.

    magic, version, kind; digest of the plan; session; number of the batch or epoch; rows; length; checksum; payload

A session is one key of one data owner: a random number that the keys carry first. The checksum is that of
`secagg.messages`, under the plan's digest: it catches what was truncated or altered by accident and proves nothing
about who wrote it, which is the transport's task (TLS). A payload is a list of parts, each with its length in front.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from secure_fl.errors import MessageError
from secure_fl.secagg.messages import checksum_of

VERSION = 1
SESSION_BYTES = 16
_MAGIC = b"SFLs"
_FIELDS = struct.Struct("<4sBB32s16sIIQ")
_CHECKSUM_BYTES = 16
HEADER_BYTES = _FIELDS.size + _CHECKSUM_BYTES
_LENGTH = struct.Struct("<I")


class Kind(IntEnum):
    """What a message is."""

    KEYS = 1
    ROWS = 2
    SCORES = 3
    TRAINING_ROWS = 4
    WEIGHTS = 5
    GRADIENT = 6


_WITHOUT_ROWS = (Kind.KEYS, Kind.WEIGHTS, Kind.GRADIENT)


class Agreed(Protocol):
    """What both parties agreed on: a plan for scoring or for training (`descent`)."""

    @property
    def digest(self) -> bytes: ...

    @property
    def rows_per_batch(self) -> int: ...


@dataclass(frozen=True)
class Message:
    """An opened message. Its content is not part of its `repr`."""

    session: bytes
    batch: int
    rows: int
    parts: tuple[memoryview, ...]

    def __repr__(self) -> str:
        return f"Message(batch {self.batch}, {self.rows} rows, {len(self.parts)} parts)"


def seal(plan: Agreed, kind: Kind, session: bytes, batch: int, rows: int, parts: Sequence[bytes]) -> bytes:
    """The bytes of one message."""
    payload = b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))
    fields = _FIELDS.pack(_MAGIC, VERSION, kind, plan.digest, session, batch, rows, len(payload))
    return b"".join((fields, checksum_of(plan.digest, [fields, payload]), payload))


def open_message(plan: Agreed, kind: Kind, data: bytes, *, session: bytes | None, parts: int) -> Message:
    """The message in `data`, after every check. Raises `MessageError`, which names the first that failed.

    `session`: the one that it must belong to, None where it opens one; `parts`: how many it must have.
    """

    def refuse(problem: str) -> MessageError:
        return MessageError(f"a message with {kind.name.lower().replace('_', ' ')} {problem}; send it again")

    if len(data) < HEADER_BYTES:
        raise refuse("is truncated: it is shorter than its header")
    magic, version, sent_kind, digest, sent_session, batch, rows, length = _FIELDS.unpack_from(data)
    if magic != _MAGIC or version != VERSION:
        raise refuse(f"is not a version {VERSION} message of encrypted scoring")
    if len(data) != HEADER_BYTES + length:
        raise refuse(f"is truncated or oversized: {len(data)} bytes instead of {HEADER_BYTES + length}")
    if sent_kind != kind:
        raise refuse("holds something else")
    if digest != plan.digest:
        raise refuse("belongs to another plan")
    if session is not None and sent_session != session:
        raise refuse("belongs to another key")
    payload = memoryview(data)[HEADER_BYTES:]
    if checksum_of(plan.digest, [memoryview(data)[: _FIELDS.size], payload]) != data[_FIELDS.size : HEADER_BYTES]:
        raise refuse("was altered on its way: its checksum does not match")
    if not (rows == 0 if kind in _WITHOUT_ROWS else 1 <= rows <= plan.rows_per_batch):
        raise refuse(f"says that it holds {rows} rows where {plan.rows_per_batch} fit")
    found = _split(payload, parts)
    if found is None:
        raise refuse(f"does not hold {parts} parts")
    return Message(bytes(sent_session), batch, rows, found)


def _split(payload: memoryview, parts: int) -> tuple[memoryview, ...] | None:
    """So many parts and nothing else; None otherwise."""
    found, place = [], 0
    for _ in range(parts):
        if place + _LENGTH.size > len(payload):
            return None
        (length,) = _LENGTH.unpack_from(payload, place)
        place += _LENGTH.size
        found.append(payload[place : place + length])
        place += length
    return tuple(found) if place == len(payload) else None
