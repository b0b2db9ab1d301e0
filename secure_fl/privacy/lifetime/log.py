"""The log of all that banks ever released: append-only JSON lines, each bound to the one before it by a keyed hash.

After Haber and Stornetta, "How to Time-Stamp a Digital Document" (Journal of Cryptology 3, 1991), with HMAC-SHA-256
under the bank's key, so that only who holds the key can write a line. That is why these are no links of
`secure_fl.chain`: there anybody can check a line; here a torn end is no tampering, and lines are read as they grow.

Rules:
- A line is written under an exclusive lock, after all lines have been checked, and reaches the disk (fsync) before the
  call returns. A last line without its end is what a crash leaves: it was never acknowledged, so nothing that depends
  on it was released, and the next line takes its place.
- How many lines there are, and the hash of the last, is noted apart, in another folder, once they are on disk. A log
  that lacks the noted line is an older copy, or was cut: nothing is released until the newer one is back.
- Whoever restores the log *and* the note, or a whole disk, to an older state is not noticed by these two; the note in
  a run's results is a third one.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secure_fl.chain.links import START, canonical
from secure_fl.errors import LedgerStorageError, PrivacyError
from secure_fl.files import disk_failed, make_folder, reason, sync, write_durably

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Note:
    """How far a log had come."""

    lines: int
    head: str
    """Hash of the last line."""


@dataclass(frozen=True)
class Line:
    """One line: what it says, and its hash."""

    body: Body
    hash: str


@dataclass
class LifeLog:
    """The log in one file, and the note of its end in another."""

    path: Path
    note: Path
    key: bytes = field(repr=False)
    _lines: list[Line] = field(default_factory=list, repr=False)
    """Those that were checked already; they end at `_size` bytes."""
    _size: int = 0

    def read(self) -> tuple[Line, ...]:
        """All lines, checked. Raises `PrivacyError` where one is broken, or where the log is older than its note."""
        with self._opened() as descriptor:
            return self._checked(descriptor)

    def append(self, decide: Callable[[tuple[Line, ...]], Sequence[Body]]) -> tuple[Line, ...]:
        """Write what `decide` makes of all lines before; nobody else writes in between. All lines, then."""
        with self._opened() as descriptor:
            before = self._checked(descriptor)
            for body in decide(before):
                self._write(descriptor, body)
            if self._lines and self._noted() != self.end:  # also where one who wrote them was stopped before this
                os.fsync(descriptor)
                sync(self.path.parent)
                self._take_note()
            return tuple(self._lines)

    @property
    def end(self) -> Note:
        """Of the lines that were read or written last."""
        return Note(len(self._lines), self._lines[-1].hash if self._lines else START)

    def require(self, noted: Note) -> None:
        """Raises `PrivacyError` where the lines that were read last lack the noted one."""
        held = self._lines[noted.lines - 1].hash if 0 < noted.lines <= len(self._lines) else START
        if held != noted.head:
            raise PrivacyError(
                f"{self.path} is an older copy, or was cut: {noted.lines} entries were noted elsewhere, and it lacks "
                "the last of them; put the newest copy back, since what was spent is not known without it"
            )

    @contextmanager
    def _opened(self) -> Iterator[int]:
        failure: OSError | None = None
        try:
            make_folder(self.path.parent, mode=0o700)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # let go when the file is closed
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            failure = error
        if failure is not None:
            kind, advice = (
                (LedgerStorageError, "make room") if disk_failed(failure) else (PrivacyError, "make it writable")
            )
            raise kind(
                f"{self.path} cannot be written ({reason(failure)}), so nothing may be released; {advice}, or set "
                "SECURE_FL_LEDGERS to the folder where the ledgers are"
            )

    def _checked(self, descriptor: int) -> tuple[Line, ...]:
        length = os.fstat(descriptor).st_size
        if length < self._size:
            self._lines, self._size = [], 0  # it was put back to another state: look at all of it
        tail = _read(descriptor, self._size, length)
        *whole, torn = tail.split(b"\n")
        for text in whole:
            self._lines.append(self._parsed(text))
            self._size += len(text) + 1
        noted = self._noted()
        if noted is not None:
            self.require(noted)
        if torn:
            os.ftruncate(descriptor, self._size)
        return tuple(self._lines)

    def _parsed(self, text: bytes) -> Line:
        try:
            document = json.loads(text)
            told, body = document["hash"], {name: value for name, value in document.items() if name != "hash"}
            before = (body["line"], body["previous"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            told, body, before = "", {}, (0, "")
        made = self._hash(body)
        if before != (len(self._lines) + 1, self.end.head) or not hmac.compare_digest(
            str(told).encode(), made.encode()
        ):
            raise PrivacyError(
                f"entry {len(self._lines) + 1} of {self.path} is broken or was changed, so nobody knows what was "
                "spent; put the newest whole copy back"
            )
        return Line(body, made)

    def _write(self, descriptor: int, body: Body) -> None:
        body = {**body, "line": len(self._lines) + 1, "previous": self.end.head}
        line = Line(body, self._hash(body))
        text = canonical({**body, "hash": line.hash}) + b"\n"
        written = 0
        while written < len(text):
            written += os.write(descriptor, text[written:])
        self._lines.append(line)
        self._size += len(text)

    def _hash(self, body: Body) -> str:
        return hmac.digest(self.key, canonical(body), hashlib.sha256).hex()

    def _noted(self) -> Note | None:
        try:
            document = json.loads(self.note.read_text(encoding="utf-8"))
            return Note(int(document["lines"]), str(document["head"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            pass
        raise PrivacyError(f"the note {self.note} of the ledgers' end is damaged; put its newest copy back")

    def _take_note(self) -> None:
        document = json.dumps({"lines": self.end.lines, "head": self.end.head}) + "\n"
        write_durably(self.note, document.encode("ascii"))


def _read(descriptor: int, start: int, end: int) -> bytes:
    os.lseek(descriptor, start, os.SEEK_SET)
    parts = []
    while start < end and (part := os.read(descriptor, end - start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)
