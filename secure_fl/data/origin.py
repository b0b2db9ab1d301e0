"""One table of transactions, opened as the settings say: simulated, ULB, or a file, with the key of its pseudonyms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import ulb
from secure_fl.data.pseudonyms import FederationKey
from secure_fl.data.simulator import Simulation, simulate
from secure_fl.data.tables import Declaration, read_table, uses
from secure_fl.data.transactions import Transactions
from secure_fl.errors import ConfigurationError
from secure_fl.settings import BUILT_IN, IN_MEMORY, Data


@dataclass(frozen=True)
class Origin:
    """Where the transactions come from, and what became of each column there."""

    source: str
    used: Mapping[str, str]
    """Column -> what it is used as."""
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What a person should look at before believing a result."""


@dataclass(frozen=True, repr=False)
class Opened:
    """A table, in the order of its file."""

    transactions: Transactions
    key: FederationKey
    origin: Origin


def open_table(settings: Data) -> Opened:
    """Load or simulate. Raises `DataError`, `FetchError`, `ConfigurationError`."""
    if settings.dataset == "simulated":
        simulation = Simulation(
            transactions=settings.transactions, fraud_share=settings.fraud_share, seed=settings.seed
        )
        # Simulated identifiers are no secret: a key from the seed makes the run repeat on every machine.
        table = simulate(simulation)
        return Opened(table, FederationKey.for_simulation(settings.seed), Origin(_SIMULATED, uses(table.schema)))
    if settings.dataset == "ulb":
        table = ulb.load()  # has no identifiers
        return Opened(table, FederationKey.for_simulation(settings.seed), Origin(ulb.CITATION, uses(table.schema)))
    if settings.dataset == IN_MEMORY:
        raise ConfigurationError(
            "the rows of this experiment were handed over in Python; hand them over again (run_federation(..., "
            "banks=...)), or name a file with --dataset"
        )
    return _read(settings)


def only(opened: Opened, settings: Data, rows: NDArray[np.int64]) -> Opened:
    """Of an opened table these rows, as if there had never been others.

    What the columns of a file are is found out from its rows, so that a file is read again.
    """
    if settings.dataset in BUILT_IN:
        return replace(opened, transactions=opened.transactions.take(rows))
    return _read(settings, rows)


def _read(settings: Data, rows: NDArray[np.int64] | None = None) -> Opened:
    path = Path(settings.dataset)
    read = read_table(path, Declaration(**settings.declaration()), rows)
    table, origin = read.transactions, Origin(path.name, read.used, read.ignored, read.warnings)
    if not table.schema.texts:
        return Opened(table, FederationKey.generate(), origin)  # nothing to pseudonymize
    return Opened(table, key_of_user(settings), origin)


def key_of_user(settings: Data) -> FederationKey:
    """The key of this machine's user. Raises `ConfigurationError` where the settings were run with another one."""
    key = FederationKey.load_or_create()
    if settings.key_check not in (None, key.check_value()):
        raise ConfigurationError(
            "the federation key is not the one that the experiment was run with; set SECURE_FL_KEY to that key's file"
        )
    return key


_SIMULATED = (
    "Simulated after Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud "
    "Detection - Practical Handbook. Universite Libre de Bruxelles, 2022, chapter 3."
)
