"""From raw transactions to 128 numbers per row, the same 128 in every bank.

The first M positions are numeric features (`describe` names them), standardized over all banks; the other 128 - M
are shared by the text columns through feature hashing (Weinberger, Dasgupta, Langford, Smola, Attenberg, "Feature
Hashing for Large Scale Multitask Learning", ICML 2009): the keyed pseudonym of a value picks one position and a
sign. Banks need no common dictionary of merchants, and the model holds no identifier.

The way from a bank's table to the model, in which test rows see their past and no training row sees the future:

    raw = extract(table, key)                                   # the bank's whole table, training and test rows
    total = sum of moments(raw.before(cut).numeric) over banks  # by a secure sum
    schema = FeatureSchema.create(table.schema, Standardization.from_moments(total), key)
    train, test = encode(raw.before(cut), schema), encode(raw.since(cut), schema)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.behaviour import DAY, WINDOWS_DAYS, behaviour
from secure_fl.data.pseudonyms import FederationKey, pseudonymize
from secure_fl.data.standardization import Standardization, standardize
from secure_fl.data.transactions import UNITS, Schema, Transactions, codes_of, concatenate
from secure_fl.errors import ConfigurationError, DataError

DIMENSION = 128
"""Number of features of transactions."""
MIN_HASHED_POSITIONS = 32
"""Fewer positions than this would make the values of text columns collide too often."""
WEEKDAY = "weekday"
"""What the features of the day of the week are called."""
VERSION = 1
_SIGN_BIT = np.uint64(1 << 63)
Number = TypeVar("Number", np.int64, np.float64)


def dimension(schema: Schema) -> int:
    """Number of features of a row: 128, or as many as a plain table has columns."""
    return len(schema.numeric) if schema.plain else DIMENSION


def describe(schema: Schema) -> tuple[str, ...]:
    """Names of the M numeric features, in order. Raises ConfigurationError if they do not fit into 128 positions."""
    if schema.plain:
        return schema.numeric
    names = [f"{schema.time}: {cycle} {wave}" for cycle in _cycles(schema) for wave in ("sin", "cos")]
    names += [f"{schema.amount}: log", f"{schema.amount}: linear"] if schema.amount is not None else []
    names += schema.numeric
    for identifier in schema.identifiers if schema.time is not None else ():
        names += [f"{identifier}: {part} {days} d" for part in _behaviour_parts(schema) for days in WINDOWS_DAYS]
    room = DIMENSION - len(names)
    if room < 0:
        raise ConfigurationError(
            f"{len(names)} numeric features do not fit into {DIMENSION} positions; declare fewer numeric columns"
        )
    if schema.texts and room < MIN_HASHED_POSITIONS:
        raise ConfigurationError(
            f"{len(names)} numeric features leave {room} positions for text columns, which need "
            f"{MIN_HASHED_POSITIONS}; declare fewer numeric columns or no text columns"
        )
    return tuple(names)


@dataclass(frozen=True)
class FeatureSchema:
    """All that is needed, with the key, to compute the features of new rows; stored in the model file."""

    source: Schema
    standardization: Standardization
    """Over the training rows of all banks, M features."""
    key_check: str
    """`FederationKey.check_value()` of the key that made the pseudonyms."""

    def __post_init__(self) -> None:
        features = len(describe(self.source))
        if not len(self.standardization.mean) == len(self.standardization.std) == features:
            raise DataError(f"the standardization does not cover the {features} numeric features; compute it again")

    @classmethod
    def create(cls, source: Schema, standardization: Standardization, key: FederationKey) -> FeatureSchema:
        """The schema of the features that `key` makes of columns like `source`."""
        return cls(source, standardization, key.check_value())

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the first M features."""
        return describe(self.source)

    @property
    def hashed(self) -> tuple[str, ...]:
        """Names of the text columns that share the positions from M on."""
        return self.source.texts

    def to_dict(self) -> dict[str, Any]:
        """The schema as plain JSON values."""
        return {
            "version": VERSION,
            "dimension": dimension(self.source),
            "source": self.source.to_dict(),
            "numeric": list(self.numeric),
            "hashed": list(self.hashed),
            "mean": list(self.standardization.mean),
            "std": list(self.standardization.std),
            "key_check": self.key_check,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> FeatureSchema:
        """Inverse of `to_dict`. Raises DataError if the document is malformed or from another version."""
        advice = "use a model file that this version of secure-fl wrote"
        if document.get("version") != VERSION:
            raise DataError(f"the schema of the features has another version; {advice}")
        mean, std = _finite(document.get("mean")), _finite(document.get("std"))
        source, key_check = document.get("source"), document.get("key_check")
        if (
            mean is None
            or std is None
            or min(std, default=0.0) < 0.0
            or not isinstance(source, Mapping)
            or not isinstance(key_check, str)
        ):
            raise DataError(f"the schema of the features is malformed; {advice}")
        schema = cls(Schema.from_dict(source), Standardization(mean, std), key_check)
        said = (document.get("numeric"), document.get("hashed"), document.get("dimension"))
        if said != (list(schema.numeric), list(schema.hashed), dimension(schema.source)):
            raise DataError(f"the schema of the features contradicts its columns; {advice}")
        return schema


@dataclass(frozen=True, repr=False, eq=False)
class RawFeatures:
    """A bank's rows between table and model: features not yet standardized, pseudonyms not yet hashed into place."""

    schema: Schema
    key_check: str
    numeric: NDArray[np.float64]
    """float64 [n, M], in the order of `describe`."""
    hashed: NDArray[np.uint64]
    """uint64 [n, H]: a pseudonym per text column."""
    fraud: NDArray[np.bool_]
    pattern: NDArray[np.int8]
    when: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.fraud.shape[0])

    def __repr__(self) -> str:
        return f"RawFeatures({len(self)} rows, {self.numeric.shape[1]} numeric, {self.hashed.shape[1]} hashed)"

    @property
    def day(self) -> NDArray[np.int64] | None:
        """int64 [n], the day of each row; None where the time tells no days."""
        if self.schema.time is None or UNITS[self.schema.time_unit] > DAY:
            return None
        return np.floor(self.when / DAY).astype(np.int64)

    @property
    def amount(self) -> NDArray[np.float64] | None:
        """float64 [n]; None where the table has no column of amounts."""
        amount = self.schema.amount
        return None if amount is None else self.numeric[:, describe(self.schema).index(f"{amount}: linear")]

    def take(self, rows: NDArray[Any] | slice) -> RawFeatures:
        """The rows that an index array, a bool mask [n] or a slice selects."""
        return replace(
            self,
            numeric=self.numeric[rows],
            hashed=self.hashed[rows],
            fraud=self.fraud[rows],
            pattern=self.pattern[rows],
            when=self.when[rows],
        )

    def before(self, cut: float) -> RawFeatures:
        """The rows strictly before the cut: the training part."""
        return self.take(self.when < cut)

    def since(self, cut: float) -> RawFeatures:
        """The rows at or after the cut: the test part."""
        return self.take(self.when >= cut)


@dataclass(frozen=True, repr=False, eq=False)
class Examples:
    """What a model is trained or tested on."""

    features: NDArray[np.float32]
    """float32 [n, 128], or [n, M] of a plain table."""
    fraud: NDArray[np.bool_]
    """bool [n]."""
    pattern: NDArray[np.int8]
    """int8 [n]."""
    day: NDArray[np.int64] | None = None
    """int64 [n], the day of each row; None where nobody knows."""
    amount: NDArray[np.float64] | None = None
    """float64 [n], in the unit of the column; None where nobody knows."""

    def __len__(self) -> int:
        return int(self.fraud.shape[0])

    def __repr__(self) -> str:
        return f"Examples({len(self)} rows, {int(self.fraud.sum())} fraud)"

    def take(self, rows: NDArray[Any]) -> Examples:
        """The rows that an index array, or a bool mask [n], selects."""
        return Examples(
            self.features[rows],
            self.fraud[rows],
            self.pattern[rows],
            None if self.day is None else self.day[rows],
            None if self.amount is None else self.amount[rows],
        )

    @classmethod
    def pooled(cls, parts: Sequence[Examples]) -> Examples:
        """The examples of all parts, one part after the other."""
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.fraud for part in parts]),
            np.concatenate([part.pattern for part in parts]),
            _joined([part.day for part in parts]),
            _joined([part.amount for part in parts]),
        )


def numeric_features(transactions: Transactions, since: int = 0) -> NDArray[np.float64]:
    """float64 [n - since, M]: the features that `describe` names, not yet standardized, rows in the order of the table.

    `since`: the first row whose features are wanted; those before it are its past alone.

    Pass one bank's training and test rows together and cut afterwards: then test rows see their past. Looking
    ahead is impossible, since a row is described by earlier rows only.
    """
    schema = transactions.schema
    angles = [2.0 * np.pi * transactions.when[since:] / seconds for seconds in _cycles(schema).values()]
    columns = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    if schema.amount is not None:
        amounts = transactions.numeric[schema.amount][since:]
        columns += [_signed_log(amounts), amounts]
    columns += [transactions.numeric[name][since:] for name in schema.numeric]
    for identifier in schema.identifiers if schema.time is not None else ():
        columns += _behaviour_columns(transactions, identifier, since)
    table = np.empty((len(transactions) - since, len(describe(schema))))
    for position, column in enumerate(columns):
        table[:, position] = column
    return table


def extract(transactions: Transactions, key: FederationKey, since: int = 0) -> RawFeatures:
    """Numeric features and pseudonyms of one bank's whole table, training and test rows together.

    `since`: the first row that is wanted; those before it are its past alone.
    """
    hashed = [pseudonymize(name, transactions.text[name][since:], key) for name in transactions.schema.texts]
    return RawFeatures(
        schema=transactions.schema,
        key_check=key.check_value(),
        numeric=numeric_features(transactions, since),
        hashed=np.column_stack(hashed) if hashed else np.empty((len(transactions) - since, 0), dtype=np.uint64),
        fraud=transactions.fraud[since:],
        pattern=transactions.pattern[since:],
        when=transactions.when[since:],
    )


def encode(raw: RawFeatures, schema: FeatureSchema) -> Examples:
    """The features of each row.

    Raises DataError if the rows have other columns than the schema, or pseudonyms made with another key.
    """
    if raw.schema != schema.source:
        raise DataError("the table has other columns than the model was trained on; declare the model's columns")
    if schema.hashed and raw.key_check != schema.key_check:
        raise DataError("the model was trained with another federation key; use the key file of its federation")
    numeric = len(schema.numeric)
    features = np.zeros((len(raw), dimension(raw.schema)), dtype=np.float32)
    features[:, :numeric] = standardize(raw.numeric, schema.standardization)
    rows = np.arange(len(raw))
    for pseudonyms in raw.hashed.T:
        positions = numeric + (pseudonyms & ~_SIGN_BIT) % np.uint64(DIMENSION - numeric)
        signs = np.where(pseudonyms & _SIGN_BIT, np.float32(-1.0), np.float32(1.0))
        features[rows, positions] += signs / np.float32(np.sqrt(raw.hashed.shape[1]))
    return Examples(features, raw.fraud, raw.pattern, raw.day, raw.amount)


def transform(
    transactions: Transactions, schema: FeatureSchema, key: FederationKey, history: Transactions | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
    """The features of new rows, for scoring, float32 [n, features]; and the pseudonyms in them, uint64 [n, H].

    `history`: the bank's earlier, labelled rows. Without it the new rows are compared with each other only, and
    no fraud is known in their past. Raises as `encode` and `concatenate` do.
    """
    table = transactions if history is None else concatenate((history, transactions))
    raw = extract(table, key, len(table) - len(transactions))
    return encode(raw, schema).features, raw.hashed


def _cycles(schema: Schema) -> dict[str, float]:
    """Cycles of the time, in seconds: the day, and the week where time counts from a midnight over weeks."""
    if schema.time is None or UNITS[schema.time_unit] > DAY:  # of whole months no hour is known
        return {}
    return {"hour": DAY, WEEKDAY: 7 * DAY} if schema.calendar else {"hour": DAY}


def _behaviour_parts(schema: Schema) -> tuple[str, ...]:
    return ("count", "mean amount", "known fraud") if schema.amount is not None else ("count", "known fraud")


def _behaviour_columns(transactions: Transactions, identifier: str, since: int) -> list[NDArray[np.float64]]:
    name = transactions.schema.amount
    amount = transactions.numeric[name] if name is not None else np.zeros(len(transactions))
    _, codes = codes_of(transactions.text[identifier])
    past = behaviour(codes, transactions.when, amount, transactions.fraud)
    means = [_signed_log(past.mean_amount[since:])] if name is not None else []
    return [column for block in (np.log1p(past.count[since:]), *means, past.risk[since:]) for column in block.T]


def _signed_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(1 + |x|) with the sign of x: refunds are negative amounts."""
    return np.sign(values) * np.log1p(np.abs(values))


def _joined(parts: Sequence[NDArray[Number] | None]) -> NDArray[Number] | None:
    """One after the other; None where one is unknown."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _finite(values: object) -> tuple[float, ...] | None:
    """The numbers of a JSON list, or None if it is something else or one of them is not finite."""
    if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
        return None
    try:
        numbers = tuple(map(float, values))
    except OverflowError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
