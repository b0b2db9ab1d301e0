"""What was last seen of a log, kept apart from it: how many lines, and the hash of the last of them.

A chain of hashes shows that lines were changed, never that its end is gone, and whoever may write the file can write
all of it anew. Who keeps the last hash elsewhere notices both at the next look (the "gossip" of Certificate
Transparency, RFC 6962, with oneself as the only witness).

Rules:
- The record is read before the log and only ever moves on, so that a log which grows meanwhile raises no alarm.
- It belongs to a place: a store that is moved or copied starts without one, and so does another reader.
- Whoever may write the log and this record can make both agree.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from secure_fl.chain.links import Digest, head_of
from secure_fl.data.synthetic.review_line import Entry
from secure_fl.errors import SyntheticError
from secure_fl.files import make_folder, only_one_in, staged_file

_WRITABLE = "make it writable, or set SECURE_FL_REVIEW to a folder that you own"


class Head(BaseModel):
    """A log at one moment."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    log: str
    """The path of the log, for people who look into the record."""
    lines: int = Field(ge=0)
    head: Digest


@dataclass(frozen=True)
class LastSeen:
    """The record about one log."""

    log: Path
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / f"{hashlib.sha256(os.fsencode(self.log.resolve())).hexdigest()}.json"

    def recall(self) -> Head:
        """What was noted last; no line at all if nothing was. Raises SyntheticError if the record is unreadable."""
        try:
            return Head.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return self._head(())
        except OSError as error:
            fault = f"cannot be read ({error.strerror or 'input/output error'}); make it readable"
        except ValidationError:
            fault = "is malformed; restore it from a copy, and compare the log with a head noted elsewhere"
        raise SyntheticError(f"the record {self.path} of what was last seen of the log {self.log} {fault}")

    def require_in(self, entries: Sequence[Entry], recalled: Head) -> None:
        """Raise SyntheticError unless the log still has the line that was last seen, in its place."""
        if head_of(entries[: recalled.lines]) != recalled.head:
            raise SyntheticError(
                f"the log {self.log} was cut or rewritten: line {recalled.lines} is not the one that was last seen "
                f"here ({recalled.head}), so nothing of it is used; restore the store from a copy that has it, or "
                "start a new one with --store"
            )

    def note(self, entries: Sequence[Entry]) -> None:
        """Keep the head of these lines, unless a later one is kept already; on disk when the call returns."""
        if len(entries) <= self.recall().lines:
            return
        failure = ""
        try:
            make_folder(self.folder, mode=0o700)
            with only_one_in(self.folder):
                if len(entries) > self.recall().lines:
                    with staged_file(self.path, _WRITABLE) as staging:
                        staging.write_text(self._head(entries).model_dump_json() + "\n", encoding="utf-8")
        except OSError as error:
            failure = error.strerror or "input/output error"
        if failure:
            raise SyntheticError(f"the record {self.path} of the log cannot be written ({failure}); {_WRITABLE}")

    def _head(self, entries: Sequence[Entry]) -> Head:
        name = os.fsencode(self.log.resolve()).decode("utf-8", "replace")
        return Head(log=name, lines=len(entries), head=head_of(entries))
