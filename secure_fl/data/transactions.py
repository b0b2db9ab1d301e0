"""A table of card transactions in memory, and the one cut in time that separates training from testing.

Rules:
- Rows are raw and belong to one bank. They are never printed: `repr` shows counts only, errors name columns and
  rows but no value.
- Training and test rows are separated by ONE point in time that holds for all banks, never at random: a model
  that is tested on payments older than its training data looks better than it is (Le Borgne, Siblini, Lebichot,
  Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection", 2022, chapter 5).
- A table without a time column is taken to be in order of time: `when` then holds the number of the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError, DataError

MAX_PATTERN = 127
"""Largest number of a fraud pattern (int8)."""


TimeUnit = Literal["seconds", "minutes", "hours", "days", "months"]
UNITS: dict[TimeUnit, float] = {
    "seconds": 1.0,
    "minutes": 60.0,
    "hours": 3_600.0,
    "days": 86_400.0,
    "months": 30 * 86_400.0,
}
"""Seconds in each unit; a month has 30 days."""


@dataclass(frozen=True)
class Schema:
    """Which column means what. Raises ConfigurationError if a column is declared twice or has no name."""

    label: str
    """Column that is 1 for fraud and 0 otherwise."""
    time: str | None = None
    """Column with the time in seconds."""
    amount: str | None = None
    """Column with the amount, in any currency."""
    numeric: tuple[str, ...] = ()
    """Further columns that hold numbers."""
    categorical: tuple[str, ...] = ()
    """Text columns with few different values, such as a merchant category."""
    identifiers: tuple[str, ...] = ()
    """Text columns with many different, sensitive values; the customer first, then terminal, merchant ..."""
    calendar: bool = False
    """Whether time counts from a midnight, over weeks, so that the day of the week carries meaning."""
    time_unit: TimeUnit = "seconds"
    """Of a time that is a number in the file."""
    time_format: str | None = None
    """How the file writes the time, as strptime has it; None: a number or an ISO 8601 timestamp."""
    positive_label: str | None = None
    """What stands for fraud in the file; None: 1 or true."""
    impute: bool = False
    """Whether further numeric columns may have gaps, NaN in `Transactions.numeric`; features have their mean there."""
    plain: bool = False
    """Whether the numeric columns are the features, as many as there are; there are no other columns then."""

    def __post_init__(self) -> None:
        names = [self.label, *self.numbers, *self.texts]
        if not all(names):
            raise ConfigurationError("a declared column has an empty name; give every column the name in the header")
        if len({*names}) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigurationError(f"column {quoted(twice)} is declared twice; give each column one meaning")
        if self.plain and (self.time or self.amount or self.texts):
            raise ConfigurationError("a plain table has numeric columns only; leave out plain, or the other columns")

    @property
    def numbers(self) -> tuple[str, ...]:
        """Every numeric column: time, amount, then the others."""
        return tuple(name for name in (self.time, self.amount) if name is not None) + self.numeric

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text column: categorical ones, then identifiers."""
        return self.categorical + self.identifiers

    def to_dict(self) -> dict[str, Any]:
        """The schema as plain JSON values."""
        return {
            "label": self.label,
            "time": self.time,
            "amount": self.amount,
            "numeric": list(self.numeric),
            "categorical": list(self.categorical),
            "identifiers": list(self.identifiers),
            "calendar": self.calendar,
            **{name: getattr(self, name) for name, usual in _READING.items() if getattr(self, name) != usual},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Schema:
        """Inverse of `to_dict`. Raises DataError if the document is no schema."""
        lists = ("numeric", "categorical", "identifiers")
        reading = {**_READING, **{name: value for name, value in document.items() if name in _READING}}
        if (
            set(document) - set(_READING) != {"label", "time", "amount", "calendar", *lists}
            or reading["time_unit"] not in get_args(TimeUnit)
            or not all(isinstance(reading[name], str | None) for name in ("time_format", "positive_label"))
            or not all(isinstance(reading[name], bool) for name in ("impute", "plain"))
            or not isinstance(document["label"], str)
            or not all(isinstance(document[name], str | None) for name in ("time", "amount"))
            or not all(isinstance(document[name], list | tuple) for name in lists)
            or not all(isinstance(column, str) for name in lists for column in document[name])
            or not isinstance(document["calendar"], bool)
        ):
            raise DataError("the description of the columns is malformed; use a model file that secure-fl wrote")
        return cls(**{**document, **{name: tuple(document[name]) for name in lists}})


_READING: dict[str, Any] = {
    "time_unit": "seconds",
    "time_format": None,
    "positive_label": None,
    "impute": False,
    "plain": False,
}
"""How a table is read, where it is the usual way; left out of documents then, which older ones did not have."""


@dataclass(frozen=True, repr=False, eq=False)
class Transactions:
    """Raw rows of one table, column by column; n rows.

    Raises DataError if columns are missing or differ in length, if a number is not finite, or if `pattern` and
    `fraud` contradict each other.
    """

    schema: Schema
    numeric: Mapping[str, NDArray[np.float64]]
    """float64 [n] per numeric column, time (seconds) and amount included; NaN for a gap where the schema allows it."""
    text: Mapping[str, NDArray[np.object_]]
    """str objects [n] per categorical or identifier column; a missing text is ""."""
    fraud: NDArray[np.bool_]
    """bool [n]; all False where the file had no label."""
    pattern: NDArray[np.int8]
    """int8 [n]; 0 = honest, 1.. = fraud pattern; 1 for every fraud where the source knows no patterns."""
    when: NDArray[np.float64]
    """float64 [n]; the time in seconds, or the number of the row where there is no time column."""
    labelled: bool = True
    """False if the rows came without a label, to be scored."""

    def __post_init__(self) -> None:
        if set(self.numeric) != set(self.schema.numbers) or set(self.text) != set(self.schema.texts):
            raise DataError("the columns differ from the schema; pass exactly the columns that the schema declares")
        columns: list[NDArray[Any]] = [*self.numeric.values(), *self.text.values(), self.pattern, self.when]
        if self.fraud.ndim != 1 or any(column.shape != self.fraud.shape for column in columns):
            raise DataError("the columns differ in length; give every row every column")
        for name, numbers in (*self.numeric.items(), ("when", self.when)):
            gaps = np.isnan(numbers) & (self.schema.impute and name in self.schema.numeric)
            bad = np.flatnonzero(~np.isfinite(numbers) & ~gaps)
            if bad.size:
                raise DataError(
                    f"column {quoted([name])} is not a finite number in row {bad[0] + 1}; correct or remove that row"
                )
        if not np.array_equal(self.pattern > 0, self.fraud) or bool(np.any(self.pattern < 0)):
            raise DataError("pattern and label contradict each other; use 0 for honest rows, 1 or more for fraud")

    def __len__(self) -> int:
        return int(self.fraud.shape[0])

    def __repr__(self) -> str:
        labels = f"{int(self.fraud.sum())} fraud" if self.labelled else "no labels"
        columns = f"{len(self.numeric)} numeric and {len(self.text)} text columns"
        return f"Transactions({len(self)} rows, {labels}, {columns})"

    def take(self, rows: NDArray[Any] | slice) -> Transactions:
        """The rows that an index array, a bool mask [n] or a slice selects, in that order."""
        return Transactions(
            schema=self.schema,
            numeric={name: column[rows] for name, column in self.numeric.items()},
            text={name: column[rows] for name, column in self.text.items()},
            fraud=self.fraud[rows],
            pattern=self.pattern[rows],
            when=self.when[rows],
            labelled=self.labelled,
        )

    def sorted_by_time(self) -> Transactions:
        """The same rows in order of time; rows of the same second keep their order."""
        if bool(np.all(self.when[1:] >= self.when[:-1])):
            return self
        return self.take(np.argsort(self.when, kind="stable"))

    def before(self, cut: float) -> Transactions:
        """The rows strictly before the cut: the training part."""
        return self.take(self.when < cut)

    def since(self, cut: float) -> Transactions:
        """The rows at or after the cut: the test part."""
        return self.take(self.when >= cut)


def quoted(names: Sequence[str]) -> str:
    """Names of columns for an error message, on one line."""
    return ", ".join('"' + "".join(c if c.isprintable() else "?" for c in name) + '"' for name in names)


def plain_patterns(fraud: NDArray[np.bool_]) -> NDArray[np.int8]:
    """int8 [n]: pattern 1 for every fraud, for sources that know no patterns."""
    return fraud.astype(np.int8)


def time_cut(everything: Transactions, test_fraction: float) -> float:
    """The point in time after which about `test_fraction` of all banks' rows lie.

    Call it once on the rows of all banks, then cut every bank with `before` and `since`. Raises
    ConfigurationError unless 0 < test_fraction < 1, DataError if one side would be empty.
    """
    if not 0.0 < test_fraction < 1.0:
        raise ConfigurationError("the test fraction is not between 0 and 1; choose for instance 0.3")
    if len(everything) < 2:
        raise DataError("there are fewer than 2 transactions to cut in time; provide more rows")
    times = np.sort(everything.when)
    position = min(max(round(len(times) * (1.0 - test_fraction)), 1), len(times) - 1)
    cut = float(times[position])
    if cut == times[0]:
        raise DataError("no transaction is older than the cut in time; choose a smaller test fraction or more rows")
    return cut


def concatenate(parts: Sequence[Transactions]) -> Transactions:
    """All rows of the parts, one part after the other. Raises DataError if there is none, or schemas differ."""
    if not parts:
        raise DataError("there is no table to join; pass at least one")
    first = parts[0]
    if any(part.schema != first.schema for part in parts):
        raise DataError("tables with different columns cannot be joined; declare the same columns for all of them")

    return Transactions(
        schema=first.schema,
        numeric={name: np.concatenate([part.numeric[name] for part in parts]) for name in first.numeric},
        text={name: np.concatenate([part.text[name] for part in parts]) for name in first.text},
        fraud=np.concatenate([part.fraud for part in parts]),
        pattern=np.concatenate([part.pattern for part in parts]),
        when=np.concatenate([part.when for part in parts]),
        labelled=all(part.labelled for part in parts),
    )


def codes_of(values: NDArray[np.object_]) -> tuple[list[str], NDArray[np.int64]]:
    """The different values in order of first appearance, and int64 [n]: each row's place in that list."""
    seen: dict[str, int] = {}
    codes = np.fromiter((seen.setdefault(value, len(seen)) for value in values), dtype=np.int64, count=len(values))
    return list(seen), codes
