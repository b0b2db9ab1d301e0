"""One line of the log of the expert review: what it says, its hash, and the signature of who decided.

After Haber and Stornetta, "How to Time-Stamp a Digital Document" (Journal of Cryptology 3, 1991): a line holds the
SHA-256 of the line before, and its own hash covers all that it says, the signature included, so that no line can be
changed, dropped or put in between without every later line giving it away.

Rules:
- A person's line holds the person's public key and an Ed25519 signature of all the rest, the hash before included: a
  decision holds in this log at this place, and cannot be moved to another. What validation wrote has no signature.
- A line has exactly one form (`to_line`); any other bytes that mean the same count as tampering.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from secure_fl.data.synthetic.signing import ReviewerKey, holds
from secure_fl.errors import ConfigurationError

Action = Literal["propose", "reject_by_validation", "approve", "reject", "edit"]
MACHINE = "secure-fl"
"""Who stands in the log for what validation decided."""
START = "0" * 64
"""What the first line names as the hash before it."""
MAX_NAME, MAX_REASON = 100, 1000


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


@dataclass(frozen=True)
class Act:
    """What a new line is to say; the log adds the number, the hash before it, the time and the signature."""

    action: Action
    pattern: str
    file: str
    reviewer: str
    reason: str
    replaces: str | None = None


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
    key: Digest | None
    """The reviewer's public key; None for the machine."""
    signature: Annotated[str, Field(pattern="^[0-9a-f]{128}$")] | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of everything that the line says, in hexadecimal."""
        return hashlib.sha256(_canonical(self.model_dump())).hexdigest()

    @property
    def is_signed(self) -> bool:
        """Whether the signature is that of the key, over all the rest; for the machine: whether there is none."""
        if self.reviewer == MACHINE:
            return self.key is None and self.signature is None
        return self.key is not None and self.signature is not None and holds(self.key, self.signature, self._message())

    def signed(self, key: ReviewerKey) -> Self:
        return self.model_copy(update={"signature": key.sign(self._message())})

    def to_line(self) -> bytes:
        """The line as it stands in the file, its end included."""
        return _canonical({**self.model_dump(), "hash": self.hash}) + b"\n"

    @classmethod
    def following(cls, entries: Sequence[Entry], act: Act, key: ReviewerKey | None) -> Entry:
        """The line that says `act` after all the others, signed with `key` unless the machine acts.

        Raises ConfigurationError if it cannot stand in the log.
        """
        if (key is None) != (act.reviewer == MACHINE):
            raise ConfigurationError("a person's decision needs a key and validation's has none; sign it, or leave it")
        try:
            entry = Entry(
                seq=len(entries),
                previous=head_of(entries),
                action=act.action,
                pattern=act.pattern,
                file=act.file,
                replaces=act.replaces,
                reviewer=act.reviewer,
                time=datetime.now(UTC).strftime(_TIME),
                reason=act.reason,
                key=None if key is None else key.public,
            )
        except ValidationError:
            fault = "a line of the log has a field that is malformed; give a name and a reason on one plain line"
        else:
            return entry if key is None else entry.signed(key)
        raise ConfigurationError(fault)

    @classmethod
    def from_line(cls, line: bytes) -> Self | None:
        """Inverse of `to_line`; None for any bytes that it does not write. The signature is not looked at."""
        try:
            document = json.loads(line)
            entry = cls.model_validate({name: value for name, value in document.items() if name != "hash"})
        except (ValueError, AttributeError, RecursionError):  # ValidationError and UnicodeDecodeError are ValueErrors
            return None
        return entry if entry.to_line() == line else None

    def _message(self) -> bytes:
        return _canonical(self.model_dump(exclude={"signature"}))


def head_of(entries: Sequence[Entry]) -> str:
    """Hash of the last line, to be noted elsewhere; `START` for an empty log."""
    return entries[-1].hash if entries else START


def require_name(reviewer: str) -> None:
    """Raise ConfigurationError unless a person's name can stand in the log."""
    _require_plain("name of the reviewer", reviewer, MAX_NAME)
    if reviewer == MACHINE:
        raise ConfigurationError(f"{MACHINE} stands for validation in the log; give the name of a person")


def require_reason(reason: str) -> None:
    """Raise ConfigurationError unless the reason can stand in the log."""
    _require_plain("reason", reason, MAX_REASON)


def _require_plain(what: str, text: str, most: int) -> None:
    if not text or len(text) > most or not text.isprintable() or text != text.strip():
        raise ConfigurationError(
            f"the {what} is empty, too long or not one plain line; give 1 to {most} printable characters"
        )


def _canonical(document: dict[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
