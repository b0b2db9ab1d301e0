"""How the aggregator has sums of parts opened, by whichever share-holders answer.

Each part's sum is asked of one of its share-holders, and a hash of it of all who are asked. So a share-holder that is
silent is replaced by another one that has the same part, and one that lies is found out by the others that have it:
named where more of them say something else (`liars`), or, where as many stand against each other, as one of those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from functools import partial

from secure_fl.errors import ProtocolError
from secure_fl.secagg import ring
from secure_fl.secagg.additive.wire import ALL_SHARES, SUM_SHARES, PartSums, Upload, requested, unpack_sums
from secure_fl.secagg.budget import AdditivePlan
from secure_fl.secagg.hazmat.prg import RingVector
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.protocol import Attendance, Replies, Stage
from secure_fl.secagg.quorums import answers_of, share_out


def sum_parts(
    cohort: Cohort[AdditivePlan], uploads: Mapping[int, Upload], attendance: Attendance
) -> Generator[Stage, Replies, RingVector]:
    """The sum of all parts of these banks, by their numbers. Everybody is asked once; then who can replace whom.

    Raises `DropoutError` where fewer than a quorum answer, `ProtocolError` where they contradict each other.
    """
    there, said = list(cohort.trustees), dict[str, Mapping[int, bytes]]()
    found: dict[int, RingVector] = {}
    while missing := set(range(len(cohort.plan.committee.subsets))) - found.keys():
        wanted = share_out(cohort.plan.committee, cohort.trustees, missing, there)
        if said:
            wanted = {holder: parts for holder, parts in wanted.items() if parts}
        requests = {holder: requested(cohort, holder, uploads, parts) for holder, parts in wanted.items()}
        asked = Stage(
            SUM_SHARES,
            {holder: seal(cohort, SUM_SHARES, AGGREGATOR, holder, data) for holder, data in requests.items()},
            enough=cohort.plan.quorum - (len(there) - len(wanted)),
        )
        answers = answers_of(asked, (yield asked), attendance, partial(_read, cohort, wanted))
        said |= {holder: answer.digests for holder, answer in answers.items()}
        there = [holder for holder in there if holder in answers or holder not in wanted]
        _require_quorum(cohort, there, len(said), attendance)
        lied = liars({holder: said[holder] for holder in there})
        attendance.refused |= dict.fromkeys(lied, "its sum of shares is not that of the others who have them")
        there = [holder for holder in there if holder not in lied]
        _require_quorum(cohort, there, len(said), attendance)
        for holder in there:
            found |= answers[holder].sums if holder in answers else {}
    total = ring.zeros(cohort.plan)
    for vector in found.values():
        total += vector
    return total


def _read(
    cohort: Cohort[AdditivePlan], wanted: Mapping[str, tuple[int, ...]], holder: str, payload: memoryview
) -> PartSums:
    return unpack_sums(cohort, holder, payload, wanted[holder])


def _require_quorum(cohort: Cohort[AdditivePlan], there: list[str], answered: int, attendance: Attendance) -> None:
    """Raises `DropoutError` where too few share-holders are left to have all parts; `answered`: how many ever did."""
    if len(there) < cohort.plan.quorum:
        out = ", ".join(holder for holder in cohort.trustees if holder not in there)
        problem = f"{out} gave no sum that can be used, and {cohort.plan.quorum} share-holders must give one"
        error = attendance.dropout(problem, ALL_SHARES)
        error.lacking = max(0, cohort.plan.quorum - answered)
        raise error


def liars(said: Mapping[str, Mapping[int, bytes]]) -> set[str]:
    """Share-holders whose sum of a part has fewer votes than another sum of it. `said`: by holder and part, a hash.

    Whoever is outvoted about one part has no vote about the others. Of a quorum of t, t - 1 members lack a part: of h
    honest ones that answer, at least h - t + 1 have it, and agree. Where l others lie, a false sum has at most l votes:

    - h >= t + l: each lie is outvoted. Who lies is named, nobody else is, and what is left is exact.
    - h = t + l - 1: no honest one is outvoted. What is left is exact, or some part is tied, and there is no sum.
    - h < t + l - 1: lies that agree can outvote honest ones, who are then named, and spoil the sum.

    Raises `ProtocolError` where a part is tied among those who are left.
    """
    left = dict(said)
    while out := {holder for hashes in _by_part(left).values() for holder in _outvoted(hashes)}:
        left = {holder: digests for holder, digests in left.items() if holder not in out}
    for hashes in _by_part(left).values():
        if len(set(hashes.values())) > 1:
            raise ProtocolError(
                f"{' and '.join(hashes)} give different sums of the same shares, so that one of them lies; find out "
                "which, and put another in its place"
            )
    return said.keys() - left.keys()


def _by_part(said: Mapping[str, Mapping[int, bytes]]) -> dict[int, dict[str, bytes]]:
    parts = sorted({part for digests in said.values() for part in digests})
    return {part: {holder: digests[part] for holder, digests in said.items() if part in digests} for part in parts}


def _outvoted(hashes: Mapping[str, bytes]) -> set[str]:
    votes = Counter(hashes.values())
    return {holder for holder, digest in hashes.items() if votes[digest] < max(votes.values())}
