"""The log of the expert review: append-only JSON lines, each bound to the one before it by a hash.

After Haber and Stornetta, "How to Time-Stamp a Digital Document" (Journal of Cryptology 3, 1991): a line holds the
SHA-256 of the line before, and its own hash covers all that it says, so that no line can be changed, dropped or put
in between without every later line giving it away.

Rules:
- A line is written under an exclusive lock, after the whole log has been checked, and reaches the disk (fsync) before
  the call returns. A last line without its end is a torn one: that is an error, never dropped in silence.
- A line has exactly one form (`to_line`); any other bytes that mean the same count as tampering.
- The chain has no key. Whoever may write the file can cut lines off its end, or write all of it anew: `head`, noted
  elsewhere (a report of a run holds it), shows that too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from secure_fl.errors import ConfigurationError, SyntheticError

Action = Literal["propose", "reject_by_validation", "approve", "reject", "edit"]
MACHINE = "secure-fl"
"""Who stands in the log for what validation decided."""
START = "0" * 64
"""What the first line names as the hash before it."""
MAX_NAME, MAX_REASON = 100, 1000
_ADVICE = "nothing of it is used; restore the store from a copy, or start a new one with --store"


def _plain_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("holds control characters, line breaks or blanks around it")
    return text


def _utc_second(text: str) -> str:
    if datetime.strptime(text, _TIME).replace(tzinfo=UTC).strftime(_TIME) != text:
        raise ValueError("is no time in UTC")
    return text


Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Entry(BaseModel):
    """One line of the log."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seq: Annotated[int, Field(ge=0)]
    previous: Digest
    """Hash of the line before."""
    action: Action
    pattern: Digest
    """Of the pattern that the action is about; of the new one, for an edit."""
    file: Digest
    """SHA-256 of the pattern's file, provenance included."""
    replaces: Digest | None
    """The pattern that this one was edited from."""
    reviewer: Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_plain_line)]
    time: Annotated[str, AfterValidator(_utc_second)]
    """UTC, ISO 8601, whole seconds."""
    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON), AfterValidator(_plain_line)]

    @property
    def hash(self) -> str:
        """SHA-256 of everything that the line says, in hexadecimal."""
        return hashlib.sha256(_canonical(self.model_dump())).hexdigest()

    def to_line(self) -> bytes:
        """The line as it stands in the file, its end included."""
        return _canonical({**self.model_dump(), "hash": self.hash}) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self | None:
        """Inverse of `to_line`; None for any bytes that it does not write."""
        try:
            document = json.loads(line)
            entry = cls.model_validate({name: value for name, value in document.items() if name != "hash"})
        except (ValueError, AttributeError, RecursionError):  # ValidationError and UnicodeDecodeError are ValueErrors
            return None
        return entry if entry.to_line() == line else None


@dataclass(frozen=True)
class Act:
    """What a new line is to say; the log adds the number, the hash before it and the time."""

    action: Action
    pattern: str
    file: str
    reviewer: str
    reason: str
    replaces: str | None = None


@dataclass(frozen=True)
class ReviewLog:
    """The log in one file."""

    path: Path

    def read(self) -> tuple[Entry, ...]:
        """All lines, verified; none if there is no file yet. Raises SyntheticError that names the first broken line."""
        try:
            content = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            reason = error.strerror or "input/output error"
        else:
            return _parse(content, self.path)
        raise SyntheticError(f"the log {self.path} cannot be read ({reason}); make it readable")

    def verify(self, head: str | None = None) -> str:
        """Hash of the last line, once the whole chain holds; `head`: that hash as it was noted earlier.

        Raises SyntheticError that names the first broken line, or says that the noted line is gone.
        """
        entries = self.read()
        if head not in (None, START) and all(entry.hash != head for entry in entries):
            raise SyntheticError(f"the log {self.path} no longer holds the line with the hash noted; {_ADVICE}")
        return head_of(entries)

    def append(self, decide: Callable[[tuple[Entry, ...]], Act]) -> Entry:
        """Write the line that `decide` makes of all earlier ones; nobody else writes in between.

        Raises SyntheticError if the log is broken or cannot be written, and whatever `decide` raises.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed
                entries = _parse(file.readall(), self.path)
                entry = _next(entries, decide(entries))
                _write(file.fileno(), entry.to_line())
            _sync_folder(self.path.parent)
        except OSError as error:
            reason = error.strerror or "input/output error"
        else:
            return entry
        raise SyntheticError(f"the log {self.path} cannot be written ({reason}); make it writable, or use --store")


def head_of(entries: tuple[Entry, ...]) -> str:
    """Hash of the last line, to be noted elsewhere; `START` for an empty log."""
    return entries[-1].hash if entries else START


def require_signed(reviewer: str, reason: str) -> None:
    """Raise ConfigurationError unless the reviewer's name and reason can stand in the log."""
    for what, text, most in (("name of the reviewer", reviewer, MAX_NAME), ("reason", reason, MAX_REASON)):
        if not text or len(text) > most or not text.isprintable() or text != text.strip():
            raise ConfigurationError(
                f"the {what} is empty, too long or not one plain line; give 1 to {most} printable characters"
            )
    if reviewer == MACHINE:
        raise ConfigurationError(f"{MACHINE} stands for validation in the log; give the name of a person")


def _parse(content: bytes, path: Path) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    previous = START
    *lines, rest = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        entry = Entry.from_line(line + b"\n")
        if entry is None or entry.seq != number - 1 or entry.previous != previous:
            raise SyntheticError(f"line {number} of the log {path} is broken or was changed; {_ADVICE}")
        entries.append(entry)
        previous = entry.hash
    if rest:
        raise SyntheticError(f"line {len(lines) + 1} of the log {path} is torn: it has no end; {_ADVICE}")
    return tuple(entries)


def _next(entries: tuple[Entry, ...], act: Act) -> Entry:
    try:
        return Entry(
            seq=len(entries),
            previous=head_of(entries),
            action=act.action,
            pattern=act.pattern,
            file=act.file,
            replaces=act.replaces,
            reviewer=act.reviewer,
            time=datetime.now(UTC).strftime(_TIME),
            reason=act.reason,
        )
    except ValidationError:
        fault = "a line of the log has a field that is malformed; give a name and a reason on one plain line"
    raise ConfigurationError(fault)


def _write(descriptor: int, line: bytes) -> None:
    written = 0
    while written < len(line):
        written += os.write(descriptor, line[written:])
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """So that a new file's name outlives a crash as well as its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _canonical(document: dict[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
