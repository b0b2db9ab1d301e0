"""From an experiment's dataset to banks that hold their own transactions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secure_fl.data import (
    FederationKey,
    RawFeatures,
    Simulation,
    Transactions,
    extract,
    load_table,
    require_trainable,
    simulate,
    split_among_banks,
    time_cut,
    ulb,
)
from secure_fl.errors import ConfigurationError
from secure_fl.experiment import BUILT_IN, Experiment


@dataclass(frozen=True, repr=False)
class BankData:
    """One bank's transactions, before and after the cut in time. Never leaves the bank."""

    name: str
    train: RawFeatures
    test: RawFeatures

    def __repr__(self) -> str:
        return f"BankData({self.name!r}, {len(self.train)} + {len(self.test)} rows)"


@dataclass(frozen=True)
class Dataset:
    """The banks' data, the key that made their pseudonyms, and where it all came from."""

    banks: tuple[BankData, ...]
    key: FederationKey
    key_check: str | None
    """Check value of the key, where it is a secret one."""
    source: str

    def summary(self) -> dict[str, Any]:
        """Counts for the report: of this sandbox's own knowledge, no bank would publish its own."""
        return {
            "source": self.source,
            "rows": sum(len(bank.train) + len(bank.test) for bank in self.banks),
            "frauds": sum(int(bank.train.fraud.sum() + bank.test.fraud.sum()) for bank in self.banks),
            "banks": {
                bank.name: {
                    "train_rows": len(bank.train),
                    "train_frauds": int(bank.train.fraud.sum()),
                    "test_rows": len(bank.test),
                    "test_frauds": int(bank.test.fraud.sum()),
                }
                for bank in self.banks
            },
        }


def open_dataset(experiment: Experiment) -> Dataset:
    """Load or simulate, deal to the banks, cut in time. Raises `DataError`, `FetchError`, `ConfigurationError`."""
    transactions, key, source = _open(experiment)
    transactions = transactions.sorted_by_time()
    cut = time_cut(transactions, experiment.test_fraction)
    parts = split_among_banks(
        transactions, experiment.banks, experiment.split, alpha=experiment.alpha, seed=experiment.seed
    )
    banks = []
    for name, part in zip(experiment.bank_names, parts, strict=True):
        require_trainable(name, part.before(cut))
        features = extract(part, key)  # the whole table at once, so that test rows see their past
        banks.append(BankData(name, features.before(cut), features.since(cut)))
    secret = experiment.dataset not in BUILT_IN and bool(transactions.schema.texts)
    return Dataset(tuple(banks), key, key.check_value() if secret else None, source)


def _open(experiment: Experiment) -> tuple[Transactions, FederationKey, str]:
    if experiment.dataset == "simulated":
        simulation = Simulation(
            transactions=experiment.transactions, fraud_share=experiment.fraud_share, seed=experiment.seed
        )
        # Simulated identifiers are no secret: a key from the seed makes the run repeat on every machine.
        return simulate(simulation), FederationKey.for_simulation(experiment.seed), _SIMULATED
    if experiment.dataset == "ulb":
        return ulb.load(), FederationKey.for_simulation(experiment.seed), ulb.CITATION  # has no identifiers
    path = Path(experiment.dataset)
    table = load_table(
        path,
        label=experiment.label,
        time=experiment.time,
        amount=experiment.amount,
        identifiers=experiment.identifiers,
        categorical=experiment.categorical,
        numeric=experiment.numeric,
    )
    if not table.schema.texts:
        return table, FederationKey.generate(), path.name  # nothing to pseudonymize
    key = FederationKey.load_or_create()
    if experiment.key_check not in (None, key.check_value()):
        raise ConfigurationError(
            "the federation key is not the one that the experiment was run with; set SECURE_FL_KEY to that key's file"
        )
    return table, key, path.name


_SIMULATED = (
    "Simulated after Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud "
    "Detection - Practical Handbook. Universite Libre de Bruxelles, 2022, chapter 3."
)
