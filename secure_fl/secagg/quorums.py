"""What an aggregator does where some of a committee may be silent: whom it asks for what, and who gave nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from secure_fl.secagg.budget import Committee
from secure_fl.secagg.protocol import Attendance, Replies, Stage

T = TypeVar("T")


def share_out(
    committee: Committee, names: tuple[str, ...], parts: Collection[int], there: Collection[str]
) -> dict[str, tuple[int, ...]]:
    """Who is asked for which parts: each of one that has it, of all about as many. `names`: of all members."""
    wanted: dict[str, list[int]] = {holder: [] for holder in there}
    for part in sorted(parts):
        have = [names[member] for member in committee.subsets[part] if names[member] in wanted]
        wanted[min(have, key=lambda holder: len(wanted[holder]))].append(part)
    return {holder: tuple(some) for holder, some in wanted.items()}


def answers_of(
    asked: Stage, replies: Replies, attendance: Attendance, read: Callable[[str, memoryview], T]
) -> dict[str, T]:
    """What members answered; those that gave nothing are noted."""
    answers = dict(attendance.answers(asked, replies, read))
    for holder in asked.requests.keys() - answers.keys():
        attendance.refused.setdefault(holder, "it did not answer")
    return answers
