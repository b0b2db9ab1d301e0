"""What the plans of all homomorphic schemes share: words on the wire, and how often a sum may fail.

A ciphertext is two polynomials modulo q, and travels as their coefficients: packed words of a fixed width, those of
the first polynomials and those of the second (`packing`). The aggregator adds them modulo q, and knows nothing else of
ciphertexts. `ckks`, `bfv` and `rlwe` choose parameters and widths.

A sum is exact but for a probability of 2**-failure_bits over keys and encryptions, by the union bound over all slots or
coefficients; R sums of one key but for R times that. A failure is more than a wrong figure: it tells something of the
key, for exact schemes too (Cheon, Choe, Passelegue, Stehle, Suvanto, "Attacks Against the IND-CPA-D Security of Exact
FHE Schemes", CCS 2024; Checri, Sirdey, Boudguiga, Bultel, "On the Practical CPA-D Security of 'exact' and Threshold FHE
Schemes and Libraries", CRYPTO 2024). So the planners demand FAILURE_BITS. In a sum in which one ciphertext was added K
times, which a bank or the aggregator could arrange, all terms of the noise are equal and its deviation is K times that
of one, where it is sqrt(K) times that in an honest sum: no sum of K has more. A plan says how often such a sum fails.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from secure_fl.secagg.budget.plans import CHECKED_BYTES, COMMITTED_BYTES, ENVELOPE_BYTES, Plan
from secure_fl.secagg.packing import packed_bytes

POLY_MODULUS_DEGREE = 4096
MODULUS_BITS = 106
"""128-bit security with ternary secrets (Bossuat et al., "Security Guidelines for Implementing Homomorphic Encryption",
2024; the standard of 2018 allowed 109)."""
LARGEST_PRIME_BITS = 60
PRIME_BITS = range(40, LARGEST_PRIME_BITS + 1)
"""What is considered for a data prime; the special prime gets what is left of MODULUS_BITS, at most 60 bits."""
FAILURE_BITS = 40
LIFE_FAILURE_BITS = 20
"""`HePlan.sums_of_a_key` counts the sums of which none fails, but for 2**-20."""


SPARE_DIGITS = 1 / 256
"""Share of the values of a field that no sum can have, so that garbage is noticed: of n random fields, the largest sum
is exceeded by none with a probability of less than exp(-n / 258)."""


def field_base(banks: int, bits: int) -> int:
    """What fields of such sums count to."""
    largest = banks * ((1 << bits) - 1)
    return largest + 1 + math.ceil(SPARE_DIGITS * largest)


@dataclass(frozen=True)
class Run:
    """Packed words that follow each other."""

    count: int
    bits: int

    @property
    def nbytes(self) -> int:
        return packed_bytes(self.count, self.bits)


class Dropped(NamedTuple):
    """Low bits of each coefficient that are not sent, of first and of second polynomials."""

    first: int
    second: int


NOTHING_DROPPED = Dropped(0, 0)


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
        """Slots of one ciphertext: of BFV all coefficients, of CKKS half as many values at roots."""
        return POLY_MODULUS_DEGREE // 2 if self.scheme == "ckks" else POLY_MODULUS_DEGREE


@dataclass(frozen=True)
class RlweParameters:
    """What keys of our own Ring-LWE sums are made from."""

    keys: int
    """Secret polynomials, and so messages under one u."""


KeyParameters = HeParameters | RlweParameters


@dataclass(frozen=True, kw_only=True, repr=False)
class HePlan(Plan, ABC):
    """A plan with the packing of a homomorphic scheme."""

    fields_per_slot: int
    dropped: Dropped = NOTHING_DROPPED
    witnesses: int = 0
    """How many vouch to the key authority for what it opens."""

    @property
    def may_collude_curious(self) -> int | None:
        return self.most_in_a_sum

    @property
    def commits(self) -> bool:
        return self.witnesses > 0

    @property
    @abstractmethod
    def parameters_of_context(self) -> KeyParameters:
        """What the keys are made from."""

    @property
    @abstractmethod
    def modulus_bits(self) -> int:
        """Of q, or of each of the primes that make it up."""

    @property
    @abstractmethod
    def coefficients(self) -> tuple[int, int]:
        """How many of first and of second polynomials there are."""

    @property
    def centre(self) -> int:
        """What every bank subtracts from each of its slots, so that the sum is centred on zero."""
        return 0

    @property
    def words(self) -> tuple[Run, Run]:
        """One bank's ciphertexts as they travel: first polynomials, second polynomials."""
        first, second = self.coefficients
        return Run(first, self.modulus_bits - self.dropped.first), Run(second, self.modulus_bits - self.dropped.second)

    @property
    def summed_words(self) -> tuple[Run, Run]:
        """Their sum, as it travels to the key authority."""
        first, second = self.coefficients
        return Run(first, self.modulus_bits), Run(second, self.modulus_bits)

    @property
    def field_base(self) -> int:
        """Above the sum of one parameter over all banks, by a share of SPARE_DIGITS."""
        assert self.bits is not None
        return field_base(self.banks, self.bits)

    @property
    def slots(self) -> int:
        """Slots, or coefficients, in use."""
        return math.ceil(self.parameters / self.fields_per_slot)

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
        return int(2 ** min(self.failure_bits - LIFE_FAILURE_BITS, 2 * LIFE_FAILURE_BITS))

    @abstractmethod
    def _failure_bits(self, noise: float) -> float:
        """-log2 of the bound, where the noise is so many times that of one fresh ciphertext."""

    @property
    def upload_bytes(self) -> int:
        committed = COMMITTED_BYTES if self.commits else 0
        return ENVELOPE_BYTES + committed + sum(run.nbytes for run in self.words)

    def derived(self) -> dict[str, Any]:
        figures = super().derived() | {
            "poly_modulus_degree": POLY_MODULUS_DEGREE,
            "fields_per_slot": self.fields_per_slot,
            "dropped_bits": list(self.dropped),
            "word_bits": [run.bits for run in self.words],
            "failure_probability": probability(self.failure_bits),
            "failure_probability_repeated": probability(self.repeated_failure_bits),
            "sums_of_a_key": self.sums_of_a_key,
        }
        if not self.commits:
            return figures
        shown = CHECKED_BYTES + sum(run.nbytes for run in self.words)
        return figures | {"witnesses": self.witnesses, "request_bytes": ENVELOPE_BYTES + self.banks * shown}


@dataclass(frozen=True, kw_only=True, repr=False)
class SealPlan(HePlan, ABC):
    """A plan with the parameters of one of SEAL's schemes."""

    prime_bits: int

    @property
    @abstractmethod
    def parameters_of_context(self) -> HeParameters: ...

    @property
    def modulus_bits(self) -> int:
        return self.prime_bits

    @property
    def ciphertexts(self) -> int:
        return math.ceil(self.slots / self.parameters_of_context.slots)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {
            "coeff_mod_bit_sizes": list(self.parameters_of_context.coeff_mod_bit_sizes),
            "ciphertexts": self.ciphertexts,
        }


AnyHePlan = TypeVar("AnyHePlan", bound=HePlan)


def smallest_exact(layouts: Iterable[AnyHePlan]) -> AnyHePlan | None:
    """The smallest upload, and the safest of that size; None where none is exact."""
    exact = (layout for layout in layouts if layout.failure_bits >= FAILURE_BITS)
    return min(exact, key=lambda layout: (layout.upload_bytes, -layout.failure_bits), default=None)


def normal_tail_bits(bound: float, deviation: float, count: int) -> float:
    """-log2 of the bound 2 count exp(-bound**2 / (2 deviation**2)); below 0: none."""
    if bound <= 0:
        return -math.inf
    return bound**2 / (2 * deviation**2) / math.log(2) - 1 - math.log2(count)


def probability(bits: float) -> str:
    """2**-bits as a bound in words."""
    return f"2^-{math.floor(min(bits, 128))}" if bits >= 1 else "no bound"
