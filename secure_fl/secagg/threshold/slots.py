"""Under `ckks`: small integers as digits of one number in each part of a complex slot, modulo SEAL's primes.

Nothing here is secret but what a bank encodes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ProtocolError
from secure_fl.secagg.budget.slots import SlotPlan
from secure_fl.secagg.hazmat.collective import product
from secure_fl.secagg.packing import IntVector, Words, pack_fields, unpack_fields
from secure_fl.secagg.threshold.embedding import Pair, to_coefficients, to_slots
from secure_fl.secagg.threshold.numbers import as_floats, moduli_of, rebuilt

_INTEGER_BITS = 61


def encode(plan: SlotPlan, values: IntVector) -> Words:
    """One bank's values: residues of 2**shift times the polynomial of its slots, [coefficients, data primes]."""
    slots = np.zeros((plan.ciphertexts, 2, plan.ring.degree // 2))
    slots.reshape(-1)[: plan.slots] = pack_fields(values, plan.fields, plan.field_base) - plan.centre
    return _residues(plan, to_coefficients(slots[:, 0], slots[:, 1]))


def decode(plan: SlotPlan, residues: Words, contributors: int) -> IntVector:
    """The exact sum of so many banks. Raises `ProtocolError` where no such sum has these residues."""
    assert plan.bits is not None
    coefficients = as_floats(rebuilt(plan.ring, residues, 0.5), plan.shift)
    slots = np.stack(to_slots(coefficients.reshape(plan.ciphertexts, plan.ring.degree)), axis=1).reshape(-1)
    numbers = np.rint(slots)
    packed = numbers[: plan.slots] + contributors * plan.centre
    if numbers[plan.slots :].any() or not ((packed >= 0) & (packed < plan.field_base**plan.fields)).all():
        raise _no_sum()
    total = unpack_fields(packed.astype(np.int64), plan.fields, plan.field_base, plan.fields * plan.slots)
    if total[plan.parameters :].any() or total.max() > contributors * ((1 << plan.bits) - 1):
        raise _no_sum()
    return total[: plan.parameters]


def _no_sum() -> ProtocolError:
    return ProtocolError("what the members gave does not open a sum of these banks; one of them, or a bank, lies")


def _residues(plan: SlotPlan, coefficients: Pair) -> Words:
    """Of 2**shift times what is N/2 times too large, rounded to integers: the upper bits in one word, and the rest."""
    bits = min(_INTEGER_BITS - math.ceil(0.5 + math.log2(plan.centre)), plan.shift)
    scale = 2.0**bits / (plan.ring.degree // 2)
    high, low = (numbers.reshape(-1) * scale for numbers in coefficients)
    upper: NDArray[np.float64] = np.rint(high)
    lower = np.rint(((high - upper) + low) * 2.0 ** (plan.shift - bits)).astype(np.int64)
    moduli = np.array(moduli_of(plan.ring), dtype=np.int64)
    factors = np.array([pow(2, plan.shift - bits, int(m)) for m in moduli], dtype=np.uint64)
    words = (upper.astype(np.int64)[:, None] % moduli).astype(np.uint64)
    residues: Words = product(words, np.broadcast_to(factors, words.shape), moduli.astype(np.uint64))
    residues += (lower[:, None] % moduli).astype(np.uint64)
    return residues % moduli.astype(np.uint64)
