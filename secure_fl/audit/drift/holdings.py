"""What each bank compares: its transactions of OLD and of NEW, with the model's features and scores.

OLD and NEW are one file each, dealt to the banks as the run deals rows, or one folder each with a file for every bank
(bank-1.csv, bank-2.parquet). All of OLD is earlier than all of NEW.

Features that look at the past need one: rows of the first 30 days of OLD are only that, and those of NEW's first 30
days too where more than a day lies between OLD and NEW. Otherwise the missing past would look like drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import (
    WINDOWS_DAYS,
    RawFeatures,
    Schema,
    Transactions,
    concatenate,
    encode,
    extract,
    load_table_as,
    split_among_banks,
)
from secure_fl.data.behaviour import DAY
from secure_fl.errors import DataError
from secure_fl.report.scores import RunModel
from secure_fl.settings import Experiment

PAST_DAYS = max(WINDOWS_DAYS)
"""Days that features look back at where no fraud is known."""
_FILES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")


@dataclass(frozen=True, repr=False, eq=False)
class Sample:
    """Rows of one bank in one period, in order of time; n rows."""

    raw: RawFeatures
    scores: NDArray[np.float64]
    """Probabilities of fraud, [n]."""

    def __len__(self) -> int:
        return len(self.raw)


@dataclass(frozen=True, repr=False, eq=False)
class Holding:
    """One bank with its rows. Never leaves the bank."""

    name: str
    old: Sample
    new: Sample

    @property
    def samples(self) -> tuple[Sample, Sample]:
        return self.old, self.new

    def __repr__(self) -> str:
        return f"Holding({self.name!r}, {len(self.old)} and {len(self.new)} rows)"


def read_holdings(experiment: Experiment, model: RunModel, old: Path, new: Path) -> tuple[Holding, ...]:
    """Each bank's rows. Raises `DataError` where files do not fit the model or each other."""
    source, names = model.schema.source, experiment.bank_names
    folders = [_files_of_banks(path, names) for path in (old, new)]
    if any(folders) and not all(folders):
        raise DataError(f"only one of {old} and {new} is a folder with a file for each bank; give two of them, or none")
    if all(folders):
        pairs = [_read(source, *files) for files in zip(*folders, strict=True)]
    else:
        pairs = _dealt(experiment, *_read(source, old, new))
    return tuple(_holding(name, *pair, model) for name, pair in zip(names, pairs, strict=True))


def _files_of_banks(folder: Path, names: Sequence[str]) -> list[Path]:
    """A file for each bank; none where the folder has none for any, and so is a table in parts, or no folder."""
    found = {name: [folder / f"{name}{end}" for end in _FILES if (folder / f"{name}{end}").exists()] for name in names}
    if not any(found.values()):
        return []
    for name, files in found.items():
        if len(files) != 1:
            raise DataError(f"{folder} has {len(files)} files of {name}; give each bank one, such as {name}.csv")
    return [files[0] for files in found.values()]


def _read(source: Schema, old: Path, new: Path) -> tuple[Transactions, Transactions]:
    """Both, each in order of time. Raises `DataError`, also where they are not one after the other."""
    earlier, later = (load_table_as(path, source, labelled=False).sorted_by_time() for path in (old, new))
    if source.time is None:
        return earlier, replace(later, when=later.when + len(earlier))
    if later.when[0] <= earlier.when[-1]:
        raise DataError(
            f"{new} does not begin after the end of {old}; name the earlier transactions first, and cut them at one "
            "point in time"
        )
    return earlier, later


def _dealt(experiment: Experiment, old: Transactions, new: Transactions) -> list[tuple[Transactions, Transactions]]:
    """One table of each period to the banks, both at once: a customer stays at one bank, unless split by pattern."""
    names = experiment.dealt_names
    parts = split_among_banks(
        concatenate((old, new)), len(names), experiment.split, alpha=experiment.alpha, seed=experiment.seed
    )
    cut = float(new.when[0])
    return [
        (part.before(cut), part.since(cut))
        for name, part in zip(names, parts, strict=True)
        if name in experiment.bank_names
    ]


def _holding(name: str, old: Transactions, new: Transactions, model: RunModel) -> Holding:
    raw = extract(concatenate((old, new)), model.intake.key())
    features = encode(raw, model.schema).features
    with np.errstate(over="ignore"):
        scores = model.probabilities(features)
    if not np.isfinite(scores).all():
        raise DataError(f"the model's scores of {name}'s rows are no numbers; look at the model first")
    compared = np.ones(len(raw), dtype=np.bool_)
    if model.intake.needs_history:
        compared[: len(old)] = _with_past(old)
        if len(old) and len(new) and new.when[0] - old.when[-1] > DAY:
            compared[len(old) :] = _with_past(new)
    later = np.arange(len(raw)) >= len(old)
    return Holding(name, *(Sample(raw.take(rows), scores[rows]) for rows in (compared & ~later, compared & later)))


def _with_past(table: Transactions) -> NDArray[np.bool_]:
    """Whether the table covers a row's past."""
    whole: NDArray[np.bool_] = table.when >= table.when[:1] + PAST_DAYS * DAY
    return whole
