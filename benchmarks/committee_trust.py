"""Whom one must trust under a scheme, in three words: from plans, and from what schemes say of themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass

from secure_fl.secagg import plan
from secure_fl.secagg.custody import REPEATED, Custody
from secure_fl.secagg.schemes import scheme_for

NOBODY = "nobody"
_WITH_HELP = re.compile(r"an aggregator that lies and |, with |, unless ")


@dataclass(frozen=True)
class Trust:
    """Of holders, or of banks where a scheme has no holders."""

    silent: str
    """At most so many can be, and the sum opens all the same."""
    colluding: str
    """So few read a bank's update, with an aggregator that follows the protocol."""
    helping: str
    """So few read it with an aggregator that lies."""
    of_holders: bool = True


def trust_in(scheme: str, holders: int, quorum: int, banks: int, witnesses: int = 0) -> Trust:
    """1 holder is a key authority, 0 are none."""
    asked = {"holders": holders, "quorum": quorum} if holders > 1 else {"witnesses": witnesses}
    planned = plan(scheme, banks, 1000, 8, **asked)
    custody, committee, t = scheme_for(planned).custody, planned.committee, planned.threshold
    if committee is not None:
        found = committee.may_be_silent, committee.may_collude + 1, committee.may_collude_lying + 1
    else:
        found = (0, 1, 1) if holders else (banks - t, t - 1, 2 * t - banks)
    silent, colluding, helping = map(str, found)
    return Trust(silent, colluding, NOBODY if breaks_alone(custody) else helping, of_holders=holders > 0)


def breaks_alone(custody: Custody) -> bool:
    """Whether an aggregator that lies needs nobody. To have a round repeated is left out: it can that everywhere."""
    return any(
        way.startswith("an aggregator that") and way != REPEATED and not _WITH_HELP.search(way)
        for way in custody.broken_by
    )


def trust_in_openfhe(holders: int) -> Trust:
    """All holders of all. They open what ciphertext they are given: what it sums is not their library's business."""
    return Trust("0", f"{holders}", NOBODY)
