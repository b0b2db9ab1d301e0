"""The ledgers of one run: opened for every bank, and counted for life where there is a store of ledgers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from secure_fl.data.datasets import BankData
from secure_fl.privacy.ledger import LEDGER, Cost, Ledger
from secure_fl.privacy.lifetime import Account, LedgerStore, Unit
from secure_fl.settings import Privacy


@dataclass(frozen=True)
class Lifetime:
    """Where a run is counted for as long as its banks live."""

    store: LedgerStore
    run: str
    """A name that no other run has."""

    def account(self, settings: Privacy, bank: BankData, unit: Unit) -> Account:
        """Raises `PrivacyError` where the store cannot be relied on."""
        assert settings.delta is not None
        assert bank.table is not None, "the rows of a private run are known to its ledgers"
        rows = self.store.register(bank.table)
        return Account(self.run, bank.name, rows, unit, settings.delta, settings.lifetime_epsilon, self.store)


def open_accounts(
    settings: Privacy, banks: Sequence[BankData], lifetime: Lifetime | None, unit: Unit
) -> dict[str, Account]:
    """Every bank's account for life; none where nobody is to see what the run releases."""
    return {} if lifetime is None else {b.name: lifetime.account(settings, b, unit) for b in banks}


def open_ledger(
    settings: Privacy, bank: str, cost: Cost, folder: Path | None, resume: bool, account: Account | None
) -> Ledger:
    """A bank's ledger in a run: the one that it kept, where it goes on; a new one, where nothing was released yet."""
    assert settings.delta is not None
    unused = account is not None and folder is not None and not (folder / LEDGER).exists() and not account.releases
    if resume and folder is not None and not unused:
        return Ledger.restore(bank, settings.delta, settings.epsilon, cost, folder, account)
    return Ledger(bank, settings.delta, settings.epsilon, cost, folder, account=account)


def for_life(ledgers: Sequence[Ledger]) -> Mapping[str, Any]:
    """The part of a report that looks beyond the run."""
    accounts = [ledger.account for ledger in ledgers if ledger.account is not None]
    return {
        "lifetime_epsilon": {ledger.bank: ledger.lifetime_epsilon for ledger in ledgers if ledger.account is not None},
        "ledger": asdict(accounts[0].store.end) if accounts else None,
    }
