"""Differential privacy over a whole federation: who adds how much noise, what it costs, and what it does not cover.

Two mechanisms:

*dp-sgd* protects each row of each bank, towards everybody else. Every bank adds its own noise and trusts nobody. What
it releases is its share of the statistics of round 0 (`data.histogram`) and one update a round (`training.private`);
its ledger adds them up. No row lies in two banks, so the federation's epsilon is the largest of the banks'.

*distributed* protects each bank's whole update in the sum, towards everybody who sees sums (`distributed`). Nobody is
trusted with the noise, but the scheme must keep single updates hidden. Round 0's statistics are not covered.

What can be known before a run (banks too small, budgets out of reach, also for life) is found out before anything is
charged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from secure_fl.data import Schema
from secure_fl.data.datasets import BankData
from secure_fl.errors import PrivacyError
from secure_fl.privacy.accounts import Lifetime, open_accounts
from secure_fl.privacy.ledger import Ledger
from secure_fl.privacy.rows import STATISTICS_EVENT, RowNoise, RowPrivacy, row_report
from secure_fl.privacy.spent import Privacy as Spent
from secure_fl.privacy.sums import SumPrivacy
from secure_fl.secagg.budget import NoisePlan
from secure_fl.settings import Privacy, Steps


@dataclass(frozen=True)
class FederationPrivacy:
    """The privacy of a run, whichever mechanism protects it, or none."""

    settings: Privacy
    rows: Mapping[str, RowPrivacy]
    """By bank, under DP-SGD."""
    sums: SumPrivacy | None
    source: Schema

    @classmethod
    def open(
        cls,
        settings: Privacy,
        noise: NoisePlan | None,
        banks: Sequence[BankData],
        folder: Path | None,
        resume: bool,
        lifetime: Lifetime | None = None,
    ) -> FederationPrivacy:
        """Opens every bank's ledger, in its own folder inside of `folder`; None: in memory only.

        `lifetime`: where releases are counted for life; None: nowhere, since nobody is to see them. Raises
        `ConfigurationError`, or `PrivacyError` for a ledger that should be there and is not; nothing is charged.
        """
        source = banks[0].train.schema
        if noise is not None:
            names = tuple(bank.name for bank in banks)
            accounts = open_accounts(settings, banks, lifetime, "bank")
            return cls(settings, {}, SumPrivacy.of_federation(settings, names, noise, folder, resume, accounts), source)
        rows = _open_rows(settings, banks, folder, resume, lifetime) if settings.private_rows else {}
        return cls(settings, rows, None, source)

    def charge(self, round_: int, model_digest: bytes) -> None:
        """Enter a round of noisy sums. Under DP-SGD the banks do so themselves, before they train."""
        if self.sums is not None:
            self.sums.charge(round_, model_digest)

    @property
    def ledgers(self) -> tuple[Ledger, ...]:
        return self.sums.ledgers if self.sums is not None else tuple(rows.ledger for rows in self.rows.values())

    @property
    def epsilon(self) -> float | None:
        """Spent so far, by the bank that has spent most; None without differential privacy."""
        return max((ledger.epsilon for ledger in self.ledgers), default=None)

    def close(self) -> None:
        """Nothing is to be repeated any more: forget the keys of the noise."""
        for ledger in self.ledgers:
            ledger.close()

    def require_rounds(self, finished: int) -> None:
        """Refuse to go on where a round that was finished is missing in a bank's ledger. Raises `PrivacyError`."""
        for ledger in self.ledgers:
            entered = {entry.release for entry in ledger.entries}
            if not {f"round {number}" for number in range(1, finished + 1)} <= entered:
                raise PrivacyError(
                    f"the ledger of {ledger.bank} lacks a round that was finished; put its newest copy back, since "
                    "what it spent is not known without it"
                )

    def report(self, scheme: str) -> Spent | None:
        """What was spent; None without differential privacy."""
        if self.sums is not None:
            return self.sums.report(scheme)
        return row_report(self.settings, tuple(self.rows.values()), self.source) if self.rows else None


def _open_rows(
    settings: Privacy, banks: Sequence[BankData], folder: Path | None, resume: bool, lifetime: Lifetime | None
) -> dict[str, RowPrivacy]:
    """Every bank is checked before any ledger is opened."""
    steps = settings.only(Steps)
    planned = {bank.name: RowNoise.of_rows(settings, steps, len(bank.train)) for bank in banks}
    accounts = open_accounts(settings, banks, lifetime, "row")
    if not resume:
        for name, account in accounts.items():
            account.require_room([STATISTICS_EVENT, *[planned[name].event] * settings.rounds])
    return {
        bank.name: RowPrivacy.of_bank(
            settings,
            steps,
            bank.name,
            len(bank.train),
            None if folder is None else folder / bank.name,
            resume,
            accounts.get(bank.name),
        )
        for bank in banks
    }
