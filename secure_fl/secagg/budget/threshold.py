"""Plans of sums under a key that nobody has: a committee opens them, in parts that are drowned in noise.

Encryption is SEAL's of zero under the joint key of the committee's parts (Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux,
"Multiparty Homomorphic Encryption from Ring-Learning-with-Errors", PoPETs 2021), N = 8192 and q of five data primes;
with the special prime 214 bits, within the guidelines of 2024 for ternary secrets. Values are digits of an integer m
below base**fields in each coefficient, and 2**shift m is added to c0.

*Smudging.* Of part s_i a member gives h = s_i c1 + w with w uniform on [-2**k, 2**k). Whoever knows the sum and all
other parts can work out h but for e + w, where e is the noise of the summed ciphertext. The statistical distance
between e + w and w is at most |e| / 2**(k+1) in a coefficient, which is what an opening can tell of the key. Of a fresh
ciphertext e is the rounding error of the special prime, deviation sqrt((1 + |s|**2) / 12). Of the joint key s of P
ternary parts |s|**2 is about 2N P / 3 where all are drawn honestly; who draws several can draw the same each time, or
what others of them have. No coefficient of s exceeds P, so |s|**2 <= N P**2 whoever draws. Over n coefficients, K
banks, and as many answers r as a part has members

    distance <= r n 0.8 sigma sqrt(K) / 2**(k+1) <= 2**-SMUDGING_BITS,  sigma = sqrt((1 + N P**2) / 12).

The distance is statistical for noise that is drawn uniformly. It is expanded from seeds (HKDF-SHA256, then AES-256 in
counter mode), and e is uniform by Ring-LWE, so all of this is computational: as long as nobody breaks these.

*Exactness.* The sum rounds to the right integer while e and the P smudging noises stay below 2**(shift - 1), and
P 2**k + e does by choice of the shift, e being below 2**k but for less than 2**-100. No sum fails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.committee import Committee
from secure_fl.secagg.budget.he import Run, field_base
from secure_fl.secagg.budget.plans import CHECKED_BYTES, COMMITTED_BYTES, ENVELOPE_BYTES, Plan

DEGREE = 8192
PRIME_BITS = (40, 40, 40, 40, 36)
SMUDGING_BITS = 40
LIFE_DISTANCE_BITS = 20


@dataclass(frozen=True)
class KeyRing:
    """What a joint key and all that it encrypts is made of: polynomials of N coefficients modulo primes."""

    prime_bits: tuple[int, ...]
    """Of data primes, at most 42: products of words are taken in halves (`hazmat.collective`)."""
    special_bits: int = 18
    degree: int = DEGREE

    @property
    def coeff_mod_bit_sizes(self) -> tuple[int, ...]:
        """Data primes, special prime."""
        return (*self.prime_bits, self.special_bits)

    @property
    def primes(self) -> int:
        """So many data primes."""
        return len(self.prime_bits)

    @property
    def word_bits(self) -> int:
        """Of a coefficient modulo one of them."""
        return max(self.prime_bits)


BFV_RING = KeyRing(PRIME_BITS)


@dataclass(frozen=True, kw_only=True, repr=False)
class ThresholdPlan(Plan):
    """A plan with the layout of a coefficient, and the committee."""

    ring: KeyRing
    members: int
    quorum: int
    fields: int
    """Values in a coefficient, or in a part of a slot."""
    smudging: int
    """k: noises are uniform on [-2**k, 2**k)."""
    shift: int
    """Messages are multiplied by 2**shift."""

    place_of_fields: ClassVar[str] = "fields_per_coefficient"

    @property
    def committee(self) -> Committee:
        return Committee(self.members, self.quorum)

    @property
    def commits(self) -> bool:
        return True

    @property
    def may_collude_curious(self) -> int | None:
        return self.most_in_a_sum

    @property
    def field_base(self) -> int:
        """Above the sum of one parameter over all banks."""
        assert self.bits is not None
        return field_base(self.banks, self.bits)

    @property
    def coefficients(self) -> int:
        """In use, of first polynomials."""
        return math.ceil(self.parameters / self.fields)

    @property
    def ciphertexts(self) -> int:
        return math.ceil(self.coefficients / self.ring.degree)

    @property
    def first(self) -> Run:
        """First polynomials, as far as they are in use: a word for each prime, coefficient by coefficient."""
        return Run(self.coefficients * self.ring.primes, self.ring.word_bits)

    @property
    def second(self) -> Run:
        """Second polynomials, whole."""
        return Run(self.ciphertexts * self.ring.degree * self.ring.primes, self.ring.word_bits)

    @property
    def upload_bytes(self) -> int:
        return ENVELOPE_BYTES + COMMITTED_BYTES + self.first.nbytes + self.second.nbytes

    @property
    def distance_bits(self) -> float:
        """-log2 of the statistical distance that all answers of a sum have from answers that tell nothing."""
        answers = self.members - self.quorum + 1
        return self.smudging + 1 - math.log2(answers * self.coefficients * self.unwanted)

    @property
    def deviation(self) -> float:
        """The most of the noise of a sum of honest ciphertexts, before anybody answers, whoever drew the key."""
        key = self.ring.degree * len(self.committee.subsets) ** 2
        return math.sqrt(self.banks * (1 + key) / 12)

    @property
    def unwanted(self) -> float:
        """The mean size of what smudging hides in a coefficient."""
        return 0.8 * self.deviation

    @property
    def sums_of_a_key(self) -> int:
        """So many sums under one key, or more, tell of it within a distance of 2**-LIFE_DISTANCE_BITS, all together."""
        return int(2 ** min(self.distance_bits - LIFE_DISTANCE_BITS, 2 * LIFE_DISTANCE_BITS))

    @property
    def answer_bytes(self) -> int:
        """The most that a member sends for a sum: of all parts that it has, which it is asked for at most."""
        return ENVELOPE_BYTES + len(self.committee.parts_of(0)) * self.first.nbytes

    def derived(self) -> dict[str, Any]:
        return super().derived() | {
            "poly_modulus_degree": self.ring.degree,
            "coeff_mod_bit_sizes": list(self.ring.coeff_mod_bit_sizes),
            "members": self.members,
            "quorum": self.quorum,
            "parts": len(self.committee.subsets),
            "members_may_be_silent": self.committee.may_be_silent,
            "members_may_collude": self.committee.may_collude,
            "members_may_collude_lying": self.committee.may_collude_lying,
            self.place_of_fields: self.fields,
            "ciphertexts": self.ciphertexts,
            "smudging_bits": self.smudging,
            "statistical_distance": f"2^-{math.floor(self.distance_bits)}",
            "sums_of_a_key": self.sums_of_a_key,
            "request_bytes": ENVELOPE_BYTES + self.banks * (CHECKED_BYTES + self.second.nbytes),
            "answer_bytes": self.answer_bytes,
        }


def plan_threshold(
    scheme: str, banks: int, parameters: int, bits: int | None, threshold: int, committee: Committee
) -> ThresholdPlan:
    """As many values in a coefficient as the noises leave room for. Raises `PlanError`."""
    assert bits is not None  # float32 was refused before
    base, parts = field_base(banks, bits), len(committee.subsets)
    for fields in range(math.floor(sum(PRIME_BITS) / math.log2(base)), 0, -1):
        room = sum(PRIME_BITS) - 2 - math.ceil(fields * math.log2(base))
        found = ThresholdPlan(
            scheme=scheme,
            banks=banks,
            parameters=parameters,
            bits=bits,
            threshold=threshold,
            ring=BFV_RING,
            members=committee.members,
            quorum=committee.quorum,
            fields=fields,
            smudging=room - 1 - math.ceil(math.log2(parts + 1)),
            shift=room,
        )
        if found.distance_bits >= SMUDGING_BITS:
            return found
    raise PlanError(f"sums of {banks} banks x {bits} bits leave no room for smudging; use fewer bits")
