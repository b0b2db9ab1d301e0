"""Plans of CKKS sums under a key that nobody has: values in complex slots, opened in parts that are drowned in noise.

Keys, encryption and answers are those of `budget.threshold`. A ciphertext has N/2 complex slots
(`threshold.embedding`), and a number of `fields` values, centred on zero, goes into each of their N real and imaginary
parts. Slots are multiplied by 2**scale_bits. Let M be the largest number of one bank, so that K M is that of a sum. No
coefficient of an encoded polynomial exceeds its largest slot, so sqrt(2) K M 2**scale_bits and all noise stay below
q / 2.

*Smudging* is in coefficients, because a slot is no number modulo q. All N coefficients of a ciphertext leave, whatever
is in use. What a member's noise, uniform on [-2**k, 2**k), has to hide is more than under `bfv`. There the encoded sum
is a function of the sum. Here each bank rounds what it encodes: what opens is the polynomial of the exact sum, plus the
noise e of encryption, plus K rounding errors, which depend on the values of single banks. Encoded in float64 they are
2**51 where k is 68 (10 banks, a million parameters): over all coefficients that bounds nothing. So banks encode in
pairs of float64. With u = 2**-53 each of the log2(N/2) steps is off by at most 31 u**2, as a Euclidean norm
over that of what it is taken of, and the last turn by 22 u**2; in all that is below PRECISION. With the rounding to
integers, errors sum up to at most N + sqrt(2 N) PRECISION M 2**scale_bits over the N coefficients of a ciphertext. Over
n coefficients, and as many answers r as a part has members,

    distance <= r n (0.8 sigma sqrt(K) + K + K sqrt(2 / N) PRECISION M 2**scale_bits) / 2**(k+1) <= 2**-SMUDGING_BITS.

sigma is the bound of `budget.threshold`, which holds whoever draws the key, and secrecy is computational as there. So
the approximate sum that the aggregator has before it rounds is, but for that distance, the exact sum's polynomial and
noise that depends on nothing. What Li and Micciancio (EUROCRYPT 2021) read of approximate results is not in it.

*Dropping.* Of first polynomials and of answers d low bits are not sent, after rounding. What is sent is a function of
what tells nothing, so it tells nothing either; and nobody needs those bits.

*Exactness.* Each part of a slot is a sum of the coefficients with weights whose squares add up to N/2. What a member's
answer is off by, whatever it is rounded with, is a number that is uniform over 2**(k+1-d) steps of 2**d, and one more
step or not: sub-Gaussian with 4**k / 3 + 4**d / 6, where d <= k + 1. What a bank cuts off is uniform over 2**d integers
by Ring-LWE, and strictly sub-Gaussian. Means are at most 1 each. Let B be what is left of 2**scale_bits / 2 once the
following have had the most that they can have: the transform in float64, FLOAT_ERROR sqrt(N) (K M + 1) of a slot
(Higham, "Accuracy and Stability of Numerical Algorithms", 2002, Theorem 24.2, with 13 steps), the means, e (20
deviations), and what banks rounded. Then, P being the parts of the key,

    P(some part of a slot rounds to a wrong integer) <= 2 n exp(-B**2 / (2 sigma**2)),
    sigma**2 = (N/2) (P (4**k / 3 + 4**d / 6) + K 4**d / 12).

A wrong sum tells nothing of the key: what makes it wrong is drawn by members, or cut off in public.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.committee import Committee
from secure_fl.secagg.budget.he import FAILURE_BITS, Run, normal_tail_bits, probability
from secure_fl.secagg.budget.threshold import SMUDGING_BITS, KeyRing, ThresholdPlan
from secure_fl.secagg.packing import repeat_in_fields

PRECISION = 2.0**-97
"""Of slots to coefficients, in pairs of float64: Euclidean norms, the error's over the result's."""
FLOAT_ERROR = 2.0**-46.5
"""Of coefficients to slots, in float64."""
_WIDEST_PIECE = 48
"""Sums of 10,000 such words stay below 2**62."""
_FEWER_DROPPED = 16
"""So many bits less than smudging has: their noise is nothing beside it."""
_MOST_FLOAT_ERROR = 0.4
_MODULUS_BITS = 196
"""Of all data primes; with the special prime 214, within the guidelines of 2024 at N = 8192."""
_RINGS = tuple(
    KeyRing((bits,) * primes) for primes in range(2, 6) for bits in range(31, 41) if primes * bits <= _MODULUS_BITS
)


@dataclass(frozen=True, kw_only=True, repr=False)
class SlotPlan(ThresholdPlan):
    """`fields` values in a real or imaginary part of a slot; `shift` is the scale."""

    dropped: int
    """Low bits of first polynomials, and of answers, that are not sent."""
    place_of_fields: ClassVar[str] = "fields_per_part_of_slot"

    @property
    def slots(self) -> int:
        """Real and imaginary parts in use."""
        return math.ceil(self.parameters / self.fields)

    @property
    def ciphertexts(self) -> int:
        return math.ceil(self.slots / self.ring.degree)

    @property
    def coefficients(self) -> int:
        return self.ciphertexts * self.ring.degree

    @property
    def pieces(self) -> int:
        """Words for what is sent of a coefficient, the lowest first."""
        return math.ceil(self._sent_bits / _WIDEST_PIECE)

    @property
    def first(self) -> Run:
        return Run(self.coefficients * self.pieces, math.ceil(self._sent_bits / self.pieces))

    @property
    def centre(self) -> int:
        """What a bank subtracts from each number, and the largest that is left."""
        assert self.bits is not None
        return repeat_in_fields(1 << (self.bits - 1), self.fields, self.field_base)

    @property
    def rounding(self) -> float:
        """The most that all banks' rounding errors are on average over the coefficients of a ciphertext."""
        return self.banks * (1 + math.sqrt(2 / self.ring.degree) * PRECISION * self.centre * 2.0**self.shift)

    @property
    def unwanted(self) -> float:
        return super().unwanted + self.rounding

    @property
    def failure_bits(self) -> float:
        """-log2 of a bound on the probability that any value of a sum over all banks is wrong."""
        parts, degree = len(self.committee.subsets), self.ring.degree
        others = degree * (20 * self.deviation + self.rounding + self.banks + parts)
        bound = 2.0**self.shift * (0.5 - float_error(self)) - others
        variance = parts * (4.0**self.smudging / 3 + 4.0**self.dropped / 6) + self.banks * 4.0**self.dropped / 12
        return normal_tail_bits(bound, math.sqrt(degree / 2 * variance), self.coefficients)

    @property
    def _sent_bits(self) -> int:
        return sum(self.ring.prime_bits) - self.dropped

    def derived(self) -> dict[str, Any]:
        own = {"dropped_bits": self.dropped, "scale_bits": self.shift}
        return super().derived() | own | {"failure_probability": probability(self.failure_bits)}


def float_error(plan: SlotPlan) -> float:
    """The most by which a slot is off that was computed in float64."""
    return FLOAT_ERROR * math.sqrt(plan.ring.degree) * (plan.banks * plan.centre + 1)


def plan_slots(
    scheme: str, banks: int, parameters: int, bits: int | None, threshold: int, committee: Committee
) -> SlotPlan:
    """The smallest upload, and of these the most smudging. Raises `PlanError`."""
    assert bits is not None  # float32 was refused before
    found = _smallest(scheme, banks, parameters, bits, threshold, committee)
    if found is None:
        fewer = next(b for b in range(bits - 1, 0, -1) if _smallest(scheme, banks, parameters, b, threshold, committee))
        raise PlanError(
            f"sums of {banks} banks x {bits} bits over {parameters} parameters leave no room for smudging in slots; "
            f"use at most {fewer} bits, or bfv"
        )
    return found


def _smallest(
    scheme: str, banks: int, parameters: int, bits: int, threshold: int, committee: Committee
) -> SlotPlan | None:
    start = SlotPlan(
        scheme=scheme,
        banks=banks,
        parameters=parameters,
        bits=bits,
        threshold=threshold,
        ring=_RINGS[0],
        members=committee.members,
        quorum=committee.quorum,
        fields=1,
        smudging=0,
        shift=0,
        dropped=0,
    )
    return min(_layouts(start), key=lambda plan: (plan.upload_bytes, -plan.smudging), default=None)


def _layouts(start: SlotPlan) -> Iterator[SlotPlan]:
    fields = 1
    while float_error(wider := replace(start, fields=fields)) <= _MOST_FLOAT_ERROR:
        for ring in _RINGS:
            yield from _noises(replace(wider, ring=ring))
        fields += 1


def _noises(plan: SlotPlan) -> Iterator[SlotPlan]:
    """With the largest scale, the fewest bits that leave a sum exact, and then the widest noise that does."""
    modulus = sum(plan.ring.prime_bits)
    room = modulus - 1 + math.log2(0.98 / (math.sqrt(2) * plan.banks * plan.centre))
    scaled = replace(plan, shift=max(math.floor(room), 0))
    least = max(math.ceil(SMUDGING_BITS - scaled.distance_bits), 0)
    for dropped in range(scaled.shift, least - _FEWER_DROPPED, -1):
        found = replace(scaled, smudging=max(least, dropped - 1), dropped=dropped)
        if found.first.bits * found.pieces == modulus - dropped and found.failure_bits >= FAILURE_BITS:
            while (more := replace(found, smudging=found.smudging + 1)).failure_bits >= FAILURE_BITS:
                found = more
            yield found
            return
