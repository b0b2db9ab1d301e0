"""Vectors in the ring of integers modulo 2**ring_bits: as machine words, and as the bits that travel.

Words are as wide as the machine likes, 16 or 32 bits, and wrap around there; what they hold above `ring_bits` means
nothing and does not travel, since 2**ring_bits divides 2**16 and 2**32. A mask that is uniform in words is uniform in
the ring.
"""

from __future__ import annotations

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import RingPlan
from secure_fl.secagg.hazmat.prg import RingVector
from secure_fl.secagg.packing import IntVector, pack_bits, packed_bytes, unpack_bits


def to_ring(plan: RingPlan, values: IntVector) -> RingVector:
    """Values as the machine words in which the ring is computed."""
    return values.astype(_word(plan))


def zeros(plan: RingPlan) -> RingVector:
    return np.zeros(plan.parameters, dtype=_word(plan))


def to_integers(plan: RingPlan, total: RingVector) -> RingVector:
    """The integers that the words of a sum stand for, in place."""
    total &= total.dtype.type((1 << plan.ring_bits) - 1)
    return total


def to_bytes(plan: RingPlan, vector: RingVector) -> bytes:
    """The words as they travel: `ring_bits` bits a parameter."""
    return pack_bits(to_integers(plan, vector.copy()), plan.ring_bits)


def from_bytes(plan: RingPlan, data: memoryview) -> RingVector:
    """The inverse of `to_bytes`. Raises `MessageError`."""
    if len(data) != packed_bytes(plan.parameters, plan.ring_bits):
        raise MessageError("a masked input has the wrong length; its bank must send it again")
    return unpack_bits(data, plan.ring_bits, plan.parameters).astype(_word(plan))


def _word(plan: RingPlan) -> type[np.uint16 | np.uint32]:
    return np.uint16 if plan.ring_bits <= 16 else np.uint32
