"""The aggregator's half of Multi-Krum on ciphertexts: it holds no key, and learns which banks were chosen."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.budget.krum import WEIGHTS_WIDTH, KrumPlan
from secure_fl.secagg.hazmat.he_public import EncryptedVector, PublicContext
from secure_fl.secagg.hazmat.he_totals import total_of_imaginary_parts, total_of_square
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.public_keys import moduli_of
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY, UPLOAD, Adder, pack_sum, unpack_upload
from secure_fl.secagg.krum.wire import SELECT, decode_choice, join_list, norms_and_pairs
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.packing import IntVector, Words, unpack_bits
from secure_fl.secagg.protocol import Attendance, Replies, SecureSum, ServerHalf, Stage, reason, request

Uploads = Mapping[int, memoryview]
"""By the bank's number, in the order of arrival: its ciphertexts, packed."""


def krum_server(cohort: Cohort[KrumPlan], public: PublicContext) -> ServerHalf:
    """Collect ciphertexts, have banks chosen by their encrypted distances, and have the sum of the chosen opened."""
    attendance = Attendance(cohort)

    def read_upload(_: str, payload: memoryview) -> memoryview:
        _require_random_halves(cohort.plan, unpack_upload(cohort.plan, payload))
        return payload

    asked = request(cohort, UPLOAD, cohort.banks)
    uploads = {
        cohort.banks.index(bank): payload for bank, payload in attendance.answers(asked, (yield asked), read_upload)
    }
    attendance.require_threshold(uploads)

    asked = _to_authority(cohort, SELECT, join_list(uploads, _totals(cohort, public, uploads)))
    chosen, refused = _choice(cohort, attendance, asked, (yield asked), uploads)
    attendance.refused |= refused

    adder = Adder(cohort.plan)
    for number in chosen:
        adder.add(uploads[number])
    asked = _to_authority(cohort, DECRYPT, join_list(chosen, pack_sum(cohort.plan, adder.total())))
    total = _opened(cohort, attendance, asked, (yield asked))
    names = frozenset(cohort.banks[number] for number in uploads)
    contributors = frozenset(cohort.banks[number] for number in chosen)
    return SecureSum(total, contributors, dict(attendance.refused), names - contributors - refused.keys())


def _require_random_halves(plan: KrumPlan, halves: Halves) -> None:
    """SEAL computes with no ciphertext whose second polynomial is nothing (transparent). Raises `MessageError`."""
    moduli = np.array(moduli_of(plan.parameters_of_context), dtype=np.uint64)[:, None]
    second = halves.second.reshape(plan.ciphertexts, plan.data_primes, -1) % moduli
    if not second.any(axis=(1, 2)).all():
        raise MessageError("a ciphertext hides nothing: its random half is zero; send it again")


def _to_authority(cohort: Cohort[KrumPlan], stage: str, payload: Iterator[bytes]) -> Stage:
    return Stage(stage, {KEY_AUTHORITY: seal(cohort, stage, AGGREGATOR, KEY_AUTHORITY, payload)})


def _totals(cohort: Cohort[KrumPlan], public: PublicContext, uploads: Uploads) -> Iterator[bytes]:
    """What `wire.split_totals` reads: of each bank the imaginary parts, weighed at random; norms; squared distances.

    All uploads are in memory twice, as they came and unpacked; SEAL has one ciphertext of each bank at a time, and one
    running total for each bank and pair.
    """
    numbers, parameters = sorted(uploads), cohort.plan.parameters_of_context
    unpacked = {number: unpack_upload(cohort.plan, uploads[number]) for number in numbers}
    parts: dict[tuple[int, ...], EncryptedVector] = {}
    squares: dict[tuple[int, ...], EncryptedVector] = {}
    for place in range(cohort.plan.ciphertexts):
        loaded = {number: public.vector(_ciphertext(cohort.plan, unpacked[number], place)) for number in numbers}
        weights = random_weights(parameters.slots)
        for number in numbers:
            _add(parts, (number,), loaded[number].weighed(weights))
        for banks in norms_and_pairs(numbers):
            with _blaming(cohort, max(banks, key=list(uploads).index)):
                _add(squares, banks, _square(*(loaded[number] for number in banks)))
    for weighed in parts.values():
        yield total_of_imaginary_parts(parameters, weighed, public).serialize()
    for square in squares.values():
        yield total_of_square(parameters, square, public).serialize()


def _ciphertext(plan: KrumPlan, halves: Halves, place: int) -> Words:
    """[2, data primes, N]."""
    return np.stack([half.reshape(plan.ciphertexts, plan.data_primes, -1)[place] for half in halves])


def random_weights(count: int) -> NDArray[np.float64]:
    """Uniform in [-WEIGHTS_WIDTH / 2, WEIGHTS_WIDTH / 2), unknown to everybody before uploads are in."""
    words = np.frombuffer(secrets.token_bytes(4 * count), dtype="<i4")
    return words.astype(np.float64) * (WEIGHTS_WIDTH / 2**32)


def _square(one: EncryptedVector, other: EncryptedVector | None = None) -> EncryptedVector:
    return one.squared() if other is None else one.squared_difference(other)


def _add(running: dict[tuple[int, ...], EncryptedVector], banks: tuple[int, ...], more: EncryptedVector) -> None:
    if banks in running:
        running[banks].add(more)
    else:
        running[banks] = more


@contextmanager
def _blaming(cohort: Cohort[KrumPlan], number: int) -> Iterator[None]:
    """Names the bank whose ciphertext copies or cancels others: it knew them, so it is the one that came later."""
    try:
        yield
    except MessageError as error:
        bank = cohort.banks[number]
        raise ProtocolError(f"{bank}: {error}", {bank: reason(error)}) from None


def _choice(
    cohort: Cohort[KrumPlan], attendance: Attendance, asked: Stage, replies: Replies, uploads: Collection[int]
) -> tuple[tuple[int, ...], dict[str, str]]:
    """The numbers of the chosen banks, and the refused banks with reasons."""

    def read_choice(_: str, payload: memoryview) -> tuple[tuple[int, ...], dict[int, str]]:
        chosen, refused = decode_choice(payload, len(cohort.banks))
        if not {*chosen, *refused} <= set(uploads):
            raise MessageError("a choice of banks names one without an upload; make a new attempt")
        return chosen, refused

    for _, (chosen, refused) in attendance.answers(asked, replies, read_choice):
        attendance.require_threshold(chosen)
        return chosen, {cohort.banks[number]: why for number, why in refused.items()}
    raise _silent(attendance)


def _opened(cohort: Cohort[KrumPlan], attendance: Attendance, asked: Stage, replies: Replies) -> IntVector:
    def read_sum(_: str, payload: memoryview) -> IntVector:
        return unpack_bits(payload, cohort.plan.field_bits, cohort.plan.parameters)

    for _, total in attendance.answers(asked, replies, read_sum):
        return total
    raise _silent(attendance)


def _silent(attendance: Attendance) -> ProtocolError:
    return attendance.dropout(
        "the key authority did not answer", "without it no sum can be opened, so make a new attempt"
    )
