"""Numbers modulo SEAL's primes, put together again: exact, for all coefficients at once.

Numbers of up to 195 bits are limbs of 20 bits, [limbs, numbers], so that products and sums of limbs stay far below
2**63 and numpy does them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from secure_fl.secagg.budget.threshold import KeyRing
from secure_fl.secagg.hazmat.collective import data_moduli, product
from secure_fl.secagg.packing import Words

LIMB_BITS = 20
_MASK = (1 << LIMB_BITS) - 1


@lru_cache
def moduli_of(ring: KeyRing) -> tuple[int, ...]:
    """The data primes, as Python's integers."""
    return tuple(map(int, data_moduli(ring).reshape(-1)))


def rebuilt(ring: KeyRing, residues: Words, below: float, more: int = 0) -> NDArray[np.int64]:
    """The number in [-below q, (1 - below) q), plus `more`, by the Chinese remainder theorem; residues of [n, primes].

    The quotient comes from floating point, so that within q / 2**48 of its ends the range is not sharp.
    """
    moduli = moduli_of(ring)
    q = math.prod(moduli)
    inverses = np.array([pow(q // modulus, -1, modulus) for modulus in moduli], dtype=np.uint64)
    scaled = product(residues, np.broadcast_to(inverses, residues.shape), np.array(moduli, dtype=np.uint64))
    quotient = np.floor((scaled / np.array(moduli, dtype=np.float64)).sum(axis=1) + below).astype(np.int64)
    limbs = np.zeros((math.ceil((q.bit_length() + 3) / LIMB_BITS) + 1, len(residues)), dtype=np.int64)
    for column, modulus in zip(scaled.T.astype(np.int64), moduli, strict=True):
        for half, part in enumerate((column & _MASK, column >> LIMB_BITS)):
            for place, limb in enumerate(_limbs(q // modulus)):
                limbs[half + place] += part * limb
    for place, limb in enumerate(_limbs(q)):
        limbs[place] -= quotient * limb
    for place, limb in enumerate(_limbs(more)):
        limbs[place] += limb
    for place in range(len(limbs) - 1):
        limbs[place + 1] += limbs[place] >> LIMB_BITS
        limbs[place] &= _MASK
    return limbs


def shifted(limbs: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Without so many low bits."""
    whole, rest = divmod(bits, LIMB_BITS)
    above = np.concatenate([limbs[whole + 1 :], np.zeros((1, limbs.shape[1]), dtype=np.int64)])
    kept: NDArray[np.int64] = limbs[whole:] >> rest | (above << (LIMB_BITS - rest)) & _MASK
    kept[-1] = limbs[-1] >> rest  # with its sign
    return kept


def some_bits(limbs: NDArray[np.int64], start: int, bits: int) -> NDArray[np.int64]:
    """So many bits of numbers that are not negative, from `start`; at most 40."""
    kept = shifted(limbs, start)
    low: NDArray[np.int64] = (kept[0] | kept[1] << LIMB_BITS) & ((1 << bits) - 1)
    return low


def as_floats(limbs: NDArray[np.int64], bits: int) -> NDArray[np.float64]:
    """Numbers over 2**bits, rounded to float64."""
    total = np.zeros(limbs.shape[1])
    for place, limb in enumerate(limbs):
        total += np.ldexp(limb.astype(np.float64), LIMB_BITS * place - bits)
    return total


def _limbs(number: int) -> list[int]:
    return [number >> place & _MASK for place in range(0, number.bit_length(), LIMB_BITS)]
