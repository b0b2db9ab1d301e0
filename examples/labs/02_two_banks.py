"""WEAK ON PURPOSE, never use it: a secure sum over two banks.

The sum is exact and nothing else is shown, as any secure sum promises. You are bank 1. No protocol helps here: the sum
itself gives the other update away, which is why the planner asks for three banks, and why colluding banks count.
"""

from __future__ import annotations

import secrets

import numpy as np

from secure_fl.secagg import simulate

TITLE = "A sum over two banks"
GOAL = "you are bank 1: recover bank 2's update, 8 numbers"


def instance() -> tuple[dict[str, list[int]], list[int]]:
    mine, other = _drawn(), _drawn()
    return {"mine": mine, "sum": [a + b for a, b in zip(mine, other, strict=True)]}, other


def strong() -> tuple[dict[str, list[int]], list[int]]:
    """Three banks, under masks: the sum of two others is all that is left."""
    updates = np.array([_drawn() for _ in range(3)])
    total = simulate("masked", updates, bits=8).total
    return {"mine": updates[0].tolist(), "sum": total.tolist()}, updates[1].tolist()


def _drawn() -> list[int]:
    return [secrets.randbelow(256) for _ in range(8)]
