"""Small integers as digits of one large number in each coefficient, and that number modulo SEAL's primes.

Nothing here is secret but what a bank encodes. Numbers of up to 195 bits are limbs of 20 bits, so that products and
sums of limbs stay far below 2**63 and numpy does them for all coefficients at once.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ProtocolError
from secure_fl.secagg.budget.threshold import KeyRing, ThresholdPlan
from secure_fl.secagg.hazmat.collective import data_moduli, product
from secure_fl.secagg.packing import IntVector, Words

_LIMB = 20
_MASK = (1 << _LIMB) - 1


def encode(plan: ThresholdPlan, values: IntVector) -> Words:
    """One bank's values: residues of 2**shift times the packed numbers, [coefficients, data primes]."""
    moduli = _moduli(plan.ring)
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
    number = _shifted(_rebuilt(plan.ring, residues, 1 << (plan.shift - 1)), plan.shift)
    rows = np.empty((plan.fields, plan.coefficients), dtype=np.int64)
    for row in rows:
        row[:] = _divided(number, plan.field_base)
    total = rows.reshape(-1)[: plan.parameters]
    beyond = rows.reshape(-1)[plan.parameters :]
    if number.any() or beyond.any() or total.max() > contributors * ((1 << plan.bits) - 1):
        raise ProtocolError("what the members gave does not open a sum of these banks; one of them, or a bank, lies")
    return total


@lru_cache
def _moduli(ring: KeyRing) -> tuple[int, ...]:
    return tuple(map(int, data_moduli(ring).reshape(-1)))


def _rebuilt(ring: KeyRing, residues: Words, more: int) -> NDArray[np.int64]:
    """The number in about [0, q), plus `more`, by the Chinese remainder theorem: limbs, [limbs, coefficients].

    The quotient comes from floating point; numbers within q / 2**30 below q count as negative, which no sum is.
    """
    moduli = _moduli(ring)
    q = math.prod(moduli)
    inverses = np.array([pow(q // modulus, -1, modulus) for modulus in moduli], dtype=np.uint64)
    scaled = product(residues, np.broadcast_to(inverses, residues.shape), np.array(moduli, dtype=np.uint64))
    quotient = np.floor((scaled / np.array(moduli, dtype=np.float64)).sum(axis=1) + 2.0**-30).astype(np.int64)
    limbs = np.zeros((math.ceil((q.bit_length() + 3) / _LIMB) + 1, len(residues)), dtype=np.int64)
    for column, modulus in zip(scaled.T.astype(np.int64), moduli, strict=True):
        for half, part in enumerate((column & _MASK, column >> _LIMB)):
            for place, limb in enumerate(_limbs(q // modulus)):
                limbs[half + place] += part * limb
    for place, limb in enumerate(_limbs(q)):
        limbs[place] -= quotient * limb
    for place, limb in enumerate(_limbs(more)):
        limbs[place] += limb
    for place in range(len(limbs) - 1):
        limbs[place + 1] += limbs[place] >> _LIMB
        limbs[place] &= _MASK
    return limbs


def _shifted(limbs: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Without so many low bits."""
    whole, rest = divmod(bits, _LIMB)
    above = np.concatenate([limbs[whole + 1 :], np.zeros((1, limbs.shape[1]), dtype=np.int64)])
    kept: NDArray[np.int64] = limbs[whole:] >> rest | (above << (_LIMB - rest)) & _MASK
    kept[-1] = limbs[-1] >> rest  # with its sign
    return kept


def _divided(limbs: NDArray[np.int64], base: int) -> NDArray[np.int64]:
    """The remainder of a division by `base`, below 2**43; the quotient takes the number's place."""
    rest = np.zeros(limbs.shape[1], dtype=np.int64)
    for limb in limbs[::-1]:
        rest <<= _LIMB
        rest += limb
        limb[:] = rest // base
        rest -= limb * base
    return rest


def _limbs(number: int) -> list[int]:
    return [number >> place & _MASK for place in range(0, number.bit_length(), _LIMB)]
