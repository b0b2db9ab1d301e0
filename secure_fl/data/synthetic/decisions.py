"""What may be decided about a pattern, and where it then stands: the log, replayed.

A pattern is pending after `propose`, and then approved or rejected by people, as often as they change their minds.
Several may approve it; one rejection takes all of that back. An edit is a new pattern with a link to the one that it
replaces. What validation rejected can be edited, never approved.

Rules: whether a line can have happened does not depend on whom a reader trusts, so that all readers of a log agree on
that; whose approval counts is asked afterwards. An act that cannot have happened is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from secure_fl.data.synthetic.review_line import MACHINE, Act, Action, Entry
from secure_fl.errors import SyntheticError

Decided = Literal["pending", "approved", "rejected", "rejected by validation", "edited"]
"""What the last line about a pattern says; "edited": another pattern took its place."""
_AFTER: dict[Action, Decided] = {
    "propose": "pending",
    "reject_by_validation": "rejected by validation",
    "approve": "approved",
    "reject": "rejected",
    "edit": "pending",
}
_BEFORE: dict[Action, frozenset[Decided | None]] = {
    "propose": frozenset({None, "rejected by validation"}),
    "reject_by_validation": frozenset({None}),
    "approve": frozenset({"pending", "rejected", "approved"}),
    "reject": frozenset({"pending", "approved"}),
    "edit": frozenset({None}),
}
"""States in which a pattern can be for each act; None: not in the store."""
_EDITABLE: frozenset[Decided] = frozenset({"pending", "approved", "rejected", "rejected by validation"})


@dataclass(frozen=True)
class Standing:
    """Where one pattern stands after some lines."""

    decided: Decided
    last: Entry
    """The last line about it: who decided, when and why."""
    file: str
    """SHA-256 of its file."""
    approvals: tuple[Entry, ...] = ()
    """Of each who approves it now, trusted or not."""
    replaces: str | None = None
    """Digest of the pattern that it was edited from."""


def replay(entries: Iterable[Entry], log: Path) -> dict[str, Standing]:
    """Where each pattern stands, by its digest, in the order in which they came in.

    Raises SyntheticError at the first act that could not have happened.
    """
    standings: dict[str, Standing] = {}
    for entry in entries:
        act = Act(entry.action, entry.pattern, entry.file, entry.reviewer, entry.reason, entry.replaces)
        before = standings.get(entry.pattern)
        if objection(act, entry.key, standings) is not None or (before and before.file != entry.file):
            _cannot_happen(entry, log)
        approvals = (*before.approvals, entry) if before and entry.action == "approve" else ()
        replaces = entry.replaces or (before.replaces if before else None)
        standings[entry.pattern] = Standing(_AFTER[entry.action], entry, entry.file, approvals, replaces)
        if entry.action == "edit" and entry.replaces is not None:
            old = standings[entry.replaces]
            standings[entry.replaces] = Standing("edited", entry, old.file, replaces=old.replaces)
    return standings


def objection(act: Act, key: str | None, standings: Mapping[str, Standing]) -> str | None:
    """Why the act, to be signed with this public key, is refused; or None."""
    standing = standings.get(act.pattern)
    state = None if standing is None else standing.decided
    short = act.pattern[:12]
    if state not in _BEFORE[act.action]:
        now = "is unknown" if state is None else f"is {state}"
        return f"the pattern {short} {now}, so {act.action} is refused; see secure-fl review list --all"
    if act.action == "approve" and standing and (act.reviewer, key) in _who(standing.approvals):
        return f"the pattern {short} is approved by {act.reviewer} already, so approve is refused; reject takes it back"
    if (act.action == "edit") != (act.replaces is not None) and act.action != "reject_by_validation":
        return f"{act.action} of {short} names a wrong pattern to replace; name one for an edit only"
    if act.replaces is not None and (act.replaces == act.pattern or not _editable(standings.get(act.replaces))):
        return f"the pattern {act.replaces[:12]} cannot be edited; edit one that is in the store and not edited yet"
    if (act.reviewer == MACHINE) != (act.action == "propose" or _by_machine(act)):
        return f"{act.action} of {short} is not signed by who may do it; give the name of a person"
    return None


def _who(approvals: Iterable[Entry]) -> set[tuple[str, str | None]]:
    return {(entry.reviewer, entry.key) for entry in approvals}


def _editable(standing: Standing | None) -> bool:
    return standing is not None and standing.decided in _EDITABLE


def _by_machine(act: Act) -> bool:
    """Whether validation alone acted: nobody's edit failed in it."""
    return act.action == "reject_by_validation" and act.replaces is None


def _cannot_happen(entry: Entry, log: Path) -> NoReturn:
    raise SyntheticError(
        f"line {entry.seq + 1} of the log {log} says what cannot have happened ({entry.action}), so nothing of the "
        "store is used; restore it from a copy, or start a new store with --store"
    )
