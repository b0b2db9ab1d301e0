"""What one bank spends of its privacy budget in one run, and the secrets from which its releases are derived.

An entry is written, and on disk, before anything that depends on it leaves the bank, and never taken back: first into
the bank's ledgers for life (`lifetime`), where every run counts, and then into the run's own ledger. A ledger that is
missing is not a ledger at zero: what was spent is then unknown, and the bank refuses to go on.

In each run a bank also has a secret key from which the randomness of its releases is derived (HMAC-SHA-256 over what is
released). So a bank that was stopped between entry and release makes the very same release when it starts again: that
tells nobody anything new, and the entry is not charged twice. The key is deleted when the run is over; the ledgers for
life never hold it.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import secrets
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError, DamageWarning, LedgerStorageError, PrivacyError
from secure_fl.files import disk_failed, reason, sealed, unsealed, write_durably
from secure_fl.privacy.accounting import SampledGaussian
from secure_fl.privacy.lifetime import Account

LEDGER, KEY = "ledger.json", "noise.key"
DRAWN = "drawn"
"""Folder of the releases whose noise cannot be derived from the key, kept so that they can be repeated."""
VERSION = 2
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
    """A bank's entries in a run, and the rule that they must not exceed its budget."""

    bank: str
    delta: float
    budget: float | None
    """The largest epsilon; None: whatever the releases cost."""
    cost: Cost = field(repr=False)
    """The epsilon of a list of events at `delta`."""
    folder: Path | None = None
    """Where it is kept; None: in memory only."""
    entries: list[Entry] = field(default_factory=list)
    account: Account | None = None
    """The bank in its ledgers for life; None: nothing that is trained leaves this process, as in a simulated attack."""
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def __post_init__(self) -> None:
        if self.folder is not None and not self.entries:
            if (self.folder / LEDGER).exists():
                raise PrivacyError(
                    f"{self.folder} holds the ledger of a run; go on with that run, or name another folder"
                )
            self._keep(self.folder / KEY, sealed(self._key))  # another key would make other noise
            self._save(self.entries)

    @property
    def epsilon(self) -> float:
        """What the run has spent so far."""
        return self.cost([entry.event for entry in self.entries])

    @property
    def lifetime_epsilon(self) -> float:
        """What the bank has spent in all its runs."""
        return self.epsilon if self.account is None else self.account.epsilon

    @property
    def events(self) -> tuple[SampledGaussian, ...]:
        return tuple(entry.event for entry in self.entries)

    def charge(self, release: str, context: bytes, event: SampledGaussian, *, repeats: bool = True) -> bytes:
        """Enter a release before it is made; the secret of its randomness, 32 bytes.

        `context`: all that it is computed from. `repeats`: the release is derived from the secret, so that the same one
        costs nothing again. Raises `PrivacyError` where the run's budget, or the bank's for life, does not allow it;
        nothing is entered then.
        """
        entry = self._entry(release, context, event)
        if self.account is not None:  # what another process of the bank spends in this run counts here too
            self.entries = _agreed(self.bank, self.entries, [Entry(*made) for made in self.account.releases])
        if not (repeats and entry in self.entries):
            after = self.cost([*self.events, event])
            if self.budget is not None and after > self.budget:
                raise PrivacyError(
                    f"{release} would bring {self.bank} to epsilon {after:.3f}, beyond its budget of "
                    f"{self.budget:g} at delta {self.delta:g}; stop here: what was spent stays counted, and another "
                    "run adds to it"
                )
            if self.account is not None:
                known = len(self.entries)
                self.account.enter(entry.release, entry.context, entry.event, known, repeats=repeats)
            self._save([*self.entries, entry])
            self.entries.append(entry)
        return self._derive(b"noise", json.dumps(asdict(entry)).encode())  # no two share a noise

    def once(
        self, release: str, context: bytes, event: SampledGaussian, draw: Callable[[], NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """A release of fresh noise, which `draw` makes: kept before it is entered, so that a repeat is the very same.

        An entry whose release is not kept any more may have left the bank: another one is charged. Warns of damage.
        """
        entry = self._entry(release, context, event)
        kept = None if self.folder is None else self.folder / DRAWN / f"{entry.context}.npy"
        drawn = None if kept is None else _kept(kept)
        repeats = drawn is not None and entry in self.entries
        if drawn is None:
            drawn = draw()
            if kept is not None:
                buffer = io.BytesIO()
                np.save(buffer, drawn, allow_pickle=False)
                self._keep(kept, sealed(buffer.getvalue()))
        if not repeats:
            self.charge(release, context, event, repeats=False)
        return drawn

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

    def _entry(self, release: str, context: bytes, event: SampledGaussian) -> Entry:
        if not self._key:
            raise PrivacyError(f"{self.bank} forgot its key when its run was over; start a new run")
        return Entry(release, self._derive(b"context", context).hex(), event)

    def _derive(self, purpose: bytes, data: bytes) -> bytes:
        return hmac.digest(self._key, purpose + bytes(1) + data, hashlib.sha256)

    def _save(self, entries: Sequence[Entry]) -> None:
        if self.folder is not None:
            document = self.to_dict() | {"entries": [asdict(entry) for entry in entries]}
            self._keep(self.folder / LEDGER, (json.dumps(document, indent=1) + "\n").encode("ascii"))

    def _keep(self, path: Path, content: bytes) -> None:
        try:
            write_durably(path, content)
        except OSError as error:
            failure = error
        else:
            return
        raise (LedgerStorageError if disk_failed(failure) else PrivacyError)(
            f"{path} of {self.bank} cannot be written ({reason(failure)}), so nothing more leaves the bank; make room, "
            "and go on with the run"
        )

    @classmethod
    def restore(
        cls, bank: str, delta: float, budget: float | None, cost: Cost, folder: Path, account: Account | None = None
    ) -> Ledger:
        """The ledger that a bank kept. Raises `PrivacyError` where it is missing, altered or of another budget."""
        try:
            document = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
            key = unsealed((folder / KEY).read_bytes())
            entries = [
                Entry(str(e["release"]), str(e["context"]), SampledGaussian(**e["event"])) for e in document["entries"]
            ]
            same = (document["version"], document["bank"], document["delta"], document["budget"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigurationError):
            raise PrivacyError(
                f"the ledger of {bank} is missing or damaged, so nobody knows what {bank} has spent in this run; put "
                "it back from a copy (without one the run cannot go on, and what it spent stays counted for life)"
            ) from None
        if same != (VERSION, bank, delta, budget) or len(key) != 32 or not (entries or account):
            raise PrivacyError(f"the ledger of {bank} belongs to another bank or budget; put its own ledger back")
        if account is not None:
            entries = _agreed(bank, entries, [Entry(*release) for release in account.releases])
        ledger = cls(bank, delta, budget, cost, None, entries, account, key)
        ledger.folder = folder
        return ledger


def _kept(path: Path) -> NDArray[np.int64] | None:
    """A release that was kept; None where there is none, or, with a warning, where it is damaged."""
    try:
        return np.asarray(np.load(io.BytesIO(unsealed(path.read_bytes())), allow_pickle=False), dtype=np.int64)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError):
        warnings.warn(DamageWarning(f"{path} is damaged; its noise is drawn anew and charged again"), stacklevel=2)
        return None


def _agreed(bank: str, own: list[Entry], for_life: list[Entry]) -> list[Entry]:
    """A run's entries as the ledgers for life have them, which know of later ones too where the run's folder is a copy.

    Raises `PrivacyError` where the ledgers for life lack one.
    """
    if Counter(own) - Counter(for_life):
        raise PrivacyError(
            f"the ledgers for life lack a release that {bank} made in this run: they are another store, or an older "
            "copy; set SECURE_FL_LEDGERS to the right one, or put the newest copy back"
        )
    return for_life
