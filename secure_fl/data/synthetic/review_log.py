"""The log of the expert review: append-only JSON lines in one file, chained and signed (`review_line`).

Rules:
- A line is written under an exclusive lock, after the whole log has been checked, and reaches the disk (fsync) before
  the call returns. A last line without its end is a torn one: that is an error, never dropped in silence.
- Whoever may write the file and holds no trusted reviewer's key cannot approve, nor change or move what a reviewer
  decided. Such a person can add lines of validation's, which nobody signs (so a pending pattern may be one that never
  passed), add rejections and edits under a key of his own (less is then trained on), cut lines off the end, or put an
  older copy back.
- This reader keeps the last head that it saw apart from the log (`last_seen`) and notices at its next look what was
  cut or rewritten. Somebody who never saw the log notices with a head noted elsewhere (`place_of`; a report of a run
  holds one), and without one not at all.
- Not noticed either: anything by a reader whose record an attacker may write too, unless a head was noted; a decision
  that somebody signed with a stolen key.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from secure_fl.chain.links import START, BrokenChainError, read_links
from secure_fl.data.synthetic.last_seen import LastSeen
from secure_fl.data.synthetic.review_line import MACHINE, Act, Entry
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.errors import SyntheticError
from secure_fl.files import make_folder, sync

_ADVICE = "nothing of it is used; restore the store from a copy, or start a new one with --store"


@dataclass(frozen=True)
class ReviewLog:
    """The log in one file, and what this reader last saw of it."""

    path: Path
    seen: LastSeen

    def read(self) -> tuple[Entry, ...]:
        """All lines, verified; none if there is no file yet. Raises SyntheticError that names the first broken line."""
        recalled = self.seen.recall()
        try:
            content = self._content()
        except OSError as error:
            reason = error.strerror or "input/output error"
        else:
            entries = _parse(content, self.path)
            self.seen.require_in(entries, recalled)
            self.seen.note(entries)
            return entries
        raise SyntheticError(f"the log {self.path} cannot be read ({reason}); make it readable")

    def append(self, decide: Callable[[tuple[Entry, ...]], Act], key: ReviewerKey | None = None) -> Entry:
        """Write the line that `decide` makes of all earlier ones, signed; nobody else writes in between.

        Raises SyntheticError if the log is broken or cannot be written, and whatever `decide` raises.
        """
        recalled = self.seen.recall()
        try:
            make_folder(self.path.parent)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed
                entries = _parse(file.readall(), self.path)
                self.seen.require_in(entries, recalled)
                entry = Entry.following(entries, decide(entries), key)
                _write(file.fileno(), entry.to_line())
            sync(self.path.parent)  # a new file's name is to outlive a crash as well as its content
        except OSError as error:
            reason = error.strerror or "input/output error"
        else:
            self.seen.note((*entries, entry))
            return entry
        raise SyntheticError(f"the log {self.path} cannot be written ({reason}); make it writable, or use --store")

    def _content(self) -> bytes:
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # never half of a line that is being written
            return file.read()


def place_of(head: str, entries: tuple[Entry, ...]) -> int:
    """How many lines the log had when its head was the noted one: all of them, if it is the current one.

    Raises SyntheticError if no line has that hash: the log was cut or rewritten since, or is another one.
    """
    hashes = [START, *(entry.hash for entry in entries)]
    if head in hashes:
        return hashes.index(head)
    raise SyntheticError(
        f"the log holds no line with the hash {head[:64]}: it was cut or rewritten after that was noted, or is another "
        "log; do not rely on its decisions, and restore the store from a copy"
    )


def _parse(content: bytes, path: Path) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    try:
        for entry in read_links(content, Entry):
            if not entry.is_signed:
                who = "nobody, as validation's are" if entry.reviewer == MACHINE else "the key that it names"
                raise SyntheticError(f"line {entry.seq + 1} of the log {path} is not signed by {who}; {_ADVICE}")
            entries.append(entry)
    except BrokenChainError as error:
        fault = "is torn: it has no end" if error.torn else "is broken or was changed"
        line = error.line
    else:
        return tuple(entries)
    raise SyntheticError(f"line {line} of the log {path} {fault}; {_ADVICE}")


def _write(descriptor: int, line: bytes) -> None:
    written = 0
    while written < len(line):
        written += os.write(descriptor, line[written:])
    os.fsync(descriptor)
