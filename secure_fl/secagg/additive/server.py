"""The aggregator's half of an additive sum: it adds its own shares, and asks for the sums of the others' parts."""

from __future__ import annotations

from secure_fl.secagg import ring
from secure_fl.secagg.additive.opening import sum_parts
from secure_fl.secagg.additive.wire import UPLOAD, Upload, split_upload
from secure_fl.secagg.budget import AdditivePlan
from secure_fl.secagg.hazmat.prg import RingVector
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Attendance, ServerHalf, request


def additive_server(cohort: Cohort[AdditivePlan]) -> ServerHalf:
    """Shares from the banks, then the sum of each part from a quorum of share-holders."""
    total = ring.zeros(cohort.plan)
    uploads: dict[int, Upload] = {}
    attendance = Attendance(cohort)

    def read_upload(_: str, payload: memoryview) -> tuple[Upload, RingVector]:
        upload = split_upload(cohort, payload)
        return upload.without_share(), ring.from_bytes(cohort.plan, upload.share)

    asked = request(cohort, UPLOAD, cohort.banks)
    for bank, (upload, share) in attendance.answers(asked, (yield asked), read_upload):
        total += share
        uploads[cohort.banks.index(bank)] = upload
    contributors = {cohort.banks[number] for number in uploads}
    attendance.require_threshold(contributors)

    total += yield from sum_parts(cohort, uploads, attendance)
    return attendance.finish(ring.to_integers(cohort.plan, total), contributors)
