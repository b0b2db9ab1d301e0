"""Vectors in the ring of integers modulo 2**16, 2**24 or 2**32: as machine words, and as the bytes that travel."""

from __future__ import annotations

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import RingPlan
from secure_fl.secagg.hazmat.prg import RingVector
from secure_fl.secagg.packing import IntVector


def to_ring(plan: RingPlan, values: IntVector) -> RingVector:
    """Values as the machine words in which the ring is computed; a ring of 2**24 lives in 32-bit words."""
    return values.astype(_word(plan))


def zeros(plan: RingPlan) -> RingVector:
    return np.zeros(plan.parameters, dtype=_word(plan))


def to_integers(plan: RingPlan, total: RingVector) -> RingVector:
    """The integers that the words of a sum stand for, in place."""
    if plan.ring_bits == 24:
        total &= np.uint32((1 << 24) - 1)
    return total


def to_bytes(plan: RingPlan, vector: RingVector) -> bytes:
    """The words as they travel: 2, 3 or 4 bytes a parameter, little-endian."""
    if plan.ring_bits == 24:
        return vector.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return vector.astype(f"<u{plan.ring_bits // 8}", copy=False).tobytes()


def from_bytes(plan: RingPlan, data: memoryview) -> RingVector:
    """The inverse of `to_bytes`. Raises `MessageError`."""
    if len(data) != plan.parameters * plan.ring_bits // 8:
        raise MessageError("a masked input has the wrong length; its bank must send it again")
    if plan.ring_bits == 24:
        wide = np.zeros((plan.parameters, 4), dtype=np.uint8)
        wide[:, :3] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        return wide.view("<u4").reshape(-1)
    return np.frombuffer(data, dtype=f"<u{plan.ring_bits // 8}")


def _word(plan: RingPlan) -> type[np.uint16 | np.uint32]:
    return np.uint16 if plan.ring_bits == 16 else np.uint32
