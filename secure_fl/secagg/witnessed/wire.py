"""What travels between the aggregator, witnesses and the key authority."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.committed.wire import Cut
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES, verify
from secure_fl.secagg.he.words import COUNT_BYTES
from secure_fl.secagg.messages import Cohort

VOUCH = "vouch"


def witness_name(number: int) -> str:
    """Witnesses are numbered from 1."""
    return f"witness-{number}"


def witnesses_of(count: int) -> tuple[str, ...]:
    return tuple(map(witness_name, range(1, count + 1)))


def cut_of(plan: HePlan) -> Cut:
    """Witnesses see whole uploads, and have no key to read them with."""
    return Cut(0, sum(run.nbytes for run in plan.words))


def statement(cohort: Cohort[HePlan], counted: bytes | memoryview, summed: Iterable[bytes | memoryview]) -> bytes:
    """What a witness signs: that the sum of so many banks of this attempt is this one. `counted`: how many."""
    digest = hashlib.sha256(counted)
    for piece in summed:
        digest.update(piece)
    return b"secure_fl witnessed sum" + cohort.digest + digest.digest()


def read_vouched(cohort: Cohort[HePlan], payload: memoryview, witnesses: Mapping[str, bytes]) -> tuple[int, memoryview]:
    """A request to the key authority: of how many banks a sum is, and its ciphertexts.

    `witnesses`: the public keys of all of them. Raises `MessageError` unless each of them signed.
    """
    end = COUNT_BYTES + SIGNATURE_BYTES * len(witnesses)
    if len(payload) < end:
        raise MessageError("the key authority opens what witnesses vouch for, and too few signed; ask them first")
    counted, signatures, summed = payload[:COUNT_BYTES], payload[COUNT_BYTES:end], payload[end:]
    signed = statement(cohort, counted, [summed])
    for place, name in enumerate(sorted(witnesses)):
        signature = bytes(signatures[place * SIGNATURE_BYTES :][:SIGNATURE_BYTES])
        verify(witnesses[name], signature, signed, name)
    return int.from_bytes(counted, "little"), summed
