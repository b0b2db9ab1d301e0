"""The store of proposals: one file per pattern, and the log that says what was decided about each.

A pattern is pending after `propose`, and then approved or rejected by people, as often as they change their minds.
An edit is a new pattern with a link to the one that it replaces. What validation rejected stays in the store with
its reason and can be edited, never approved.

Rules:
- The log decides, the files only hold what it names: a file is believed if its SHA-256 is the one in the log and its
  pattern has the digest of its name. A log that does not hold, an act that could not have happened, a file that is
  gone or changed: each is an error, and nothing of the store is used.
- A file that no line names (a crash came between the two) is nobody's proposal and is ignored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn, Self

import platformdirs
from pydantic import ValidationError

from secure_fl.errors import ConfigurationError, SyntheticError
from secure_fl.files import staged_file
from secure_fl.synthetic.patterns import Proposal
from secure_fl.synthetic.review_log import MACHINE, Act, Action, Entry, ReviewLog, head_of, require_signed
from secure_fl.synthetic.validation import Verdict

STORE_VARIABLE = "SECURE_FL_STORE"
"""Environment variable that overrides where the store lies."""
State = Literal["pending", "approved", "rejected", "rejected by validation", "edited"]
"""What the last line about a pattern says; "edited": another pattern took its place."""
_SHORTEST_ID = 4
_AFTER: dict[Action, State] = {
    "propose": "pending",
    "reject_by_validation": "rejected by validation",
    "approve": "approved",
    "reject": "rejected",
    "edit": "pending",
}
_BEFORE: dict[Action, frozenset[State | None]] = {
    "propose": frozenset({None, "rejected by validation"}),
    "reject_by_validation": frozenset({None}),
    "approve": frozenset({"pending", "rejected"}),
    "reject": frozenset({"pending", "approved"}),
    "edit": frozenset({None}),
}
"""States in which a pattern can be for each act; None: not in the store."""
_EDITABLE: frozenset[State | None] = frozenset({"pending", "approved", "rejected", "rejected by validation"})


@dataclass(frozen=True)
class Kept:
    """One proposal of the store, and how it stands."""

    proposal: Proposal
    state: State
    last: Entry
    """The last line about it: who decided, when and why."""
    replaces: str | None = None
    """Digest of the pattern that it was edited from."""

    @property
    def digest(self) -> str:
        return self.proposal.digest

    @property
    def label(self) -> str:
        """Where it comes from, in one line."""
        return self.proposal.provenance.label + ("" if self.replaces is None else ", edited")


@dataclass(frozen=True)
class Holdings:
    """Everything in the store at one moment, verified."""

    kept: tuple[Kept, ...]
    """In the order in which they came in."""
    head: str
    """Hash of the log's last line, for a report: later changes of the past can be told by it."""

    def in_state(self, *states: State) -> tuple[Kept, ...]:
        return tuple(kept for kept in self.kept if kept.state in states)

    def approved(self) -> tuple[Proposal, ...]:
        """What may be trained on: proposals whose last line approves them."""
        return tuple(kept.proposal for kept in self.in_state("approved"))

    def unreviewed(self) -> tuple[Proposal, ...]:
        """The approved and the pending ones: all that passed validation and that nobody rejected."""
        return tuple(kept.proposal for kept in self.in_state("approved", "pending"))

    def usable(self, *, unreviewed: bool = False, digests: Sequence[str] = ()) -> tuple[Proposal, ...]:
        """What to train on; `digests`: exactly these, in this order, as an earlier run used them.

        Raises ConfigurationError if there is nothing, or one of those may no longer be used.
        """
        allowed = {proposal.digest: proposal for proposal in (self.unreviewed() if unreviewed else self.approved())}
        gone = [digest for digest in digests if digest not in allowed]
        if gone:
            raise ConfigurationError(
                f"the pattern {gone[0][:12]} may not be trained on (it is unknown or not approved); see secure-fl "
                "review list --all"
            )
        if not allowed:
            raise ConfigurationError(
                "no pattern is approved; add some with secure-fl synthesize and approve them with secure-fl review"
            )
        return tuple(allowed[digest] for digest in digests or allowed)

    def find(self, identifier: str) -> Kept:
        """The proposal whose digest starts so. Raises ConfigurationError unless there is exactly one."""
        found = [kept for kept in self.kept if kept.digest.startswith(identifier)]
        if len(identifier) < _SHORTEST_ID or len(found) != 1:
            what = "too short" if len(identifier) < _SHORTEST_ID else f"that of {len(found) or 'no'} patterns"
            raise ConfigurationError(f"the ID {identifier[:64]!r} is {what}; see secure-fl review list --all")
        return found[0]


@dataclass(frozen=True)
class PatternStore:
    """A folder with a file per proposal and the log of what was decided."""

    folder: Path

    @classmethod
    def of_user(cls, folder: Path | None = None) -> Self:
        """`folder` if given, else SECURE_FL_STORE if set, else a folder among the user's data."""
        override = os.environ.get(STORE_VARIABLE)
        usual = Path(override) if override else platformdirs.user_data_path("secure-fl") / "patterns"
        return cls(folder or usual)

    @property
    def log(self) -> ReviewLog:
        return ReviewLog(self.folder / "review.jsonl")

    def read(self) -> Holdings:
        """Everything, verified. Raises SyntheticError if the log or a file does not hold."""
        if not self.log.path.exists() and any(self.folder.glob("*.json")):
            raise SyntheticError(
                f"the store {self.folder} holds patterns, but the log of what was decided is gone, so none of them is "
                "used; restore review.jsonl from a copy, or start a new store with --store"
            )
        entries = self.log.read()
        states = _replay(entries, self.log.path)
        first: dict[str, Entry] = {}
        last: dict[str, Entry] = {}
        replaces: dict[str, str] = {}
        for entry in entries:
            first.setdefault(entry.pattern, entry)
            last[entry.pattern] = entry
            if entry.replaces is not None:
                replaces[entry.pattern] = entry.replaces
                if entry.action == "edit":
                    last[entry.replaces] = entry
        kept = [
            Kept(self._load(entry), states[digest], last[digest], replaces.get(digest))
            for digest, entry in first.items()
        ]
        return Holdings(tuple(kept), head_of(entries))

    def propose(self, proposal: Proposal, verdict: Verdict) -> Entry:
        """Take in a proposal, for review or, if validation rejected it, with the reason why it is not used.

        Raises ConfigurationError if the store has it already and the verdict changes nothing.
        """
        _require_verdict(proposal, verdict)
        action: Action = "propose" if verdict.accepted else "reject_by_validation"
        return self._append(Act(action, proposal.digest, "", MACHINE, verdict.reason), proposal)

    def approve(self, identifier: str, reviewer: str, reason: str) -> Entry:
        """Raises ConfigurationError for what is unknown, rejected by validation, edited or approved already."""
        return self._decide("approve", identifier, reviewer, reason)

    def reject(self, identifier: str, reviewer: str, reason: str) -> Entry:
        """Raises ConfigurationError for what is not pending or approved."""
        return self._decide("reject", identifier, reviewer, reason)

    def edit(self, identifier: str, proposal: Proposal, verdict: Verdict, reviewer: str, reason: str) -> Entry:
        """Put a changed pattern in the place of another one; it is pending, whatever the other one was.

        Where validation rejects it, it is kept with that reason, and the other one stays what it was. Raises
        ConfigurationError if the store has the new one already, or the other one was edited before.
        """
        require_signed(reviewer, reason)
        _require_verdict(proposal, verdict)
        old = self.read().find(identifier)
        if not verdict.accepted:
            reason = verdict.reason
        action: Action = "edit" if verdict.accepted else "reject_by_validation"
        return self._append(Act(action, proposal.digest, "", reviewer, reason, old.digest), proposal)

    def _decide(self, action: Action, identifier: str, reviewer: str, reason: str) -> Entry:
        require_signed(reviewer, reason)
        kept = self.read().find(identifier)
        return self._append(Act(action, kept.digest, kept.last.file, reviewer, reason))

    def _append(self, act: Act, proposal: Proposal | None = None) -> Entry:
        """Write the line, and before it the file of a new proposal, all under the lock of the log."""

        def decide(entries: tuple[Entry, ...]) -> Act:
            objection = _objection(act, _replay(entries, self.log.path))
            if objection is not None:
                raise ConfigurationError(objection)
            known = next((entry.file for entry in entries if entry.pattern == act.pattern), None)
            if known is not None or proposal is None:
                return replace(act, file=known or act.file)
            return replace(act, file=self._keep(proposal))

        return self.log.append(decide)

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.json"

    def _keep(self, proposal: Proposal) -> str:
        """Write the proposal's file; SHA-256 of it."""
        content = (proposal.model_dump_json(indent=1) + "\n").encode("utf-8")
        with staged_file(self._path(proposal.digest)) as staging:
            staging.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def _load(self, entry: Entry) -> Proposal:
        path = self._path(entry.pattern)
        try:
            content = path.read_bytes()
            proposal = Proposal.model_validate_json(content)
        except OSError as error:
            fault = f"cannot be read ({error.strerror or 'input/output error'})"
        except ValidationError:
            fault = "is malformed"
        else:
            if hashlib.sha256(content).hexdigest() == entry.file and proposal.digest == entry.pattern:
                return proposal
            fault = "was changed after it was proposed"
        raise SyntheticError(
            f"the pattern {path} {fault}, so nothing of the store is used; restore it from a copy, or start a new "
            "store with --store"
        )


def _require_verdict(proposal: Proposal, verdict: Verdict) -> None:
    if verdict.digest != proposal.digest:
        raise ConfigurationError("the verdict is about another pattern; validate the one that is taken in")


def _replay(entries: Iterable[Entry], path: Path) -> dict[str, State]:
    """State of each pattern by its digest. Raises SyntheticError at the first act that could not have happened."""
    states: dict[str, State] = {}
    files: dict[str, str] = {}
    for entry in entries:
        act = Act(entry.action, entry.pattern, entry.file, entry.reviewer, entry.reason, entry.replaces)
        other_file = files.setdefault(entry.pattern, entry.file) != entry.file
        if other_file or _objection(act, states) is not None:
            _cannot_happen(entry, path)
        states[entry.pattern] = _AFTER[entry.action]
        if entry.action == "edit" and entry.replaces is not None:
            states[entry.replaces] = "edited"
    return states


def _cannot_happen(entry: Entry, path: Path) -> NoReturn:
    raise SyntheticError(
        f"line {entry.seq + 1} of the log {path} says what cannot have happened ({entry.action}), so nothing of the "
        "store is used; restore it from a copy, or start a new store with --store"
    )


def _objection(act: Act, states: dict[str, State]) -> str | None:
    """Why the act is refused, or None."""
    state = states.get(act.pattern)
    short = act.pattern[:12]
    if state not in _BEFORE[act.action]:
        standing = "is unknown" if state is None else f"is {state}"
        return f"the pattern {short} {standing}, so {act.action} is refused; see secure-fl review list --all"
    if (act.action == "edit") != (act.replaces is not None) and act.action != "reject_by_validation":
        return f"{act.action} of {short} names a wrong pattern to replace; name one for an edit only"
    if act.replaces is not None and (act.replaces == act.pattern or states.get(act.replaces) not in _EDITABLE):
        return f"the pattern {act.replaces[:12]} cannot be edited; edit one that is in the store and not edited yet"
    if (act.reviewer == MACHINE) != (act.action == "propose" or (_by_machine(act))):
        return f"{act.action} of {short} is not signed by who may do it; give the name of a person"
    return None


def _by_machine(act: Act) -> bool:
    """Whether validation alone acted: nobody's edit failed in it."""
    return act.action == "reject_by_validation" and act.replaces is None
