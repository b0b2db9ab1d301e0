"""What travels when a committee opens sums: words of ciphertexts, and what members make of them.

Words are coefficients modulo each data prime, coefficient by coefficient, so that what is not in use is left out at the
end; under `ckks` first polynomials and answers are upper bits of coefficients (`rounding`). Any payload of the right
length is a ciphertext, and nothing of it reaches SEAL at the aggregator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg.budget.he import Run
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.committed.wire import Cut
from secure_fl.secagg.hazmat.collective import data_moduli
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.numbering import decode_numbers, encode_numbers
from secure_fl.secagg.packing import PackedSum, Words, pack_bits, unpack_bits
from secure_fl.secagg.threshold.rounding import restored, rounded

OPEN = "open"
_PARTS_BYTES = 2


def member_name(number: int) -> str:
    """Members are numbered from 1."""
    return f"key-holder-{number}"


def parts_of(cohort: Cohort[ThresholdPlan], member: str) -> tuple[int, ...]:
    """The parts of the key that a member has, in rising order."""
    return cohort.plan.committee.parts_of(cohort.trustees.index(member))


def cut_of(plan: ThresholdPlan) -> Cut:
    """Members see second polynomials, with which alone they read nothing."""
    return Cut(plan.first.nbytes, plan.second.nbytes)


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


def _of_another_length() -> MessageError:
    return MessageError("words have another length than the plan's; send them again")


class FirstPolynomials:
    """Their running sum modulo the primes, of a size that does not depend on how many are added."""

    def __init__(self, plan: ThresholdPlan) -> None:
        self._plan = plan
        self._sum = PackedSum(plan.first.count, plan.first.bits, 0)

    def add(self, ciphertexts: memoryview) -> None:
        """One bank's, of the right length. 2**24 of the widest words fit before any is reduced."""
        self._sum.add(ciphertexts[: self._plan.first.nbytes])

    def total(self) -> Words:
        """[coefficients, data primes]."""
        return restored(self._plan, self._sum.values)


def sum_of_seconds(plan: ThresholdPlan, shown: Iterable[bytes | memoryview]) -> Words:
    """Of packed second polynomials, [ciphertexts N, data primes], reduced."""
    summed = PackedSum(plan.second.count, plan.second.bits, 0)
    for each in shown:
        summed.add(memoryview(each))
    return summed.values.reshape(-1, plan.ring.primes) % data_moduli(plan.ring).reshape(-1)


def pack_request(wanted: Iterable[int], uploads: Iterable[bytes]) -> list[bytes]:
    """To a member: which parts of the key to apply to the sum of these uploads."""
    numbers = encode_numbers(wanted)
    return [len(numbers).to_bytes(_PARTS_BYTES, "little"), numbers, *uploads]


def read_request(cohort: Cohort[ThresholdPlan], member: str, payload: memoryview) -> tuple[tuple[int, ...], memoryview]:
    """The inverse. Raises `MessageError`."""
    end = _PARTS_BYTES + int.from_bytes(payload[:_PARTS_BYTES], "little")
    wanted = decode_numbers(payload[_PARTS_BYTES:end], len(cohort.plan.committee.subsets))
    if not set(wanted) <= set(parts_of(cohort, member)):
        raise MessageError(f"{member} is asked for a part of the key that it does not have; ask who has it")
    return wanted, payload[end:]


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
