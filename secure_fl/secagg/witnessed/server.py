"""The aggregator's half: as `he.server`, with commitments before uploads, and witnesses before the key authority."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.committed.gathering import Gathered, gather
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.server import have_opened
from secure_fl.secagg.he.words import COUNT_BYTES, Adder, pack_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.protocol import Attendance, ServerHalf, Stage
from secure_fl.secagg.witnessed.wire import VOUCH, cut_of, witnesses_of

_ALL = "without every witness nothing is opened, so make a new attempt"


def witnessed_server(cohort: Cohort[HePlan], directory: Mapping[str, bytes]) -> ServerHalf:
    """Committed and signed ciphertexts from the banks, signatures of their sum from all witnesses, and the sum opened.

    `directory`: the banks' identity keys.
    """
    plan, adder, attendance = cohort.plan, Adder(cohort.plan), Attendance(cohort)
    gathered = yield from gather(cohort, cut_of(plan), directory, attendance, adder.add)
    return (yield from open_gathered(cohort, gathered, adder.total(), attendance))


def open_gathered(cohort: Cohort[HePlan], gathered: Gathered, total: Halves, attendance: Attendance) -> ServerHalf:
    """The sum of gathered uploads, `total`, once all witnesses signed it. Raises `DropoutError` where one does not."""
    plan, contributors = cohort.plan, [cohort.banks[number] for number in gathered.uploads]
    uploads, witnesses = gathered.to_parts(), witnesses_of(plan.witnesses)
    asked = Stage(VOUCH, {name: seal(cohort, VOUCH, AGGREGATOR, name, uploads) for name in witnesses})
    signatures = attendance.from_all(asked, (yield asked), _read_signature, _ALL)
    counted = len(contributors).to_bytes(COUNT_BYTES, "little")
    summed = [counted, *(signatures[name] for name in sorted(witnesses)), *pack_sum(plan, total)]
    return attendance.finish((yield from have_opened(cohort, summed, len(contributors), attendance)), contributors)


def _read_signature(_: str, payload: memoryview) -> bytes:
    if len(payload) != SIGNATURE_BYTES:
        raise MessageError("a witness's signature has the wrong length; it must send it again")
    return bytes(payload)
