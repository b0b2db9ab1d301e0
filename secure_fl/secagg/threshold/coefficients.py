"""Under `bfv`: small integers as digits of one large number in each coefficient, modulo SEAL's primes.

Nothing here is secret but what a bank encodes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ProtocolError
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.packing import IntVector, Words
from secure_fl.secagg.threshold.numbers import LIMB_BITS, moduli_of, rebuilt, shifted

NEGATIVE = 2.0**-30
"""The part of q at its end that counts as negative, which no sum is."""


def encode(plan: ThresholdPlan, values: IntVector) -> Words:
    """One bank's values: residues of 2**shift times the packed numbers, [coefficients, data primes]."""
    moduli = moduli_of(plan.ring)
    digits = np.zeros(plan.fields * plan.coefficients, dtype=np.uint64)
    digits[: plan.parameters] = values
    rows = digits.reshape(plan.fields, plan.coefficients)
    found = np.empty((len(moduli), plan.coefficients), dtype=np.uint64)
    for residues, modulus in zip(found, moduli, strict=True):
        factors = [np.uint64((plan.field_base**field << plan.shift) % modulus) for field in range(plan.fields)]
        residues[:] = rows[0] * factors[0] % modulus  # digits have 24 bits at most, residues 40
        for row, factor in zip(rows[1:], factors[1:], strict=True):
            residues += row * factor % modulus
        residues %= modulus
    return np.ascontiguousarray(found.T)


def decode(plan: ThresholdPlan, residues: Words, contributors: int) -> IntVector:
    """The exact sum of so many banks from what all parts leave of the ciphertexts, [coefficients, data primes].

    Raises `ProtocolError` where no such sum has these residues.
    """
    assert plan.bits is not None
    number = shifted(rebuilt(plan.ring, residues, NEGATIVE, 1 << (plan.shift - 1)), plan.shift)
    rows = np.empty((plan.fields, plan.coefficients), dtype=np.int64)
    for row in rows:
        row[:] = _divided(number, plan.field_base)
    total = rows.reshape(-1)[: plan.parameters]
    beyond = rows.reshape(-1)[plan.parameters :]
    if number.any() or beyond.any() or total.max() > contributors * ((1 << plan.bits) - 1):
        raise ProtocolError("what the members gave does not open a sum of these banks; one of them, or a bank, lies")
    return total


def _divided(limbs: NDArray[np.int64], base: int) -> NDArray[np.int64]:
    """The remainder of a division by `base`, below 2**43; the quotient takes the number's place."""
    rest = np.zeros(limbs.shape[1], dtype=np.int64)
    for limb in limbs[::-1]:
        rest <<= LIMB_BITS
        rest += limb
        limb[:] = rest // base
        rest -= limb * base
    return rest
