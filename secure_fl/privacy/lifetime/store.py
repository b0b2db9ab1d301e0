"""A bank's ledgers for life: one store on its disk, for all its runs, whatever folder they write to.

    FOLDER/ledgers.jsonl        every release (`log`), appended before it is made
    FOLDER/rows/SET.tags        the tags of a set of rows (`rows`), 8 bytes a row
    FOLDER/bank.key             the secret key of tags and log
    elsewhere/ledgers-....json  a note of the log's end, so that an older copy of FOLDER is noticed

FOLDER is `ledgers` among the user's data, or SECURE_FL_LEDGERS; the note is among the user's state, or in
SECURE_FL_LEDGER_NOTES. In a real federation every bank has a store of its own; the sandbox plays all banks, and deals
the same rows to them anew in every run, so that here they share one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import platformdirs

from secure_fl.data import Transactions
from secure_fl.errors import LedgerStorageError, PrivacyError
from secure_fl.files import create_secret, disk_failed, reason, write_durably
from secure_fl.privacy.accounting import SampledGaussian
from secure_fl.privacy.lifetime.log import Body, LifeLog, Line, Note
from secure_fl.privacy.lifetime.rows import Tags, overlap, row_tags
from secure_fl.privacy.lifetime.spending import Release, Unit, cost, events_of_life

STORE_VARIABLE, NOTES_VARIABLE = "SECURE_FL_LEDGERS", "SECURE_FL_LEDGER_NOTES"
"""Environment variables that override where the store and the note of its end lie."""
LOG, KEY, ROWS = "ledgers.jsonl", "bank.key", "rows"
KEY_BYTES = 32


@dataclass(frozen=True)
class LedgerStore:
    """The store in a folder. Everything in it raises `PrivacyError` where it cannot be relied on."""

    folder: Path
    notes: Path
    """The folder of the note."""
    _sharing: dict[frozenset[str], bool] = field(default_factory=dict, repr=False)
    """Pairs of sets that were compared already."""

    @classmethod
    def of_user(cls) -> LedgerStore:
        folder, notes = os.environ.get(STORE_VARIABLE), os.environ.get(NOTES_VARIABLE)
        return cls(
            Path(folder) if folder else platformdirs.user_data_path("secure-fl") / "ledgers",
            Path(notes) if notes else platformdirs.user_state_path("secure-fl"),
        )

    @cached_property
    def log(self) -> LifeLog:
        place = hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:16]
        return LifeLog(self.folder / LOG, self.notes / f"ledgers-{place}.json", self._key)

    def releases(self) -> tuple[Release, ...]:
        """Everything that was released."""
        return _releases(self.log.read())

    @property
    def end(self) -> Note:
        """The end of the log, for a note elsewhere."""
        self.log.read()
        return self.log.end

    def require(self, noted: Note) -> None:
        """Raises `PrivacyError` where the log lacks an entry that was noted elsewhere."""
        self.log.read()
        self.log.require(noted)

    def register(self, table: Transactions) -> str:
        """The name of a table's set of rows; its tags are kept. The same rows in any order have the same name."""
        tags = row_tags(table, self._key)
        name = hmac.digest(self._key, tags.astype("<u8").tobytes(), hashlib.sha256).hex()[:32]
        path = self.folder / ROWS / f"{name}.tags"
        try:
            if not path.exists():
                write_durably(path, tags.astype("<u8").tobytes())
        except OSError as error:
            raise self._unusable(error) from None
        return name

    def spent(self, account: Account) -> float:
        """Epsilon of a bank for life."""
        return self._epsilon(account, self.releases())

    def enter(self, account: Account, entry: Release, *, known: int | None, repeats: bool) -> None:
        """Write a release into the log before it is made; nothing where it is there already and `repeats`.

        `known`: how many of the run the bank reckons with; None: whatever there is. Raises `PrivacyError` where there
        are others, where the bank's limit for life does not allow it, or where the bank had other rows earlier in the
        run; nothing is written then.
        """

        def decide(lines: tuple[Line, ...]) -> list[Body]:
            before = _releases(lines)
            if any((r.run, r.bank) == (entry.run, entry.bank) and r.rows != entry.rows for r in before):
                raise PrivacyError(
                    f"the rows of {account.bank} changed since this run's first release, so what each row spent in it "
                    "could not be told; put the transactions back as they were, or start a new run"
                )
            if repeats and entry in before:
                return []
            if known is not None and known != sum((r.run, r.bank) == (entry.run, entry.bank) for r in before):
                raise PrivacyError(
                    f"another process of {account.bank} makes releases in this run at this moment; end one of them"
                )
            self._require_room(account, before, [entry.event], entry.release)
            return [asdict(entry)]

        self.log.append(decide)

    def require_room(self, account: Account, planned: Sequence[SampledGaussian]) -> None:
        """Raises `PrivacyError` where the bank's limit for life does not allow releases to come."""
        self._require_room(account, self.releases(), planned, "this run")

    def _require_room(
        self, account: Account, releases: Sequence[Release], planned: Sequence[SampledGaussian], what: str
    ) -> None:
        if account.limit is None:
            return
        after = self._epsilon(account, releases, planned)
        if after > account.limit:
            before = self._epsilon(account, releases)
            raise PrivacyError(
                f"{what} would bring {account.bank} to epsilon {after:.3f} for life, beyond its {account.limit:g} at "
                f"delta {account.delta:g} ({before:.3f} is spent); ask for a smaller epsilon, or allow more with "
                "--lifetime-epsilon"
            )

    def _epsilon(self, account: Account, releases: Sequence[Release], planned: Sequence[SampledGaussian] = ()) -> float:
        sets = {release.rows for release in releases}
        sharing = frozenset(name for name in sets if self._share(name, account.rows))
        events = events_of_life(releases, account.unit, account.bank, account.rows, sharing)
        return cost(account.unit, [*events, *planned], account.delta)

    def _share(self, one: str, other: str) -> bool:
        if one == other:
            return True
        pair = frozenset((one, other))
        if pair not in self._sharing:
            self._sharing[pair] = overlap(self._tags(one), self._tags(other))
        return self._sharing[pair]

    def _tags(self, name: str) -> Tags:
        path = self.folder / ROWS / f"{name}.tags"
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        if hmac.digest(self._key, content, hashlib.sha256).hex()[:32] != name:
            raise PrivacyError(
                f"{path}, the tags of rows that budget was spent on, is missing or damaged; put it back from a copy"
            )
        return np.frombuffer(content, dtype="<u8").astype(np.uint64)

    @cached_property
    def _key(self) -> bytes:
        path = self.folder / KEY
        try:
            if not path.exists():
                if (self.folder / LOG).exists():
                    raise PrivacyError(
                        f"{path} is gone, without which its ledgers say nothing; put it back from a copy"
                    )
                create_secret(path, secrets.token_bytes(KEY_BYTES))
            if path.stat().st_mode & 0o077:
                raise PrivacyError(f"{path} is open to other users; run: chmod 600 {path}")
            key = path.read_bytes()
        except OSError as error:
            raise self._unusable(error) from None
        if len(key) != KEY_BYTES:
            raise PrivacyError(f"{path} is no key of ledgers; put it back from a copy")
        return key

    def _unusable(self, error: OSError) -> PrivacyError:
        kind, advice = (
            (LedgerStorageError, "make room") if disk_failed(error) else (PrivacyError, "make the folder writable")
        )
        return kind(
            f"the ledgers in {self.folder} cannot be used ({reason(error)}), so nothing may be released; {advice}, or "
            f"set {STORE_VARIABLE} to another"
        )


@dataclass(frozen=True)
class Account:
    """One bank with its rows, in one run."""

    run: str
    bank: str
    rows: str
    """The set of rows, by its name in the store."""
    unit: Unit
    delta: float
    limit: float | None
    """The largest epsilon for life, over all runs."""
    store: LedgerStore = field(repr=False, compare=False)

    def enter(
        self, release: str, context: str, event: SampledGaussian, known: int | None = None, *, repeats: bool
    ) -> None:
        """See `LedgerStore.enter`."""
        self.store.enter(self, self._release(release, context, event), known=known, repeats=repeats)

    @property
    def releases(self) -> list[tuple[str, str, SampledGaussian]]:
        """Of the bank in this run, in order: what, its context, and its cost as an event."""
        run = [entry for entry in self.store.releases() if (entry.run, entry.bank) == (self.run, self.bank)]
        return [(entry.release, entry.context, entry.event) for entry in run]

    @property
    def epsilon(self) -> float:
        """Spent for life, this run included."""
        return self.store.spent(self)

    def shares_rows(self, other: Account) -> bool:
        """Whether the ledgers cannot tell a row of one bank from a row of another."""
        return self.store._share(self.rows, other.rows)

    def require_room(self, planned: Sequence[SampledGaussian]) -> None:
        """Refuse a run that the limit for life cannot pay for. Raises `PrivacyError`."""
        self.store.require_room(self, planned)

    def _release(self, release: str, context: str, event: SampledGaussian) -> Release:
        return Release(self.run, self.bank, self.rows, self.unit, release, context, event, self.delta, self.limit)


def _releases(lines: Sequence[Line]) -> tuple[Release, ...]:
    return tuple(Release.from_body(line.body) for line in lines)
