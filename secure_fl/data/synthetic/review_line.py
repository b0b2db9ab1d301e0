"""One line of the log of the expert review: what it says, its hash, and the signature of who decided.

A line is a link of a chain (`secure_fl.chain`); its hash covers the signature too.

Rules:
- A person's line holds the person's public key and an Ed25519 signature of all the rest, the hash before included: a
  decision holds in this log at this place, and cannot be moved to another. What validation wrote has no signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError

from secure_fl.chain.links import Digest, Link, canonical, head_of
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.errors import ConfigurationError

Action = Literal["propose", "reject_by_validation", "approve", "reject", "edit"]
MACHINE = "secure-fl"
"""Who stands in the log for what validation decided."""
MAX_NAME, MAX_REASON = 100, 1000


def _plain_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("holds control characters, line breaks or blanks around it")
    return text


def _utc_second(text: str) -> str:
    if datetime.strptime(text, _TIME).replace(tzinfo=UTC).strftime(_TIME) != text:
        raise ValueError("is no time in UTC")
    return text


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


class Entry(Link):
    """One line of the log."""

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
    def is_signed(self) -> bool:
        """Whether the signature is that of the key, over all the rest; for the machine: whether there is none."""
        if self.reviewer == MACHINE:
            return self.key is None and self.signature is None
        return bool(self.key and self.signature and ReviewerKey.holds(self.key, self.signature, self._message()))

    def signed(self, key: ReviewerKey) -> Self:
        return self.model_copy(update={"signature": key.sign(self._message())})

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

    def _message(self) -> bytes:
        return canonical(self.model_dump(exclude={"signature"}))


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
