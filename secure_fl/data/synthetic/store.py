"""The store of proposals: one file per pattern, and the log that says what was decided about each (`decisions`).

Rules:
- The log decides, the files only hold what it names: a file is believed if its SHA-256 is the one in the log and its
  pattern has the digest of its name. A log that does not hold, a file that is gone or changed: each is an error, and
  nothing of the store is used.
- A pattern is approved if a reviewer whom this reader trusts (`reviewers`) approves it. Approved by others only, it is
  an "untrusted approval", and not trained on.
- A file that no line names (a crash came between the two) is nobody's proposal and is ignored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

import platformdirs
from pydantic import ValidationError

from secure_fl.chain.links import head_of
from secure_fl.chain.signing import fingerprint
from secure_fl.data.synthetic.decisions import Decided, Standing, objection, replay
from secure_fl.data.synthetic.last_seen import LastSeen
from secure_fl.data.synthetic.patterns import Proposal
from secure_fl.data.synthetic.review_line import MACHINE, Act, Action, Entry, require_reason
from secure_fl.data.synthetic.review_log import ReviewLog
from secure_fl.data.synthetic.reviewers import ReviewerFiles, Trusted
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.data.synthetic.validation import Verdict
from secure_fl.errors import ConfigurationError, SyntheticError
from secure_fl.files import staged_file

STORE_VARIABLE = "SECURE_FL_STORE"
"""Environment variable that overrides where the store lies."""
State = Decided | Literal["untrusted approval"]
_SHORTEST_ID = 4


@dataclass(frozen=True)
class Kept:
    """One proposal of the store, and how it stands."""

    proposal: Proposal
    state: State
    last: Entry
    """The last line about it: who decided, when and why."""
    replaces: str | None = None
    """Digest of the pattern that it was edited from."""
    approvals: tuple[Entry, ...] = ()
    """Of each who approves it now, trusted or not."""

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
    entries: tuple[Entry, ...]
    """All lines of the log."""
    trusted: Trusted
    """Whose decisions count."""

    @property
    def head(self) -> str:
        """Hash of the log's last line, for a report: later changes of the past can be told by it."""
        return head_of(self.entries)

    def in_state(self, *states: State) -> tuple[Kept, ...]:
        return tuple(kept for kept in self.kept if kept.state in states)

    def waiting(self) -> tuple[Kept, ...]:
        """What this reader has to decide on: pending, or approved by nobody whom it trusts."""
        return self.in_state("pending", "untrusted approval")

    def approved(self) -> tuple[Proposal, ...]:
        """What may be trained on: proposals that a trusted reviewer approves, and nobody has rejected since."""
        return tuple(kept.proposal for kept in self.in_state("approved"))

    def unreviewed(self) -> tuple[Proposal, ...]:
        """The approved and the pending ones, whoever approved: all that passed validation and nobody rejected."""
        return tuple(kept.proposal for kept in self.in_state("approved", "pending", "untrusted approval"))

    def usable(self, *, unreviewed: bool = False, digests: Sequence[str] = ()) -> tuple[Proposal, ...]:
        """What to train on; `digests`: exactly these, in this order, as an earlier run used them.

        Raises ConfigurationError if there is nothing, or one of those may no longer be used.
        """
        allowed = {proposal.digest: proposal for proposal in (self.unreviewed() if unreviewed else self.approved())}
        gone = [digest for digest in digests if digest not in allowed]
        if gone:
            raise ConfigurationError(
                f"the pattern {gone[0][:12]} may not be trained on (it is unknown or not approved by a reviewer whose "
                "key is trusted); see secure-fl review list --all"
            )
        if not allowed and self.in_state("untrusted approval"):
            raise ConfigurationError(
                "no pattern is approved by a reviewer whose key is trusted; see secure-fl review log, and add keys "
                "with secure-fl review trust"
            )
        if not allowed:
            raise ConfigurationError(
                "no pattern is approved; add some with secure-fl synthesize and approve them with secure-fl review"
            )
        return tuple(allowed[digest] for digest in digests or allowed)

    def signer_of(self, entry: Entry) -> str:
        """Who signed a line with which key, and whether this reader trusts that key in that name; for people."""
        if entry.key is None:
            return "validation, unsigned"
        return f"{entry.reviewer}, key {fingerprint(entry.key)}" + (
            "" if self.trusted.counts(entry) else ", NOT TRUSTED"
        )

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
    own: ReviewerFiles = field(default_factory=ReviewerFiles.of_user)
    """The reader's key, whom it trusts, and what it last saw."""

    @classmethod
    def of_user(cls, folder: Path | None = None) -> Self:
        """`folder` if given, else SECURE_FL_STORE if set, else a folder among the user's data."""
        override = os.environ.get(STORE_VARIABLE)
        usual = Path(override) if override else platformdirs.user_data_path("secure-fl") / "patterns"
        return cls(folder or usual)

    @property
    def log(self) -> ReviewLog:
        path = self.folder / "review.jsonl"
        return ReviewLog(path, LastSeen(path, self.own.heads))

    def read(self) -> Holdings:
        """Everything, verified. Raises SyntheticError if the log or a file does not hold."""
        if not self.log.path.exists() and any(self.folder.glob("*.json")):
            raise SyntheticError(
                f"the store {self.folder} holds patterns, but the log of what was decided is gone, so none of them is "
                "used; restore review.jsonl from a copy, or start a new store with --store"
            )
        entries = self.log.read()
        trusted = self.own.read_trusted()
        standings = replay(entries, self.log.path)
        kept = [self._kept(digest, standing, trusted) for digest, standing in standings.items()]
        return Holdings(tuple(kept), entries, trusted)

    def _kept(self, digest: str, standing: Standing, trusted: Trusted) -> Kept:
        state: State = standing.decided
        if state == "approved" and not any(map(trusted.counts, standing.approvals)):
            state = "untrusted approval"
        proposal = self._load(digest, standing.file)
        return Kept(proposal, state, standing.last, standing.replaces, standing.approvals)

    def propose(self, proposal: Proposal, verdict: Verdict) -> Entry:
        """Take in a proposal, for review or, if validation rejected it, with the reason why it is not used.

        Raises ConfigurationError if the store has it already and the verdict changes nothing.
        """
        _require_verdict(proposal, verdict)
        action: Action = "propose" if verdict.accepted else "reject_by_validation"
        return self._append(Act(action, proposal.digest, "", MACHINE, verdict.reason), proposal)

    def approve(self, identifier: str, reviewer: str, reason: str) -> Entry:
        """Sign an approval with one's own key, which is created and trusted on first use.

        Raises ConfigurationError for what is unknown, rejected by validation, edited or approved by oneself already,
        and if the key stands for another name.
        """
        return self._decide("approve", identifier, reviewer, reason)

    def reject(self, identifier: str, reviewer: str, reason: str) -> Entry:
        """Sign a rejection. Raises ConfigurationError for what is not pending or approved, and as `approve` does."""
        return self._decide("reject", identifier, reviewer, reason)

    def edit(self, identifier: str, proposal: Proposal, verdict: Verdict, reviewer: str, reason: str) -> Entry:
        """Put a changed pattern in the place of another one; it is pending, whatever the other one was.

        Where validation rejects it, it is kept with that reason, and the other one stays what it was. Raises
        ConfigurationError if the store has the new one already, or the other one was edited before.
        """
        require_reason(reason)
        _require_verdict(proposal, verdict)
        old = self.read().find(identifier)
        if not verdict.accepted:
            reason = verdict.reason
        action: Action = "edit" if verdict.accepted else "reject_by_validation"
        act = Act(action, proposal.digest, "", reviewer, reason, old.digest)
        return self._append(act, proposal, self.own.signer(reviewer))

    def _decide(self, action: Action, identifier: str, reviewer: str, reason: str) -> Entry:
        require_reason(reason)
        kept = self.read().find(identifier)
        return self._append(Act(action, kept.digest, "", reviewer, reason), None, self.own.signer(reviewer))

    def _append(self, act: Act, proposal: Proposal | None, key: ReviewerKey | None = None) -> Entry:
        """Write the line, and before it the file of a new proposal, all under the lock of the log."""

        def decide(entries: tuple[Entry, ...]) -> Act:
            standings = replay(entries, self.log.path)
            refused = objection(act, None if key is None else key.public, standings)
            if refused is not None:
                raise ConfigurationError(refused)
            known = standings.get(act.pattern)
            if known is not None:
                return replace(act, file=known.file)
            return act if proposal is None else replace(act, file=self._keep(proposal))

        return self.log.append(decide, key)

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.json"

    def _keep(self, proposal: Proposal) -> str:
        """Write the proposal's file; SHA-256 of it."""
        content = (proposal.model_dump_json(indent=1) + "\n").encode("utf-8")
        with staged_file(self._path(proposal.digest), "make it writable, or use --store") as staging:
            staging.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def _load(self, digest: str, file: str) -> Proposal:
        path = self._path(digest)
        try:
            content = path.read_bytes()
            proposal = Proposal.model_validate_json(content)
        except OSError as error:
            fault = f"cannot be read ({error.strerror or 'input/output error'})"
        except ValidationError:
            fault = "is malformed"
        else:
            if hashlib.sha256(content).hexdigest() == file and proposal.digest == digest:
                return proposal
            fault = "was changed after it was proposed"
        raise SyntheticError(
            f"the pattern {path} {fault}, so nothing of the store is used; restore it from a copy, or start a new "
            "store with --store"
        )


def _require_verdict(proposal: Proposal, verdict: Verdict) -> None:
    if verdict.digest != proposal.digest:
        raise ConfigurationError("the verdict is about another pattern; validate the one that is taken in")
