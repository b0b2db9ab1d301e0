"""Settings of the transactions: where they come from, and what their columns mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from secure_fl.errors import ConfigurationError
from secure_fl.settings.section import FilledIn, Repeatable

BUILT_IN = ("simulated", "ulb")
"""Datasets that need no file."""
IN_MEMORY = "in-memory"
"""The rows are handed over in Python, bank by bank."""


_OF_A_FILE = (
    *("label", "time", "amount", "numeric", "categorical", "identifiers"),
    *("time_unit", "time_format", "positive_label", "impute", "key_check"),
)


class Data(Repeatable):
    """Transactions."""

    dataset: str = "simulated"
    """simulated, ulb, or the path of a CSV or Parquet file; in-memory where Python hands over the rows."""
    transactions: Annotated[int, Field(ge=1_000, le=20_000_000)] = 200_000
    """Simulated: how many."""
    fraud_share: Annotated[float, Field(ge=0.001, le=0.2)] = 0.005
    """Simulated: the share of fraud."""
    label: str | None = None
    """File: the column that is 1 for fraud and 0 otherwise."""
    time: str | None = None
    """File: the column of the time; without it, rows are taken to be in order of time."""
    amount: str | None = None
    """File: the column of the amount."""
    numeric: tuple[str, ...] = ()
    """File: a further numeric column; where neither these nor categorical ones are named, they are inferred."""
    categorical: tuple[str, ...] = ()
    """File: a column of few different texts."""
    identifiers: tuple[str, ...] = ()
    """File: a column that names customers (first), then terminals, merchants ...; keyed pseudonyms take its place."""
    time_unit: Literal["seconds", "minutes", "hours", "days", "months"] = "seconds"
    """File: of a time that is a number; a month has 30 days."""
    time_format: str | None = None
    """File: how a time is written that is not ISO 8601, as strptime has it, such as "%d/%m/%Y %H:%M"."""
    positive_label: str | None = None
    """File: what stands for fraud in the label column, such as Yes; 1 or true where nothing is said."""
    impute: bool = False
    """File: fill gaps in further numeric columns with the mean of the training rows of all banks."""
    key_check: Annotated[str | None, FilledIn()] = None
    """File: check value of the federation key of the run that is to be repeated."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The latest share of all transactions, which is the test set."""

    @field_validator("dataset")
    @classmethod
    def _whole_path(cls, dataset: str) -> str:
        return dataset if dataset in (*BUILT_IN, IN_MEMORY) else str(Path(dataset).resolve())

    def declaration(self) -> dict[str, Any]:
        """What was said of the columns, and how to read them."""
        return {name: getattr(self, name) for name in _OF_A_FILE if name != "key_check"}

    def check_columns(self) -> None:
        """Raises `ConfigurationError` where columns are missing, or declared twice."""
        named = [name for name in _OF_A_FILE if getattr(self, name) != Data.model_fields[name].default]
        if self.dataset in BUILT_IN:
            if named:
                raise ConfigurationError(f"{self.dataset} has columns of its own; leave out {', '.join(named)}")
            return
        if not self.label and self.dataset != IN_MEMORY:
            raise ConfigurationError(
                f"the label column of {self.dataset!r} is not declared; add --label COLUMN, or use simulated or ulb"
            )
        single = [self.label, self.time, self.amount]
        declared = [n for n in (*single, *self.numeric, *self.categorical, *self.identifiers) if n is not None]
        twice = {name for name in declared if declared.count(name) > 1}
        if twice:
            raise ConfigurationError(f"column {min(twice)!r} is declared twice; give each column one meaning")
        if self.time is None and (self.time_unit != "seconds" or self.time_format is not None):
            raise ConfigurationError("a unit or format says nothing without a time; add --time COLUMN")
        if self.time_unit != "seconds" and self.time_format is not None:
            raise ConfigurationError("a time is a number or a text; give time_unit or time_format, not both")
