"""A lie that several stories have: a party that adds what it likes to its first number."""

from __future__ import annotations

import numpy as np

from secure_fl.report.explain.recording import Change
from secure_fl.secagg.messages import Message

TOO_MUCH = 5000


def adds_too_much(stage: str) -> Change:
    """To the ring vector (16-bit words) that it answers a stage with."""

    def change(said: Message) -> bytes:
        if said.stage != stage:
            return bytes(said.payload)
        numbers = np.frombuffer(said.payload, dtype="<u2").copy()
        numbers[:1] += np.uint16(TOO_MUCH)
        return numbers.tobytes()

    return change
