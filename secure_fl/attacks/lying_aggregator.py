"""Aggregators that lie to whoever opens sums of ciphertexts: halves without the checks of honest ones.

They show what holders, or a key authority, refuse by themselves. One passes the victim's upload off as the sum of all;
one takes whatever comes in, such as uploads of banks that were told of another model.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from secure_fl.secagg.budget import HePlan, Plan
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.committed.gathering import Gathered
from secure_fl.secagg.committed.wire import COMMIT, HASH_BYTES, Cut, split_upload
from secure_fl.secagg.he.server import have_opened
from secure_fl.secagg.he.words import COUNT_BYTES, UPLOAD, Adder, pack_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message
from secure_fl.secagg.numbering import encode_table
from secure_fl.secagg.protocol import Attendance, Replies, ServerHalf, Stage, request
from secure_fl.secagg.threshold import server as committee
from secure_fl.secagg.threshold.wire import FirstPolynomials
from secure_fl.secagg.threshold.wire import cut_of as cut_for_committee
from secure_fl.secagg.witnessed import server as witnessed
from secure_fl.secagg.witnessed.wire import cut_of as cut_for_witnesses


def can_lie_to_holders(plan: Plan) -> bool:
    """Whether somebody opens sums of ciphertexts for the aggregator."""
    return isinstance(plan, HePlan | ThresholdPlan)


def passing_off(cohort: Cohort[Any], victim: str) -> ServerHalf:
    """The victim's upload, as the sum of as many banks as there must be."""
    plan = cohort.plan
    if plan.commits:
        return (yield from unchecked(cohort, victim))
    adder, attendance = Adder(plan), Attendance(cohort)
    asked = request(cohort, UPLOAD, (victim,))
    for bank, data in (yield asked):
        adder.add(_payload(cohort, bank, data))
    summed = [plan.threshold.to_bytes(COUNT_BYTES, "little"), *pack_sum(plan, adder.total())]
    opened = yield from have_opened(cohort, summed, plan.threshold, attendance)
    centre = 1 << (plan.bits - 1) if plan.centre else 0  # which the key authority puts back for every bank
    return attendance.finish(opened - (plan.threshold - 1) * centre, [victim])


def unchecked(cohort: Cohort[Any], victim: str | None = None) -> ServerHalf:
    """Where banks commit to uploads: what comes in goes on to holders; or of the victim's upload only, if one is named.

    The victim is shown a list on which commitments of others stand that the aggregator made up.
    """
    plan, attendance = cohort.plan, Attendance(cohort)
    if isinstance(plan, ThresholdPlan):
        first = FirstPolynomials(plan)
        gathered = yield from _gathered(cohort, cut_for_committee(plan), first.add, victim)
        return (yield from committee.open_gathered(cohort, gathered, first.total(), attendance))
    adder = Adder(plan)
    gathered = yield from _gathered(cohort, cut_for_witnesses(plan), adder.add, victim)
    return (yield from witnessed.open_gathered(cohort, gathered, adder.total(), attendance))


def _gathered(
    cohort: Cohort[Any], cut: Cut, add: Callable[[memoryview], None], victim: str | None
) -> Generator[Stage, Replies, Gathered]:
    banks = cohort.banks if victim is None else (victim,)
    asked = request(cohort, COMMIT, banks)
    said = {cohort.banks.index(bank): bytes(_payload(cohort, bank, data)) for bank, data in (yield asked)}
    made_up = {number: bytes([number]) * HASH_BYTES for number in range(len(cohort.banks)) if victim is not None}
    listed = encode_table(made_up | said)
    uploads = {}
    asked = request(cohort, UPLOAD, banks, listed)
    for bank, data in (yield asked):
        uploads[cohort.banks.index(bank)], ciphertexts = split_upload(cut, _payload(cohort, bank, data))
        add(ciphertexts)
    return Gathered(listed, uploads)


def _payload(cohort: Cohort[Any], bank: str, data: bytes) -> memoryview:
    return open_message(cohort, data, recipient=AGGREGATOR, sender=bank).payload
