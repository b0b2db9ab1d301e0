"""A lie that several stories have: a party that adds what it likes to its first number."""

from __future__ import annotations

from typing import Any

from secure_fl.report.explain.recording import Change
from secure_fl.report.explain.scene import BITS, Request
from secure_fl.secagg import ring
from secure_fl.secagg.messages import Message
from secure_fl.secagg.planning import plan

TOO_MUCH = 500


def adds_too_much(request: Request, stage: str) -> Change:
    """To the ring vector that it answers a stage with."""

    def change(said: Message) -> bytes:
        if said.stage != stage:
            return bytes(said.payload)
        planned: Any = plan(request.scheme, request.count, len(next(iter(request.updates.values()))), BITS)
        numbers = ring.from_bytes(planned, said.payload)
        numbers[:1] += numbers.dtype.type(TOO_MUCH)
        return ring.to_bytes(planned, numbers)

    return change
