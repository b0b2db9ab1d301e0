"""The aggregator's half of an additive sum: it adds its own shares and asks for the sums of the others."""

from __future__ import annotations

from secure_fl.secagg import ring
from secure_fl.secagg.additive.wire import ALL_SHARES, SUM_SHARES, UPLOAD, split_upload
from secure_fl.secagg.budget import AdditivePlan
from secure_fl.secagg.hazmat.prg import RingVector
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.numbering import encode_table
from secure_fl.secagg.protocol import Attendance, ServerHalf, Stage, request


def additive_server(cohort: Cohort[AdditivePlan]) -> ServerHalf:
    """Two stages: shares from the banks, then one summed share from each share-holder, without whom there is no sum."""
    total = ring.zeros(cohort.plan)
    mail: dict[str, dict[int, bytes]] = {holder: {} for holder in cohort.trustees}
    contributors: set[str] = set()
    attendance = Attendance(cohort)

    def read_upload(_: str, payload: memoryview) -> tuple[list[bytes], RingVector]:
        seeds, share = split_upload(cohort, payload)
        return seeds, ring.from_bytes(cohort.plan, share)

    asked = request(cohort, UPLOAD, cohort.banks)
    for bank, (seeds, share) in attendance.answers(asked, (yield asked), read_upload):
        total += share
        for holder, sealed in zip(cohort.trustees, seeds, strict=True):
            mail[holder][cohort.banks.index(bank)] = sealed
        contributors.add(bank)
    attendance.require_threshold(contributors)

    asked = Stage(
        SUM_SHARES, {h: seal(cohort, SUM_SHARES, AGGREGATOR, h, encode_table(mail[h])) for h in cohort.trustees}
    )
    shares = attendance.from_all(asked, (yield asked), lambda _, p: ring.from_bytes(cohort.plan, p), ALL_SHARES)
    for share in shares.values():
        total += share
    return attendance.finish(ring.to_integers(cohort.plan, total), contributors)
