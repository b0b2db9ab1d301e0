"""The aggregator's half: it adds words modulo the primes, and what a quorum makes of their sum. It holds no key."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial

import numpy as np

from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.committed.gathering import Gathered, gather
from secure_fl.secagg.hazmat.collective import data_moduli
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.packing import Words
from secure_fl.secagg.protocol import Attendance, Replies, ServerHalf, Stage
from secure_fl.secagg.quorums import answers_of, share_out
from secure_fl.secagg.threshold.encoding import decode
from secure_fl.secagg.threshold.wire import OPEN, FirstPolynomials, cut_of, pack_request, unpack_answer

ALL_PARTS = "without all parts of the key there is no sum, so make a new attempt"


def threshold_server(cohort: Cohort[ThresholdPlan], directory: Mapping[str, bytes]) -> ServerHalf:
    """Committed and signed ciphertexts from the banks, then each part of the key from a member that has it.

    `directory`: the banks' identity keys.
    """
    plan, first = cohort.plan, FirstPolynomials(cohort.plan)
    attendance = Attendance(cohort)
    gathered = yield from gather(cohort, cut_of(plan), directory, attendance, first.add)
    return (yield from open_gathered(cohort, gathered, first.total(), attendance))


def open_gathered(
    cohort: Cohort[ThresholdPlan], gathered: Gathered, first: Words, attendance: Attendance
) -> ServerHalf:
    """The sum of gathered uploads. `first`: that of their first polynomials, [coefficients, data primes].

    Raises `DropoutError` where fewer than a quorum answer, `ProtocolError` where what they gave opens no sum.
    """
    plan, contributors = cohort.plan, [cohort.banks[number] for number in gathered.uploads]
    opened = first + (yield from _sum_of_parts(cohort, gathered, attendance))
    return attendance.finish(decode(plan, opened % data_moduli(plan.ring).reshape(-1), len(contributors)), contributors)


def _sum_of_parts(
    cohort: Cohort[ThresholdPlan], gathered: Gathered, attendance: Attendance
) -> Generator[Stage, Replies, Words]:
    """What all parts of the key make of second polynomials. A member that is silent is replaced by another one.

    Raises `DropoutError` where fewer than a quorum answer.
    """
    plan, there = cohort.plan, list(cohort.trustees)
    uploads, found = gathered.to_parts(), dict[int, Words]()
    while missing := set(range(len(plan.committee.subsets))) - found.keys():
        shared = share_out(plan.committee, cohort.trustees, missing, there)
        wanted = {member: parts for member, parts in shared.items() if parts}
        requests = {
            member: seal(cohort, OPEN, AGGREGATOR, member, pack_request(parts, uploads))
            for member, parts in wanted.items()
        }
        asked = Stage(OPEN, requests, enough=plan.quorum - (len(there) - len(wanted)))
        answers = answers_of(asked, (yield asked), attendance, partial(_read, plan, wanted))
        there = [member for member in there if member in answers or member not in wanted]
        if len(there) < plan.quorum:
            out = ", ".join(member for member in cohort.trustees if member not in there)
            raise attendance.dropout(f"{out} did not answer, and {plan.quorum} key holders must", ALL_PARTS)
        for answer in answers.values():
            found |= answer
    total: Words = np.sum(list(found.values()), axis=0, dtype=np.uint64)
    return total


def _read(
    plan: ThresholdPlan, wanted: Mapping[str, tuple[int, ...]], member: str, payload: memoryview
) -> Mapping[int, Words]:
    return unpack_answer(plan, payload, wanted[member])
