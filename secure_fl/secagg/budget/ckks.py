"""Plans of CKKS sums: how many values go into a slot, under which prime and scale.

CKKS (Cheon, Kim, Kim, Song, ASIACRYPT 2017) has N/2 slots and multiplies them by 2**scale_bits. No coefficient of the
encoded polynomial exceeds its largest slot, so payload_bits + scale_bits + 1 <= prime_bits keeps the sum inside the
modulus. A slot carries `fields_per_slot` fields, together payload_bits.

*Noise.* SEAL encrypts under data prime and special prime and divides the special prime away. What is left is the
rounding error tau_0 + tau_1 * s, with tau uniform in [-1/2, 1/2] and s ternary: per coefficient a standard deviation of
COEFFICIENT_NOISE = sqrt((1 + 2N/3) / 12) = 15.1, and sqrt(K) times that in a sum over K banks. The noise under the
special prime adds less than 1 %, at 46 bits and more. In a slot the noise has the standard deviation
NOISE = COEFFICIENT_NOISE * sqrt(N/2) = 683; it is tau_1(z) s(z), where |s(z)|**2 is exponentially distributed over keys
and slots: a Gaussian with exponentially distributed variance, which is a Laplace distribution. So with
sigma = NOISE * sqrt(K) / 2**scale_bits

    P(a slot rounds to a wrong integer) = exp(-sqrt(2) * (1/2) / sigma).

Ciphertexts travel as SEAL computes with them, by their values at the roots of X**N + 1. Low bits of such values cannot
be left out: an error in one value is one in every coefficient. `tests/secagg/test_budget.py` compares deviation and
tail with measured ciphertexts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.he import (
    FAILURE_BITS,
    LARGEST_PRIME_BITS,
    POLY_MODULUS_DEGREE,
    PRIME_BITS,
    HeParameters,
    SealPlan,
    field_base,
    smallest_exact,
)
from secure_fl.secagg.packing import repeat_in_fields

COEFFICIENT_NOISE = math.sqrt((1 + 2 * POLY_MODULUS_DEGREE / 3) / 12)
NOISE = COEFFICIENT_NOISE * math.sqrt(POLY_MODULUS_DEGREE / 2)


@dataclass(frozen=True, kw_only=True, repr=False)
class CkksPlan(SealPlan):
    """N/2 slots of approximate numbers, rounded to the exact integers."""

    scale_bits: int

    @property
    def parameters_of_context(self) -> HeParameters:
        return HeParameters("ckks", self.prime_bits, scale_bits=self.scale_bits)

    @property
    def coefficients(self) -> tuple[int, int]:
        count = self.ciphertexts * self.parameters_of_context.data_primes * POLY_MODULUS_DEGREE
        return count, count

    @property
    def centre(self) -> int:
        assert self.bits is not None
        return repeat_in_fields(1 << (self.bits - 1), self.fields_per_slot, self.field_base)

    def _failure_bits(self, noise: float) -> float:
        return _failure_bits(noise, self.slots, self.scale_bits)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {"scale_bits": self.scale_bits}


def plan_ckks(banks: int, parameters: int, bits: int | None, threshold: int) -> CkksPlan:
    """An exact CKKS layout, small and safe. Raises `PlanError`."""
    assert bits is not None  # float32 was refused before
    best = smallest_exact(
        CkksPlan(
            scheme="ckks",
            banks=banks,
            parameters=parameters,
            bits=bits,
            threshold=threshold,
            fields_per_slot=fields,
            scale_bits=scale_bits,
            prime_bits=prime_bits,
        )
        for fields, prime_bits, scale_bits in _layouts(field_base(banks, bits))
    )
    if best is None:
        width, scale_bits = field_base(banks, bits).bit_length(), _smallest_scale(banks, parameters)
        raise PlanError(
            f"the sum of {banks} banks x {bits} bits needs {width} bits, plus {scale_bits} against the noise, and a "
            f"CKKS slot holds {LARGEST_PRIME_BITS - 1}; use at most "
            f"{bits - (width + scale_bits + 1 - LARGEST_PRIME_BITS)} bits or fewer banks"
        )
    return best


def _layouts(base: int) -> Iterator[tuple[int, int, int]]:
    """Fields of a slot, bits of a prime, and of the scale that the prime then has room for."""
    for fields in range(1, LARGEST_PRIME_BITS):
        payload_bits = (base**fields - 1).bit_length()
        for prime_bits in PRIME_BITS:
            if prime_bits - 1 > payload_bits:
                yield fields, prime_bits, prime_bits - 1 - payload_bits


def _failure_bits(noise: float, slots: int, scale_bits: int) -> float:
    sigma: float = NOISE * noise / 2**scale_bits
    return math.sqrt(2) * 0.5 / sigma / math.log(2) - math.log2(slots)


def _smallest_scale(banks: int, slots: int) -> int:
    noise = math.sqrt(banks)
    return next(s for s in range(1, 64) if _failure_bits(noise, slots, s) >= FAILURE_BITS)
