"""A lie that several stories have: a party that adds what it likes to its first number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from secure_fl.report.explain.recording import Change
from secure_fl.report.explain.scene import BITS, Request
from secure_fl.secagg import ring
from secure_fl.secagg.messages import Message
from secure_fl.secagg.packing import packed_bytes
from secure_fl.secagg.planning import plan

TOO_MUCH = 500


def adds_too_much(
    request: Request, stage: str, said_of: Callable[[bytes, bytes, bytes], bytes] = lambda ahead, old, new: ahead
) -> Change:
    """To the ring vector that it answers a stage with. `said_of`: what the liar makes of what stands ahead of it."""

    def change(said: Message) -> bytes:
        if said.stage != stage:
            return bytes(said.payload)
        planned: Any = plan(request.scheme, request.count, len(next(iter(request.updates.values()))), BITS)
        width = packed_bytes(planned.parameters, planned.ring_bits)
        ahead, old = bytes(said.payload[:-width]), bytes(said.payload[-width:])
        numbers = ring.from_bytes(planned, memoryview(old))
        numbers[:1] += numbers.dtype.type(TOO_MUCH)
        new = ring.to_bytes(planned, numbers)
        return said_of(ahead, old, new) + new

    return change
