"""Rows that Python hands over, bank by bank: data frames, arrays and tensors -> Transactions.

    banks={"north": (X, y), "south": (X, y), "west": (X, y)}, test=(X, y)

X is a data frame (pandas, polars, pyarrow: whatever exports Arrow's stream), a mapping of columns, or an array or
tensor [n, ...] of numbers; y holds 0 for honest rows and 1 for fraud, or classes 0 .. k - 1. A data frame may hold its
labels itself, in the column that the settings declare.

Rules: what reads files reads this too (`columns`), so a value that does not fit is named by its row and column, and
never shown; nor may columns be called like values, as those of a file that was read without a header are (0, 1, 2 ...
may be). All banks have the columns of the first, in any order. An index of pandas is no column, nor is
`fraud_pattern`, unless it is declared; texts of numbers are numbers. Rows and labels belong together by their place.
Where every column is a number and none is declared as time or amount, the table is *plain*: its columns are the
model's inputs, as many as there are. Otherwise they go the way of transactions (`features`): 128 features, with keyed
pseudonyms of texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from secure_fl.data.features import dimension
from secure_fl.data.handed import CLASS, LABEL, Handed, hand_over, require_alike
from secure_fl.data.plausibility import warnings_about
from secure_fl.data.tables import NO_NAME, Declaration, build, infer, uses
from secure_fl.data.transactions import Schema, Transactions, concatenate
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.settings import Data


@dataclass(frozen=True, repr=False)
class Given:
    """Rows of each bank, and for the test."""

    banks: Mapping[str, Transactions]
    test: Transactions | Mapping[str, Transactions] | None
    """One table for all banks, one for each, or none: then the latest rows of the banks are cut off."""
    row_shape: tuple[int, ...] | None
    """Of one row, where it is an array with more than one axis."""
    classes: int
    used: Mapping[str, str]
    """Column -> what it is used as."""
    ignored: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        """Of all tables."""
        return next(iter(self.banks.values())).schema

    @property
    def inputs(self) -> tuple[int, ...]:
        """Shape of a row of features."""
        return self.row_shape or (dimension(self.schema),)

    def __repr__(self) -> str:
        return f"Given({', '.join(f'{name}: {len(table)} rows' for name, table in self.banks.items())})"


def read_given(settings: Data, banks: Mapping[str, Any], test: Any = None) -> Given:
    """The rows of all banks, as `settings` declares their columns. Raises `DataError`, `ConfigurationError`."""
    if not isinstance(banks, Mapping) or not banks:
        raise ConfigurationError('banks hand over a mapping from names to rows, such as {"north": (X, y), ...}')
    names = tuple(map(str, banks))
    if len({*names}) < len(names):
        raise ConfigurationError(f"two banks are called {max(names, key=names.count)!r} as a text; name each once")
    handed = {str(name): hand_over(rows, f"bank {name}", settings) for name, rows in banks.items()}
    tests = {name: hand_over(rows, where, settings) for name, where, rows in _tests(test, tuple(handed))}
    every = [*handed.values(), *tests.values()]
    first = every[0]
    for other in every[1:]:
        require_alike(first, other)

    schema = infer(first.source, _declaration(settings, labels_beside=first.labels is not None))
    if not (schema.numbers or schema.texts):
        raise DataError("the rows have no column to learn from; give them at least one beside the labels")
    if not (schema.time or schema.amount or schema.texts):
        schema = replace(schema, plain=True)
    pattern = CLASS if first.labels is not None else None

    def built(table: Handed) -> Transactions:
        return build(table.source, schema, labelled=True, pattern=pattern).sorted_by_time()

    tables = {name: built(table) for name, table in handed.items()}
    used = {name: use for name, use in uses(schema).items() if name != LABEL}
    tested = {name: built(table) for name, table in tests.items()}
    return Given(
        banks=tables,
        test=None if test is None else tested.get("", tested),
        row_shape=first.row_shape,
        classes=1 + max(1, *(int(table.pattern.max(initial=0)) for table in (*tables.values(), *tested.values()))),
        used=used,
        ignored=tuple(name or NO_NAME for name in first.columns if name not in used),
        warnings=warnings_about(concatenate([*tables.values()])),
    )


def _declaration(settings: Data, *, labels_beside: bool) -> Declaration:
    if labels_beside and settings.label is not None:
        raise ConfigurationError(
            f"labels came beside the rows, and column {settings.label!r} is declared as label; leave out one of them"
        )
    if not labels_beside and settings.label is None:
        raise ConfigurationError("the rows have no labels; hand over (rows, labels), or declare their column as label")
    declared = settings.declaration()
    return Declaration(**{**declared, "label": LABEL, "pattern": CLASS}) if labels_beside else Declaration(**declared)


def _tests(test: Any, banks: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    """The bank ("" for all of them), what errors call the table, and the rows."""
    named = {str(name): rows for name, rows in test.items()} if isinstance(test, Mapping) else {}
    if {*named} & {*banks}:
        if {*named} != {*banks}:
            raise ConfigurationError("test rows are of some banks only; hand over one table for all, or one for each")
        yield from ((name, f"test of {name}", named[name]) for name in banks)
    elif test is not None:
        yield "", "test", test
