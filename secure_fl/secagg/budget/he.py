"""Plans of the homomorphic schemes: how many values go into a slot, under which parameters.

Both schemes run on TenSEAL and SEAL with polynomials of degree N = 4096, for which 106 modulus bits give 128-bit
security with ternary secrets (Bossuat et al., "Security Guidelines for Implementing Homomorphic Encryption", 2024; the
standard of 2018 allowed 109). One *data prime* q carries the message; the *special prime* gets what is left, at most 60
bits. A slot carries `fields_per_slot` fields of `field_bits` each, together payload_bits.

Noise. SEAL encrypts under both primes and divides the special prime away. What is left is the rounding error
tau_0 + tau_1 * s, with tau uniform in [-1/2, 1/2] and s ternary: per coefficient a standard deviation of
COEFFICIENT_NOISE = sqrt((1 + 2N/3) / 12) = 15.1, and sqrt(K) times that in a sum over K banks. The noise under the
special prime adds less than 1 %, at 46 bits and more. In a sum in which one ciphertext was added K times, which a bank
or the aggregator could arrange, all terms are equal and the deviation is K times that of one: no sum of K has more.

*CKKS* (Cheon, Kim, Kim, Song, ASIACRYPT 2017) has N/2 slots and multiplies them by 2**scale_bits. No coefficient of the
encoded polynomial exceeds its largest slot, so payload_bits + scale_bits + 1 <= prime_bits keeps the sum inside the
modulus. In a slot the noise has the standard deviation NOISE = COEFFICIENT_NOISE * sqrt(N/2) = 683; it is
tau_1(z) s(z), where |s(z)|**2 is exponentially distributed over keys and slots: a Gaussian with exponentially
distributed variance, which is a Laplace distribution. So with sigma = NOISE * sqrt(K) / 2**scale_bits

    P(a slot rounds to a wrong integer) = exp(-sqrt(2) * (1/2) / sigma).

*BFV* (Brakerski, CRYPTO 2012; Fan, Vercauteren, 2012) has N slots of integers modulo a prime t = 1 mod 2N above the
largest packed sum. It decrypts exactly while every coefficient's noise stays below q / (2t); that noise is a sum of
thousands of independent terms, so its tail is the normal distribution's.

By the union bound over slots or coefficients the whole sum is exact but for a probability of 2**-failure_bits over keys
and encryptions, and so are R sums of one key but for R times that. A failure is more than a wrong figure: it tells
something of the key, for exact schemes too (Cheon, Choe, Passelegue, Stehle, Suvanto, "Attacks Against the IND-CPA-D
Security of Exact FHE Schemes", CCS 2024; Checri, Sirdey, Boudguiga, Bultel, "On the Practical CPA-D Security of 'exact'
and Threshold FHE Schemes and Libraries", CRYPTO 2024). So the planner finds the smallest upload among layouts that fail
with at most 2**-LEAST_FAILURE_BITS, and of those that cost less than SAFETY_COST more it takes, in this order: one that
reaches SAFE_FAILURE_BITS for repeated ciphertexts too; the safest for honest sums, up to SAFE_FAILURE_BITS; the
smallest.
`tests/secagg/test_budget.py` compares deviation and tail with measured ciphertexts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.plans import ENVELOPE_BYTES, Plan, sum_bits
from secure_fl.secagg.packing import repeat_in_fields
from secure_fl.secagg.primes import next_prime

POLY_MODULUS_DEGREE = 4096
MODULUS_BITS = 106
LARGEST_PRIME_BITS = 60
COEFFICIENT_NOISE = math.sqrt((1 + 2 * POLY_MODULUS_DEGREE / 3) / 12)
NOISE = COEFFICIENT_NOISE * math.sqrt(POLY_MODULUS_DEGREE / 2)
SAFE_FAILURE_BITS, LEAST_FAILURE_BITS = 40, 25
SAFETY_COST = 0.025
"""Share of the upload that a safer plan may cost on top: 3 % as measured, whatever the estimate of sizes is off by."""
LIFE_FAILURE_BITS = 20
"""`HePlan.sums_of_a_key` counts the sums of which none fails, but for 2**-20."""
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
    data_primes: int = 1
    """So many of `prime_bits` each, where squares need more room than one."""

    @property
    def coeff_mod_bit_sizes(self) -> tuple[int, ...]:
        """Data primes, special prime."""
        special = min(MODULUS_BITS - self.data_primes * self.prime_bits, LARGEST_PRIME_BITS)
        return (*[self.prime_bits] * self.data_primes, special)

    @property
    def slots(self) -> int:
        """Slots of one ciphertext."""
        return POLY_MODULUS_DEGREE // 2 if self.scheme == "ckks" else POLY_MODULUS_DEGREE


@dataclass(frozen=True, kw_only=True, repr=False)
class HePlan(Plan, ABC):
    """A plan with the packing and the parameters of a homomorphic scheme."""

    fields_per_slot: int
    prime_bits: int

    @property
    def may_collude_curious(self) -> int | None:
        return self.most_in_a_sum

    @property
    @abstractmethod
    def parameters_of_context(self) -> HeParameters:
        """What the keys are made from."""

    @property
    def centre(self) -> int:
        """What every bank subtracts from each of its slots, so that the sum is centred on zero."""
        return 0

    @property
    def failure_bits(self) -> float:
        """-log2 of a bound on the probability that any value of a sum over all banks is wrong."""
        return self._failure_bits(math.sqrt(self.banks))

    @property
    def repeated_failure_bits(self) -> float:
        """The same where one ciphertext was added as often as there are banks. Below 0: no bound at all."""
        return self._failure_bits(self.banks)

    @property
    def sums_of_a_key(self) -> int:
        """So many sums under one key, or more, fail with at most 2**-LIFE_FAILURE_BITS, all together."""
        return int(2 ** min(self.failure_bits - LIFE_FAILURE_BITS, SAFE_FAILURE_BITS))

    @abstractmethod
    def _failure_bits(self, noise: float) -> float:
        """-log2 of the bound, where the noise is so many times that of one fresh ciphertext."""

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
            "failure_probability": _probability(self.failure_bits),
            "failure_probability_repeated": _probability(self.repeated_failure_bits),
            "sums_of_a_key": self.sums_of_a_key,
        }


@dataclass(frozen=True, kw_only=True, repr=False)
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

    def _failure_bits(self, noise: float) -> float:
        return _ckks_failure_bits(noise, self.slots, self.scale_bits)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {"scale_bits": self.scale_bits}


@dataclass(frozen=True, kw_only=True, repr=False)
class BfvPlan(HePlan):
    """N slots of integers modulo a prime."""

    plain_modulus: int

    @property
    def parameters_of_context(self) -> HeParameters:
        return HeParameters("bfv", self.prime_bits, plain_modulus=self.plain_modulus)

    def _failure_bits(self, noise: float) -> float:
        coefficients = self.ciphertexts * POLY_MODULUS_DEGREE
        return _bfv_failure_bits(noise, coefficients, self.prime_bits, self.plain_modulus)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {"plain_modulus": self.plain_modulus}


def plan_ckks(banks: int, parameters: int, bits: int | None, threshold: int) -> CkksPlan:
    """An exact CKKS layout, small and safe. Raises `PlanError`."""
    assert bits is not None  # float32 was refused before
    best = _small_and_safe(
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
        for fields, payload_bits in _layouts(banks, bits)
        for prime_bits in CIPHERTEXT_BYTES
        if prime_bits - 1 > payload_bits
    )
    if best is None:
        width, scale_bits = sum_bits(bits, banks), _smallest_scale(banks, parameters)
        raise PlanError(
            f"the sum of {banks} banks x {bits} bits needs {width} bits, plus {scale_bits} against the noise, and a "
            f"CKKS slot holds {LARGEST_PRIME_BITS - 1}; use at most "
            f"{bits - (width + scale_bits + 1 - LARGEST_PRIME_BITS)} bits or fewer banks"
        )
    return best


def plan_bfv(banks: int, parameters: int, bits: int | None, threshold: int) -> BfvPlan:
    """An exact BFV layout, small and safe; one field always fits, since a sum has at most 38 bits."""
    assert bits is not None  # float32 was refused before
    best = _small_and_safe(
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
        for fields, payload_bits in _layouts(banks, bits)
        for modulus in [next_prime(1 << payload_bits, residue=1, step=2 * POLY_MODULUS_DEGREE)]
        for prime_bits in CIPHERTEXT_BYTES
        if prime_bits > payload_bits
    )
    assert best is not None
    return best


AnyHePlan = TypeVar("AnyHePlan", CkksPlan, BfvPlan)


def _small_and_safe(layouts: Iterable[AnyHePlan]) -> AnyHePlan | None:
    """The safest of the layouts that cost hardly more than the smallest; None where none is exact."""
    exact = [layout for layout in layouts if layout.failure_bits >= LEAST_FAILURE_BITS]
    limit = min((layout.upload_bytes for layout in exact), default=0) * (1 + SAFETY_COST)

    def rank(layout: AnyHePlan) -> tuple[bool, float, int, float]:
        return (
            layout.repeated_failure_bits < SAFE_FAILURE_BITS,
            -min(layout.failure_bits, SAFE_FAILURE_BITS),
            layout.upload_bytes,
            -layout.failure_bits,
        )

    return min((layout for layout in exact if layout.upload_bytes < limit), key=rank, default=None)


def _layouts(banks: int, bits: int) -> Iterator[tuple[int, int]]:
    """How many fields a slot might carry, and the bits that they take together."""
    width = sum_bits(bits, banks)
    for fields in range(1, LARGEST_PRIME_BITS // width + 1):
        yield fields, fields * width


def _ckks_failure_bits(noise: float, slots: int, scale_bits: int) -> float:
    sigma: float = NOISE * noise / 2**scale_bits
    return math.sqrt(2) * 0.5 / sigma / math.log(2) - math.log2(slots)


def _smallest_scale(banks: int, slots: int) -> int:
    noise = math.sqrt(banks)
    return next(s for s in range(1, 64) if _ckks_failure_bits(noise, slots, s) >= LEAST_FAILURE_BITS)


def _bfv_failure_bits(noise: float, coefficients: int, prime_bits: int, plain_modulus: int) -> float:
    """From the bound P(|x| > B) <= 2 exp(-B**2 / (2 sigma**2)) for each coefficient."""
    bound: float = 0.99 * 2**prime_bits / (2 * plain_modulus)  # SEAL's primes lie just below 2**prime_bits
    sigma = COEFFICIENT_NOISE * noise
    return bound**2 / (2 * sigma**2) / math.log(2) - 1 - math.log2(coefficients)


def _probability(bits: float) -> str:
    """2**-bits as a bound in words."""
    return f"2^-{math.floor(min(bits, 128))}" if bits >= 1 else "no bound"
