"""Ciphertexts on the wire: packed words of fixed widths, which anybody can add modulo q and nobody has to parse.

Low bits that the plan drops are cut off, not rounded, since rounding could carry into one bit more; the key authority
puts back their mean, once for each contributor.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE, Run
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.public_keys import moduli_of
from secure_fl.secagg.packing import WORD_BITS, PackedSum, pack_bits, unpack_bits

KEY_AUTHORITY = "key-authority"
UPLOAD, DECRYPT = "upload", "decrypt"
COUNT_BYTES = 4
"""In which a request says how many banks a sum is of."""


def pack_upload(plan: HePlan, halves: Halves) -> Iterator[bytes]:
    """One bank's payload, in parts; first coefficients behind those in use are left out."""
    for words, run, dropped in zip(halves, plan.words, plan.dropped, strict=True):
        yield pack_bits(words[: run.count] >> np.uint64(dropped), run.bits)


def unpack_upload(plan: HePlan, payload: memoryview) -> Halves:
    """The inverse, with zeros in the place of the bits that were dropped. Raises `MessageError`.

    Of the right length, any bytes are an upload, and words need not be below their prime.
    """
    parts = zip(_split(plan.words, payload), plan.words, plan.dropped, strict=True)
    first, second = (
        unpack_bits(part, run.bits, run.count).view(np.uint64) << np.uint64(dropped) for part, run, dropped in parts
    )
    return Halves(first, second)


def pack_sum(plan: HePlan, halves: Halves) -> Iterator[bytes]:
    """The aggregator's payload, in parts."""
    for words, run in zip(halves, plan.summed_words, strict=True):
        yield pack_bits(words, run.bits)


def unpack_sum(plan: HePlan, payload: memoryview, contributors: int) -> Halves:
    """The inverse, with the mean of the dropped bits of all contributors put back. Raises `MessageError`."""
    runs = plan.summed_words
    parts = zip(_split(runs, payload), runs, plan.dropped, strict=True)
    first, second = (
        unpack_bits(part, run.bits, run.count).view(np.uint64) + np.uint64(contributors * ((1 << dropped) - 1) // 2)
        for part, run, dropped in parts
    )
    return Halves(first, second)


def _split(runs: tuple[Run, Run], payload: memoryview) -> tuple[memoryview, memoryview]:
    """Raises `MessageError`."""
    border = runs[0].nbytes
    if len(payload) != border + runs[1].nbytes:
        raise MessageError("a payload does not hold the ciphertexts of the plan; send it again")
    return payload[:border], payload[border:]


class Adder:
    """A running sum modulo q, of a size that does not depend on how many are added."""

    def __init__(self, plan: HePlan) -> None:
        self._plan = plan
        self._moduli = np.array(moduli_of(plan.parameters_of_context), dtype=np.uint64)
        self._sums = tuple(
            PackedSum(run.count, run.bits, dropped) for run, dropped in zip(plan.words, plan.dropped, strict=True)
        )
        self._left = self._room = (1 << (WORD_BITS - plan.modulus_bits)) - 1

    def add(self, payload: memoryview) -> None:
        """One bank's upload. Raises `MessageError` where it is none, and leaves the sum as it is."""
        parts = _split(self._plan.words, payload)
        if not self._left:
            self.total()
        for summed, part in zip(self._sums, parts, strict=True):
            summed.add(part)
        self._left -= 1

    def total(self) -> Halves:
        """Reduced modulo q."""
        first, second = (summed.values for summed in self._sums)
        for words in (first, second):
            by_prime = words.reshape(-1, len(self._moduli), POLY_MODULUS_DEGREE) if len(self._moduli) > 1 else words
            modulus = self._moduli[:, None] if len(self._moduli) > 1 else self._moduli[0]
            by_prime -= by_prime // modulus * modulus  # faster than a remainder
        self._left = self._room
        return Halves(first, second)
