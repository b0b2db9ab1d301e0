"""From an experiment's dataset to banks that hold their own transactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import (
    FederationKey,
    RawFeatures,
    Transactions,
    banks_of_rows,
    concatenate,
    extract,
    require_fraud,
    require_trainable,
    time_cut,
)
from secure_fl.data.given import Given
from secure_fl.data.origin import Opened, Origin, key_of_user, only, open_table
from secure_fl.data.synthetic.mixing import REAL, Mix, mixed_features, with_synthetic
from secure_fl.data.synthetic.patterns import Proposal
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.settings import BUILT_IN, Experiment, Holdings


@dataclass(frozen=True, repr=False)
class BankData:
    """One bank's transactions, before and after the cut in time. Never leaves the bank."""

    name: str
    train: RawFeatures
    test: RawFeatures
    provenance: NDArray[np.int64] | None = None
    """Of each training row: -1 for a real one, else the place of its pattern in `SyntheticFraud.patterns`."""
    table: Transactions | None = None
    """The real training rows as they came, under differential privacy: its ledgers recognise them."""
    test_table: Transactions | None = None
    """The test rows as they came, in the order of `test`, where `table` is kept: audits look for groups in them."""

    def __repr__(self) -> str:
        return f"BankData({self.name!r}, {len(self.train)} + {len(self.test)} rows)"


@dataclass(frozen=True)
class SyntheticFraud:
    """What was added to the training rows, and who let it in."""

    review: str
    """"approved": a person approved every pattern; "unreviewed": not all of them."""
    share: float
    patterns: Mapping[str, str]
    """Digest -> where the pattern comes from."""
    log_head: str
    """Hash of the last line of the log of reviews, by which later changes of it can be told."""

    def summary(self, banks: tuple[BankData, ...]) -> dict[str, Any]:
        """For metrics and report: counts, and no row."""
        rows = {
            bank.name: np.bincount(bank.provenance[bank.provenance >= 0], minlength=len(self.patterns)).tolist()
            for bank in banks
            if bank.provenance is not None
        }
        return {
            "review": self.review,
            "share": self.share,
            "log_head": self.log_head,
            "rows": {bank: sum(counts) for bank, counts in rows.items()},
            "test_rows": 0,
            "patterns": [
                {"digest": digest, "source": source, "rows": sum(counts[place] for counts in rows.values())}
                for place, (digest, source) in enumerate(self.patterns.items())
            ],
        }


@dataclass(frozen=True)
class Dataset:
    """The banks' data, the key that made their pseudonyms, and where it all came from."""

    banks: tuple[BankData, ...]
    key: FederationKey
    key_check: str | None
    """Check value of the key, where it is a secret one."""
    origin: Origin
    synthetic: SyntheticFraud | None = None
    common_test: RawFeatures | None = None
    """Test rows that are no bank's own; the banks have none then."""

    @property
    def source(self) -> str:
        """Whose transactions they are."""
        return self.origin.source

    @property
    def tests(self) -> tuple[RawFeatures, ...]:
        """The test rows, which only the sandbox pools."""
        return tuple(bank.test for bank in self.banks) if self.common_test is None else (self.common_test,)

    @property
    def test_rows(self) -> dict[str, int]:
        """How many of them are each bank's own, in their order; of no bank where all have one test."""
        return {bank.name: len(bank.test) for bank in self.banks} if self.common_test is None else {}

    def resolved(self, experiment: Experiment) -> Experiment:
        """The settings that lead to the very same rows again."""
        return experiment.resolved(self.key_check, tuple(self.synthetic.patterns) if self.synthetic else ())

    @property
    def warnings(self) -> list[str]:
        """What a person should look at before believing a result."""
        lacking = [bank.name for bank in self.banks if not bank.train.fraud.any()]
        notes = [f"{', '.join(lacking)}: no fraud among the training rows, so that what it learns alone says little"]
        return [*self.origin.warnings, *(notes if lacking else [])]

    def summary(self) -> dict[str, Any]:
        """Counts for the report: of this sandbox's own knowledge, no bank would publish its own."""
        return {
            "source": self.source,
            "columns": {"used": dict(self.origin.used), "ignored": list(self.origin.ignored)},
            "warnings": self.warnings,
            "rows": sum(map(len, (*(bank.train for bank in self.banks), *self.tests))),
            "frauds": sum(int(part.fraud.sum()) for part in (*(bank.train for bank in self.banks), *self.tests)),
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


def open_dataset(settings: Holdings, tables: bool = False) -> Dataset:
    """Load or simulate, deal to the banks, cut in time; `tables`: banks also keep their rows as they came.

    Raises `DataError`, `FetchError`, `ConfigurationError`.
    """
    opened, owner = _dealt(settings)
    transactions, key = opened.transactions, opened.key
    cut = time_cut(transactions, settings.test_fraction)
    proposals, synthetic = _synthetic(settings)
    banks = []
    for number, name in enumerate(settings.bank_names, start=1):
        part = transactions.take(np.flatnonzero(owner == settings.dealt_names.index(name))).sorted_by_time()
        require_trainable(name, part.before(cut))
        if proposals:
            banks.append(_mixed(settings, number, name, part, cut, proposals, key))
        else:
            features = extract(part, key)  # the whole table at once, so that test rows see their past
            banks.append(BankData(name, features.before(cut), features.since(cut)))
        if tables:
            banks[-1] = replace(banks[-1], table=part.before(cut), test_table=part.since(cut))
    require_fraud([bank.train.fraud for bank in banks])
    secret = settings.dataset not in BUILT_IN and bool(transactions.schema.texts)
    return Dataset(tuple(banks), key, key.check_value() if secret else None, opened.origin, synthetic)


def rows_of_banks(settings: Holdings) -> dict[str, int]:
    """How many rows of a pooled table each bank that takes part holds. Raises as `open_dataset`."""
    _, owner = _dealt(settings)
    counts = np.bincount(owner, minlength=len(settings.dealt_names)).tolist()
    return {
        name: count for name, count in zip(settings.dealt_names, counts, strict=True) if name in settings.bank_names
    }


def _dealt(settings: Holdings) -> tuple[Opened, NDArray[np.int64]]:
    """The rows of all banks that take part, and the place of each row's bank among `dealt_names`.

    Rows are dealt to those that have left as well, so that the others hold what they held; then theirs are forgotten,
    before anything else is computed.
    """
    opened = open_table(settings)
    order = np.argsort(opened.transactions.when, kind="stable")
    owner = np.empty_like(order)
    owner[order] = banks_of_rows(
        opened.transactions.sorted_by_time(),
        len(settings.dealt_names),
        settings.split,
        alpha=settings.alpha,
        seed=settings.seed,
    )
    if not settings.without:
        return opened, owner
    left = [settings.dealt_names.index(name) for name in settings.without]
    rows = np.flatnonzero(~np.isin(owner, left))
    return only(opened, settings, rows), owner[rows]


def open_own(settings: Holdings, name: str, tables: bool = False) -> tuple[BankData, FederationKey, Origin]:
    """One bank's own file, cut in its own time, the key of its pseudonyms, and what its columns became.

    `tables`: it keeps its training rows as they came. Raises as `open_dataset`.
    """
    opened = open_table(settings)
    table, key = opened.transactions.sorted_by_time(), opened.key
    cut = time_cut(table, settings.test_fraction)
    require_trainable(name, table.before(cut))
    features = extract(table, key)
    kept = table.before(cut) if tables else None
    return BankData(name, features.before(cut), features.since(cut), table=kept), key, opened.origin


def given_dataset(settings: Holdings, given: Given, tables: bool = False) -> Dataset:
    """The banks' data where Python handed it over; otherwise as `open_dataset`."""
    schema = given.schema
    key = key_of_user(settings) if schema.texts else FederationKey.generate()
    shared = None if schema.time is None else time_cut(concatenate([*given.banks.values()]), settings.test_fraction)
    banks = []
    for name, table in given.banks.items():
        if given.test is None:
            cut = _cut_of(name, table, settings.test_fraction) if shared is None else shared
            features, rows, later = extract(table, key), table.before(cut), table.since(cut)
            train, test = features.before(cut), features.since(cut)
        else:
            own = given.test[name] if isinstance(given.test, Mapping) else table.take(slice(0, 0))
            features, rows, later = extract(concatenate([table, own]), key), table, own
            train, test = features.take(slice(0, len(table))), features.take(slice(len(table), None))
        if len(train) == 0:
            raise DataError(f"{name} has no row to train on; give it more rows, or a smaller test fraction")
        kept = (rows, later) if tables else (None, None)
        banks.append(BankData(name, train, test, table=kept[0], test_table=kept[1]))
    require_fraud([bank.train.fraud for bank in banks])
    common = extract(given.test, key) if isinstance(given.test, Transactions) else None
    check = key.check_value() if schema.texts else None
    origin = Origin("Rows that were handed over in Python.", given.used, given.ignored, given.warnings)
    return Dataset(tuple(banks), key, check, origin, common_test=common)


def _cut_of(name: str, table: Transactions, test_fraction: float) -> float:
    try:
        return time_cut(table, test_fraction)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


def _synthetic(settings: Holdings) -> tuple[tuple[Proposal, ...], SyntheticFraud | None]:
    if settings.synthetic == "none":
        return (), None
    holdings = PatternStore.of_user().read()
    unreviewed = settings.synthetic == "unreviewed"
    proposals = holdings.usable(unreviewed=unreviewed, digests=settings.synthetic_patterns)
    patterns = {proposal.digest: holdings.find(proposal.digest).label for proposal in proposals}
    return proposals, SyntheticFraud(settings.synthetic, settings.synthetic_share, patterns, holdings.head)


def _mixed(
    settings: Holdings,
    number: int,
    name: str,
    table: Transactions,
    cut: float,
    proposals: tuple[Proposal, ...],
    key: FederationKey,
) -> BankData:
    """A bank whose training rows, and only those, have synthetic fraud among them."""
    if not table.before(cut).fraud.any():  # whatever the share, it is one of none
        features = extract(table, key)
        train = features.before(cut)
        return BankData(name, train, features.since(cut), np.full(len(train), REAL, dtype=np.int64))
    rng = np.random.default_rng([settings.seed, number, *b"synthetic"])
    try:
        mixed = with_synthetic(table.before(cut), proposals, Mix(share=settings.synthetic_share), rng)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None
    train, test = mixed_features(table, cut, mixed, key)
    return BankData(name, train, test, mixed.provenance)
