"""What travels when a committee opens sums: words of ciphertexts, and what members make of them.

Words are coefficients modulo each data prime, coefficient by coefficient, so that what is not in use is left out at the
end; under `ckks` first polynomials and answers are upper bits of coefficients (`rounding`). Any payload of the right
length is a ciphertext, and nothing of it reaches SEAL at the aggregator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg.budget.he import Run
from secure_fl.secagg.budget.threshold import KeyRing, ThresholdPlan
from secure_fl.secagg.hazmat.collective import data_moduli
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.numbering import decode_numbers, encode_numbers
from secure_fl.secagg.packing import PackedSum, Words, pack_bits, unpack_bits
from secure_fl.secagg.threshold.rounding import restored, rounded

UPLOAD, OPEN = "upload", "open"
_COUNT_BYTES = 4
_PARTS_BYTES = 2


def member_name(number: int) -> str:
    """Members are numbered from 1."""
    return f"key-holder-{number}"


def parts_of(cohort: Cohort[ThresholdPlan], member: str) -> tuple[int, ...]:
    """The parts of the key that a member has, in rising order."""
    return cohort.plan.committee.parts_of(cohort.trustees.index(member))


def pack_upload(plan: ThresholdPlan, first: Words, second: Words) -> Iterator[bytes]:
    """`first`: [coefficients, data primes]; `second`: [ciphertexts, N, data primes]."""
    yield pack_first(plan, first)
    yield pack_words(plan.second, second)


def pack_first(plan: ThresholdPlan, words: Words) -> bytes:
    """Of coefficients [coefficients, data primes] what is sent."""
    return pack_words(plan.first, rounded(plan, words))


def unpack_first(plan: ThresholdPlan, payload: memoryview) -> Words:
    """The inverse, but for what is not sent. Raises `MessageError`."""
    if len(payload) != plan.first.nbytes:
        raise _of_another_length()
    return restored(plan, unpack_bits(payload, plan.first.bits, plan.first.count).view(np.uint64))


def pack_words(run: Run, words: Words) -> bytes:
    return pack_bits(words.reshape(-1), run.bits)


def unpack_words(ring: KeyRing, run: Run, payload: memoryview) -> Words:
    """[words / primes, primes], reduced. Raises `MessageError`."""
    if len(payload) != run.nbytes:
        raise _of_another_length()
    words = unpack_bits(payload, run.bits, run.count).view(np.uint64).reshape(-1, ring.primes)
    return words % data_moduli(ring).reshape(-1)


def _of_another_length() -> MessageError:
    return MessageError("words have another length than the plan's; send them again")


class Adder:
    """A running sum modulo the primes, of a size that does not depend on how many are added."""

    def __init__(self, plan: ThresholdPlan) -> None:
        self._plan, self._runs = plan, (plan.first, plan.second)
        self._sums = tuple(PackedSum(run.count, run.bits, 0) for run in self._runs)

    def add(self, payload: memoryview) -> None:
        """One bank's upload. Raises `MessageError`. 2**24 of the widest words fit before any is reduced."""
        first, second = self._runs
        if len(payload) != first.nbytes + second.nbytes:
            raise MessageError("a payload does not hold the ciphertexts of the plan; send it again")
        self._sums[0].add(payload[: first.nbytes])
        self._sums[1].add(payload[first.nbytes :])

    def total(self) -> tuple[Words, Words]:
        """First and second polynomials, [.., data primes]."""
        ring, (first, second) = self._plan.ring, (summed.values for summed in self._sums)
        return restored(self._plan, first), second.reshape(-1, ring.primes) % data_moduli(ring).reshape(-1)


@dataclass(frozen=True)
class Asked:
    """A request to a member: which parts of the key to apply to the sum of so many banks."""

    wanted: tuple[int, ...]
    contributors: int
    summed: bytes
    """Packed second polynomials."""

    @cached_property
    def digest(self) -> bytes:
        """Of the sum, whichever parts are asked for."""
        digest = hashlib.sha256(self.contributors.to_bytes(_COUNT_BYTES, "little"))
        digest.update(self.summed)
        return digest.digest()

    def to_parts(self) -> list[bytes]:
        numbers = encode_numbers(self.wanted)
        return [
            len(self.wanted).to_bytes(_PARTS_BYTES, "little"),
            numbers,
            self.contributors.to_bytes(_COUNT_BYTES, "little"),
            self.summed,
        ]


def read_request(cohort: Cohort[ThresholdPlan], member: str, payload: memoryview) -> Asked:
    """Raises `MessageError`."""
    end = _PARTS_BYTES + 2 * int.from_bytes(payload[:_PARTS_BYTES], "little")
    wanted = decode_numbers(payload[_PARTS_BYTES:end], len(cohort.plan.committee.subsets))
    if not set(wanted) <= set(parts_of(cohort, member)):
        raise MessageError(f"{member} is asked for a part of the key that it does not have; ask who has it")
    start = end + _COUNT_BYTES
    return Asked(wanted, int.from_bytes(payload[end:start], "little"), bytes(payload[start:]))


def ciphertexts_of(plan: ThresholdPlan, second: Words) -> Words:
    """Second polynomials as SEAL has them, [ciphertexts, data primes, N]."""
    return np.ascontiguousarray(second.reshape(plan.ciphertexts, plan.ring.degree, plan.ring.primes).transpose(0, 2, 1))


def in_use(plan: ThresholdPlan, polynomials: Words) -> Words:
    """The inverse for [ciphertexts, data primes, N], as far as coefficients are in use: [coefficients, data primes]."""
    words: Words = polynomials.transpose(0, 2, 1).reshape(-1, plan.ring.primes)[: plan.coefficients]
    return words


def unpack_answer(plan: ThresholdPlan, payload: memoryview, wanted: Iterable[int]) -> Mapping[int, Words]:
    """Part -> what a member gave for it, [coefficients, data primes]. Raises `MessageError`."""
    parts, width = tuple(wanted), plan.first.nbytes
    if len(payload) != width * len(parts):
        raise MessageError("a member's answer has the wrong length; it must send it again")
    return {part: unpack_first(plan, payload[place * width : (place + 1) * width]) for place, part in enumerate(parts)}
