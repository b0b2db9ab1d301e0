"""Plans of BFV sums: how many values go into a coefficient, under which primes, and how many low bits are not sent.

BFV (Brakerski, CRYPTO 2012; Fan, Vercauteren, 2012) encrypts polynomials of N integers modulo a t above the largest
packed sum. It decrypts exactly while every coefficient's noise stays below q / (2t). Sums need no more than
coefficients, so nothing is encoded into values at roots; coefficients of first polynomials that hold nothing are not
sent. (t is a prime = 1 mod 2N all the same, so that TenSEAL, which batches always, can hold the key.)

*Noise.* Of one fresh ciphertext: COEFFICIENT_NOISE, as for CKKS (`budget.ckks`). Cutting off the low d0 bits of first
polynomials and d1 bits of second ones adds delta_0 + delta_1 s, the deltas uniform around zero, so with
h = N (2/3 + 1/8) above |s|**2 of all but one of 2**100 keys

    sigma_0 = 2**d0 / sqrt(12)      sigma_1 = 2**d1 sqrt(h / 12)

The parts depend on each other, so each is held to its share of B (`budget.rlwe` has the argument). Each is a sum of
thousands of bounded terms, taken for independent, whose tail is at most the normal distribution's. With p parts

    P(wrong) <= 2 n p exp(-B**2 / (2 sigma**2)),     B = 0.99 q / (2t) - 2K [- 333]

where K banks' rounding of q m / t, and the half step by which the mean that is put back of first polynomials can be
off, take less than 2K, and 333 what the key makes of that of second polynomials, where any of their bits are cut off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from secure_fl.secagg.budget.ckks import COEFFICIENT_NOISE
from secure_fl.secagg.budget.dropping import dropped_failure_bits, most_dropped
from secure_fl.secagg.budget.he import (
    FAILURE_BITS,
    LARGEST_PRIME_BITS,
    POLY_MODULUS_DEGREE,
    PRIME_BITS,
    Dropped,
    HeParameters,
    SealPlan,
    field_base,
    smallest_exact,
)
from secure_fl.secagg.primes import next_prime


@dataclass(frozen=True, kw_only=True, repr=False)
class BfvPlan(SealPlan):
    """N coefficients of integers modulo a prime."""

    plain_modulus: int

    @property
    def parameters_of_context(self) -> HeParameters:
        return HeParameters("bfv", self.prime_bits, plain_modulus=self.plain_modulus)

    @property
    def coefficients(self) -> tuple[int, int]:
        return self.slots, self.ciphertexts * POLY_MODULUS_DEGREE

    def _failure_bits(self, noise: float) -> float:
        bound = _bound(self.prime_bits, self.plain_modulus, self.banks)
        return dropped_failure_bits(bound, noise, COEFFICIENT_NOISE, self.dropped, self.slots)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {"plain_modulus": self.plain_modulus}


def plan_bfv(banks: int, parameters: int, bits: int | None, threshold: int) -> BfvPlan:
    """The smallest exact BFV layout; one field always fits, since a sum has at most 38 bits."""
    assert bits is not None  # float32 was refused before
    base = field_base(banks, bits)
    best = smallest_exact(
        BfvPlan(
            scheme="bfv",
            banks=banks,
            parameters=parameters,
            bits=bits,
            threshold=threshold,
            fields_per_slot=fields,
            prime_bits=prime_bits,
            plain_modulus=modulus,
            dropped=dropped,
        )
        for fields in range(1, math.floor(LARGEST_PRIME_BITS / math.log2(base)) + 1)
        for modulus in [next_prime(base**fields, residue=1, step=2 * POLY_MODULUS_DEGREE)]
        for prime_bits in PRIME_BITS
        for dropped in _droppings(banks, math.ceil(parameters / fields), prime_bits, modulus)
    )
    assert best is not None
    return best


def _droppings(banks: int, slots: int, prime_bits: int, modulus: int) -> Iterator[Dropped]:
    """The most that may be dropped."""
    second = math.ceil(slots / POLY_MODULUS_DEGREE) * POLY_MODULUS_DEGREE
    bound = _bound(prime_bits, modulus, banks)
    return most_dropped(bound, math.sqrt(banks), COEFFICIENT_NOISE, (slots, second), FAILURE_BITS)


def _bound(prime_bits: int, modulus: int, banks: int) -> float:
    """The noise that a sum bears; SEAL's primes lie just below 2**prime_bits."""
    return float(0.99 * 2**prime_bits / (2 * modulus) - 2 * banks)
