"""Append-only JSON lines, each of which holds the hash of the line before it.

After Haber and Stornetta, "How to Time-Stamp a Digital Document" (Journal of Cryptology 3, 1991): the SHA-256 of a line
covers all that it says, the hash before it included, so that no line can be changed, dropped, moved or put in between
without that line, or the next one, giving it away.

Rules:
- A line has exactly one form (`Link.to_line`); any other bytes that mean the same count as tampering.
- Hashes need no key: whoever may write the file can write all of it anew, or cut its end. Only a signature tells the
  first, and only a head that was noted elsewhere tells both of somebody who holds the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

START = "0" * 64
"""What the first line names as the hash before it."""
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class BrokenChainError(ValueError):
    """A line is not the one that was written there. Who reads a chain says of which file, and what to do."""

    def __init__(self, line: int, *, torn: bool) -> None:
        """`line` counts from 1; `torn`: it has no end."""
        super().__init__(f"line {line} is {'torn' if torn else 'broken'}")
        self.line, self.torn = line, torn


class Link(BaseModel):
    """One line; its kinds add what it says."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seq: Annotated[int, Field(ge=0)]
    previous: Digest
    """Hash of the line before."""

    @property
    def hash(self) -> str:
        """SHA-256 of everything that the line says, in hexadecimal."""
        return hashlib.sha256(canonical(self.model_dump())).hexdigest()

    def to_line(self) -> bytes:
        """The line as it stands in the file, its end included."""
        return canonical({**self.model_dump(), "hash": self.hash}) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self | None:
        """Inverse of `to_line`; None for any bytes that it does not write."""
        try:
            document = json.loads(line)
            link = cls.model_validate({name: value for name, value in document.items() if name != "hash"})
            return link if link.to_line() == line else None
        except (ValueError, AttributeError, RecursionError):  # ValidationError and UnicodeDecodeError are ValueErrors
            return None


AnyLink = TypeVar("AnyLink", bound=Link)


def read_links(content: bytes, kind: type[AnyLink]) -> Iterator[AnyLink]:
    """The lines of a file, one after the other. Raises `BrokenChainError` at the first that does not hold."""
    previous = START
    *lines, rest = content.split(b"\n")
    for seq, line in enumerate(lines):
        link = kind.from_line(line + b"\n")
        if link is None or link.seq != seq or link.previous != previous:
            raise BrokenChainError(seq + 1, torn=False)
        previous = link.hash
        yield link
    if rest:
        raise BrokenChainError(len(lines) + 1, torn=True)


def head_of(links: Sequence[Link]) -> str:
    """Hash of the last line, to be noted elsewhere; `START` where there is none."""
    return links[-1].hash if links else START


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one form of a document as JSON. Raises ValueError where it holds a number that JSON has not."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
