"""Plans of the homomorphic schemes: how many values go into a slot, under which parameters.

Both schemes run on TenSEAL and SEAL with polynomials of degree N = 4096, for which 109 modulus bits give 128-bit
security with ternary secrets (HomomorphicEncryption.org standard, 2018). One *data prime* q carries the message; the
*special prime* gets what is left, at most 60 bits. A slot carries `fields_per_slot` fields of `field_bits` each,
together payload_bits. Among all layouts that are exact, the planner takes the one with the smallest upload.

Noise. SEAL encrypts under both primes and divides the special prime away. What is left is the rounding error
tau_0 + tau_1 * s, with tau uniform in [-1/2, 1/2] and s ternary: per coefficient a standard deviation of
COEFFICIENT_NOISE = sqrt((1 + 2N/3) / 12) = 15.1, and sqrt(K) times that in a sum over K banks.

*CKKS* (Cheon, Kim, Kim, Song, ASIACRYPT 2017) has N/2 slots and multiplies them by 2**scale_bits. No coefficient of the
encoded polynomial exceeds its largest slot, so payload_bits + scale_bits + 1 <= prime_bits keeps the sum inside the
modulus. In a slot the noise has the standard deviation NOISE = COEFFICIENT_NOISE * sqrt(N/2) = 683; it is
tau_1(z) s(z), where |s(z)|**2 is exponentially distributed over keys and slots: a Gaussian with exponentially
distributed variance, which is a Laplace distribution. So with sigma = NOISE * sqrt(K) / 2**scale_bits

    P(a slot rounds to a wrong integer) = exp(-sqrt(2) * (1/2) / sigma).

*BFV* (Brakerski, CRYPTO 2012; Fan, Vercauteren, 2012) has N slots of integers modulo a prime t = 1 mod 2N above the
largest packed sum. It decrypts exactly while every coefficient's noise stays below q / (2t); that noise is a sum of
thousands of independent terms, so its tail is the normal distribution's.

By the union bound the whole sum is exact but for a probability of 2**-FAILURE_BITS over keys and encryptions.
`tests/secagg/test_budget.py` compares deviation and tail with measured ciphertexts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.plans import ENVELOPE_BYTES, Plan, sum_bits
from secure_fl.secagg.packing import repeat_in_fields
from secure_fl.secagg.primes import next_prime

POLY_MODULUS_DEGREE = 4096
MODULUS_BITS = 109
LARGEST_PRIME_BITS = 60
COEFFICIENT_NOISE = math.sqrt((1 + 2 * POLY_MODULUS_DEGREE / 3) / 12)
NOISE = COEFFICIENT_NOISE * math.sqrt(POLY_MODULUS_DEGREE / 2)
FAILURE_BITS = 25
# Serialized size of a fresh ciphertext by the bits of its data prime, measured and rounded up: two polynomials of
# 64-bit words under zstd, which gains little on random coefficients. Off by less than 2 %.
CIPHERTEXT_BYTES = {
    40: 49_400, 41: 51_200, 42: 52_600, 43: 53_800, 44: 54_700, 45: 55_300, 46: 55_700,
    47: 55_900, 48: 56_300, 49: 57_900, 50: 59_000, 51: 60_100, 52: 60_900, 53: 61_400,
    54: 61_800, 55: 61_900, 56: 62_000, 57: 63_000, 58: 63_800, 59: 64_500, 60: 65_700,
}  # fmt: skip


@dataclass(frozen=True)
class HeParameters:
    """What a TenSEAL context is made from; all of it public."""

    scheme: Literal["ckks", "bfv"]
    prime_bits: int
    scale_bits: int = 0
    """CKKS only."""
    plain_modulus: int = 0
    """BFV only."""

    @property
    def coeff_mod_bit_sizes(self) -> tuple[int, int]:
        """Data prime, special prime."""
        return (self.prime_bits, min(MODULUS_BITS - self.prime_bits, LARGEST_PRIME_BITS))

    @property
    def slots(self) -> int:
        """Slots of one ciphertext."""
        return POLY_MODULUS_DEGREE // 2 if self.scheme == "ckks" else POLY_MODULUS_DEGREE


@dataclass(frozen=True, kw_only=True)
class HePlan(Plan, ABC):
    """A plan with the packing and the parameters of a homomorphic scheme."""

    fields_per_slot: int
    prime_bits: int

    @property
    @abstractmethod
    def parameters_of_context(self) -> HeParameters:
        """What the keys are made from."""

    @property
    def centre(self) -> int:
        """What every bank subtracts from each of its slots, so that the sum is centred on zero."""
        return 0

    @property
    @abstractmethod
    def failure_bits(self) -> float:
        """-log2 of the probability that any value of the sum is wrong."""

    @property
    def slots(self) -> int:
        """Slots in use, before the last ciphertext is padded."""
        return math.ceil(self.parameters / self.fields_per_slot)

    @property
    def ciphertexts(self) -> int:
        return math.ceil(self.slots / self.parameters_of_context.slots)

    @property
    def upload_bytes(self) -> int:
        return ENVELOPE_BYTES + self.ciphertexts * CIPHERTEXT_BYTES[self.prime_bits]

    def derived(self) -> dict[str, Any]:
        return super().derived() | {
            "poly_modulus_degree": POLY_MODULUS_DEGREE,
            "coeff_mod_bit_sizes": list(self.parameters_of_context.coeff_mod_bit_sizes),
            "fields_per_slot": self.fields_per_slot,
            "ciphertexts": self.ciphertexts,
            "failure_probability": f"2^-{self.failure_bits:.0f}",
        }


@dataclass(frozen=True, kw_only=True)
class CkksPlan(HePlan):
    """N/2 slots of approximate numbers, rounded to the exact integers."""

    scale_bits: int

    @property
    def parameters_of_context(self) -> HeParameters:
        return HeParameters("ckks", self.prime_bits, scale_bits=self.scale_bits)

    @property
    def centre(self) -> int:
        assert self.bits is not None
        return repeat_in_fields(1 << (self.bits - 1), self.fields_per_slot, self.field_bits)

    @property
    def failure_bits(self) -> float:
        return _ckks_failure_bits(self.banks, self.slots, self.scale_bits)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {"scale_bits": self.scale_bits}


@dataclass(frozen=True, kw_only=True)
class BfvPlan(HePlan):
    """N slots of integers modulo a prime."""

    plain_modulus: int

    @property
    def parameters_of_context(self) -> HeParameters:
        return HeParameters("bfv", self.prime_bits, plain_modulus=self.plain_modulus)

    @property
    def failure_bits(self) -> float:
        coefficients = self.ciphertexts * POLY_MODULUS_DEGREE
        return _bfv_failure_bits(self.banks, coefficients, self.prime_bits, self.plain_modulus)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {"plain_modulus": self.plain_modulus}


def plan_ckks(banks: int, parameters: int, bits: int | None, threshold: int) -> CkksPlan:
    """The smallest exact CKKS layout. Raises `PlanError`."""
    assert bits is not None  # float32 was refused before
    candidates = []
    for fields, payload_bits in _layouts(banks, bits):
        scale_bits = _smallest_scale(banks, math.ceil(parameters / fields))
        prime_bits = max(payload_bits + scale_bits + 1, min(CIPHERTEXT_BYTES))
        if prime_bits <= LARGEST_PRIME_BITS:
            candidates.append(
                CkksPlan(
                    scheme="ckks",
                    banks=banks,
                    parameters=parameters,
                    bits=bits,
                    threshold=threshold,
                    fields_per_slot=fields,
                    scale_bits=prime_bits - 1 - payload_bits,
                    prime_bits=prime_bits,
                )
            )
    if not candidates:
        width, scale_bits = sum_bits(bits, banks), _smallest_scale(banks, parameters)
        raise PlanError(
            f"the sum of {banks} banks x {bits} bits needs {width} bits, plus {scale_bits} against the noise, and a "
            f"CKKS slot holds {LARGEST_PRIME_BITS - 1}; use at most "
            f"{bits - (width + scale_bits + 1 - LARGEST_PRIME_BITS)} bits or fewer banks"
        )
    return min(candidates, key=lambda candidate: candidate.upload_bytes)


def plan_bfv(banks: int, parameters: int, bits: int | None, threshold: int) -> BfvPlan:
    """The smallest exact BFV layout; one field always fits, since a sum has at most 38 bits."""
    assert bits is not None  # float32 was refused before
    candidates = []
    for fields, payload_bits in _layouts(banks, bits):
        modulus = next_prime(1 << payload_bits, residue=1, step=2 * POLY_MODULUS_DEGREE)
        coefficients = math.ceil(parameters / fields / POLY_MODULUS_DEGREE) * POLY_MODULUS_DEGREE
        for prime_bits in CIPHERTEXT_BYTES:
            if _bfv_failure_bits(banks, coefficients, prime_bits, modulus) >= FAILURE_BITS:
                candidates.append(
                    BfvPlan(
                        scheme="bfv",
                        banks=banks,
                        parameters=parameters,
                        bits=bits,
                        threshold=threshold,
                        fields_per_slot=fields,
                        prime_bits=prime_bits,
                        plain_modulus=modulus,
                    )
                )
                break
    return min(candidates, key=lambda candidate: candidate.upload_bytes)


def _layouts(banks: int, bits: int) -> Iterator[tuple[int, int]]:
    """How many fields a slot might carry, and the bits that they take together."""
    width = sum_bits(bits, banks)
    for fields in range(1, LARGEST_PRIME_BITS // width + 1):
        yield fields, fields * width


def _ckks_failure_bits(banks: int, slots: int, scale_bits: int) -> float:
    sigma: float = NOISE * math.sqrt(banks) / 2**scale_bits
    return math.sqrt(2) * 0.5 / sigma / math.log(2) - math.log2(slots)


def _smallest_scale(banks: int, slots: int) -> int:
    return next(s for s in range(1, 64) if _ckks_failure_bits(banks, slots, s) >= FAILURE_BITS)


def _bfv_failure_bits(banks: int, coefficients: int, prime_bits: int, plain_modulus: int) -> float:
    """From the bound P(|x| > B) <= 2 exp(-B**2 / (2 sigma**2)) for each coefficient."""
    bound: float = 0.99 * 2**prime_bits / (2 * plain_modulus)  # SEAL's primes lie just below 2**prime_bits
    sigma: float = COEFFICIENT_NOISE * math.sqrt(banks)
    return bound**2 / (2 * sigma**2) / math.log(2) - 1 - math.log2(coefficients)
