"""What one bank has spent of its privacy budget: one ledger for as long as the bank lives.

An entry is written, and on disk, before anything that depends on it leaves the bank, and never taken back. A ledger
that is missing is not a ledger at zero: what was spent is then unknown, and the bank refuses to go on.

Each bank also has a secret key from which the randomness of its releases is derived (HMAC-SHA-256 over what is
released). So a bank that was stopped between entry and release makes the very same release when it starts again: that
tells nobody anything new, and the entry is not charged twice. The key is deleted when the run is over.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from secure_fl.accounting import SampledGaussian
from secure_fl.errors import ConfigurationError, PrivacyError
from secure_fl.files import staged_file

LEDGER, KEY = "ledger.json", "noise.key"
VERSION = 1
Cost = Callable[[Sequence[SampledGaussian]], float]


@dataclass(frozen=True)
class Entry:
    """One release."""

    release: str
    """Such as "round 3"."""
    context: str
    """Under the bank's key, a hash of all that it is computed from: so that it says nothing about the rows."""
    event: SampledGaussian


@dataclass
class Ledger:
    """A bank's entries, and the rule that they must not exceed its budget."""

    bank: str
    delta: float
    budget: float | None
    """The largest epsilon; None: whatever the releases cost."""
    cost: Cost = field(repr=False)
    """The epsilon of a list of events at `delta`."""
    folder: Path | None = None
    """Where it is kept; None: in memory only."""
    entries: list[Entry] = field(default_factory=list)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def __post_init__(self) -> None:
        if self.folder is not None and not self.entries:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_secret(self.folder / KEY, self._key)
            self._save(self.entries)

    @property
    def epsilon(self) -> float:
        """What has been spent so far."""
        return self.cost([entry.event for entry in self.entries])

    @property
    def events(self) -> tuple[SampledGaussian, ...]:
        return tuple(entry.event for entry in self.entries)

    def charge(self, release: str, context: bytes, event: SampledGaussian, *, repeats: bool = True) -> int:
        """Enter a release before it is made; the secret seed of its randomness, 63 bits.

        `context`: all that it is computed from. `repeats`: the release is derived from the seed, so that the same one
        costs nothing again. Raises `PrivacyError` where the budget does not allow it; nothing is entered then.
        """
        if not self._key:
            raise PrivacyError(f"{self.bank} forgot its key when its run was over; start a new run")
        entry = Entry(release, hmac.digest(self._key, context, hashlib.sha256).hex(), event)
        if not (repeats and entry in self.entries):
            after = self.cost([*self.events, event])
            if self.budget is not None and after > self.budget:
                raise PrivacyError(
                    f"{release} would bring {self.bank} to epsilon {after:.3f}, beyond its budget of "
                    f"{self.budget:g} at delta {self.delta:g}; stop here, or start a new run with a larger epsilon"
                )
            self._save([*self.entries, entry])
            self.entries.append(entry)
        digest = hmac.digest(self._key, json.dumps(asdict(entry)).encode(), hashlib.sha256)  # no two share a noise
        return int.from_bytes(digest[:8], "little") >> 1

    def close(self) -> None:
        """Forget the key: no release can be repeated, or its noise be recomputed, any more."""
        self._key = b""
        if self.folder is not None:
            (self.folder / KEY).unlink(missing_ok=True)

    def to_dict(self) -> dict[str, object]:
        return {
            "version": VERSION,
            "bank": self.bank,
            "delta": self.delta,
            "budget": self.budget,
            "entries": [asdict(entry) for entry in self.entries],
        }

    def _save(self, entries: Sequence[Entry]) -> None:
        if self.folder is not None:
            with staged_file(self.folder / LEDGER) as staging:
                document = self.to_dict() | {"entries": [asdict(entry) for entry in entries]}
                staging.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
                with staging.open("rb") as file:
                    os.fsync(file.fileno())

    @classmethod
    def restore(cls, bank: str, delta: float, budget: float | None, cost: Cost, folder: Path) -> Ledger:
        """The ledger that a bank kept. Raises `PrivacyError` where it is missing, altered or of another budget."""
        try:
            document = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
            key = (folder / KEY).read_bytes()
            entries = [
                Entry(str(e["release"]), str(e["context"]), SampledGaussian(**e["event"])) for e in document["entries"]
            ]
            same = (document["version"], document["bank"], document["delta"], document["budget"])
        except (OSError, ValueError, KeyError, TypeError, ConfigurationError):
            raise PrivacyError(
                f"the ledger of {bank} is missing or damaged, so nobody knows what {bank} has spent; restore it from a "
                "copy, or start a new run and count the old one as spent in full"
            ) from None
        if same != (VERSION, bank, delta, budget) or not entries or len(key) != 32:
            raise PrivacyError(f"the ledger of {bank} belongs to another bank or budget; put its own ledger back")
        return cls(bank, delta, budget, cost, folder, entries, key)


def _write_secret(path: Path, secret: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
