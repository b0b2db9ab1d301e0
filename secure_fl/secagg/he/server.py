"""The aggregator's half of a homomorphic sum: it adds words modulo q, and holds no key, not even a public one."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.he.words import COUNT_BYTES, DECRYPT, KEY_AUTHORITY, UPLOAD, Adder, pack_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.packing import IntVector, unpack_bits
from secure_fl.secagg.protocol import Attendance, Replies, ServerHalf, Stage, request


def he_server(cohort: Cohort[HePlan]) -> ServerHalf:
    """Add the banks' ciphertexts as they arrive, then have the key authority open the sum."""
    plan, adder = cohort.plan, Adder(cohort.plan)
    contributors: set[str] = set()
    attendance = Attendance(cohort)

    def add_upload(_: str, payload: memoryview) -> None:
        adder.add(payload)

    asked = request(cohort, UPLOAD, cohort.banks)
    for bank, _ in attendance.answers(asked, (yield asked), add_upload):
        contributors.add(bank)
    attendance.require_threshold(contributors)

    summed = [len(contributors).to_bytes(COUNT_BYTES, "little"), *pack_sum(plan, adder.total())]
    return attendance.finish((yield from have_opened(cohort, summed, len(contributors), attendance)), contributors)


def have_opened(
    cohort: Cohort[HePlan], summed: Iterable[bytes], contributors: int, attendance: Attendance
) -> Generator[Stage, Replies, IntVector]:
    """What the key authority opens of a sum of so many banks. Raises `DropoutError` where it does not answer."""
    plan = cohort.plan
    asked = Stage(DECRYPT, {KEY_AUTHORITY: seal(cohort, DECRYPT, AGGREGATOR, KEY_AUTHORITY, summed)})

    def read_sum(_: str, payload: memoryview) -> IntVector:
        assert plan.bits is not None
        opened = unpack_bits(payload, plan.field_bits, plan.parameters)
        if opened.max() > contributors * ((1 << plan.bits) - 1):
            raise MessageError("the sum that was opened is beyond what its banks can have added up; do not use it")
        return opened

    for _, opened in attendance.answers(asked, (yield asked), read_sum):
        return opened
    raise attendance.dropout(
        "the key authority did not answer", "without it no sum can be opened, so make a new attempt"
    )
