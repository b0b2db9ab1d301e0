"""Scores of new transactions with the model of a run."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import (
    FeatureSchema,
    FederationKey,
    Schema,
    concatenate,
    default_key_path,
    load_table_as,
    stream_table_as,
    transform,
)
from secure_fl.data.behaviour import LOOKS_BACK
from secure_fl.data.metrics import measure
from secure_fl.errors import DataError
from secure_fl.files import output_file, output_files
from secure_fl.report.outputs import SCHEMA, SEED
from secure_fl.training import load_model, predict
from secure_fl.training.storage import StoredModel

PIECE, PIECE_WITH_PAST = 100_000, 250_000
"""Rows that are in memory at once; more where each piece is worked on together with the past that it looks back at."""


class DisorderError(DataError):
    """Rows that lie in no order of time, where each looks at those before it."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Transactions as the model takes them."""

    features: NDArray[np.float32] = field(repr=False)
    """float32 [n, 128]."""
    past_rows: int | None
    """Earlier rows that were looked at; None where no history was given."""
    hashed: NDArray[np.uint64] = field(repr=False)
    """Pseudonyms of the text columns, [n, columns]."""

    @property
    def rows(self) -> dict[str, int | None]:
        """How many were read, for people."""
        return {"history_rows": self.past_rows, "rows": len(self.features)}


@dataclass(frozen=True)
class Intake:
    """How a model takes transactions, without the model."""

    schema: FeatureSchema
    simulation_seed: int | None
    """That simulated pseudonyms come from; None: from the federation's key."""

    @property
    def needs_history(self) -> bool:
        """Whether it looks at the past of customers or terminals."""
        return bool(self.schema.source.identifiers) and self.schema.source.time is not None

    def encode(self, transactions: Path, history: Path | None = None) -> Encoded:
        """Each transaction in a file.

        `history`: the bank's earlier, labelled transactions, for the features that look into the past.
        """
        rows = load_table_as(transactions, self.schema.source, labelled=False)
        past = load_table_as(history, self.schema.source) if history is not None else None
        features, hashed = transform(rows, self.schema, self.key(), past)
        return Encoded(features, None if past is None else len(past), hashed)

    def stream(self, transactions: Path, history: Path | None = None, rows: int | None = None) -> Iterator[Encoded]:
        """The same piece by piece, so that memory holds one and what it looks back at, however many rows there are.

        Features that look at the past need rows in order of time. Raises `DisorderError` at the first that are not.
        """
        past = load_table_as(history, self.schema.source) if history is not None else None
        count, key = None if past is None else len(past), self.key()
        latest, rows = -math.inf, rows or (PIECE_WITH_PAST if self.needs_history else PIECE)
        for piece in stream_table_as(transactions, self.schema.source, rows, labelled=False):
            if self.needs_history and piece.when.min() < latest:
                raise DisorderError(f"{transactions} is not in order of time; sort it")
            features, hashed = transform(piece, self.schema, key, past)
            yield Encoded(features, count, hashed)
            if self.needs_history:
                latest = float(piece.when.max())
                known = piece if past is None else concatenate((past, piece))
                past = known.take(np.flatnonzero(known.when > latest - LOOKS_BACK))

    def key(self) -> FederationKey:
        """That makes pseudonyms as the model's training did."""
        if not self.schema.hashed:
            return FederationKey.generate()  # there is nothing to pseudonymize
        if self.simulation_seed is not None:
            return FederationKey.for_simulation(self.simulation_seed)
        return FederationKey.load_or_create()


@dataclass(frozen=True)
class RunModel:
    """The model of a run, and what it takes."""

    stored: StoredModel
    intake: Intake

    @classmethod
    def read(cls, path: Path) -> RunModel:
        """Raises `DataError` where the file is no model."""
        stored = load_model(path)
        schema = FeatureSchema.from_dict(stored.description.get(SCHEMA, {}))
        return cls(stored, Intake(schema, stored.description.get(SEED)))

    @property
    def schema(self) -> FeatureSchema:
        return self.intake.schema

    def encode(self, transactions: Path, history: Path | None = None) -> Encoded:
        """Each transaction in a file."""
        return self.intake.encode(transactions, history)

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of fraud, [n]: of every class but the first, where there are several."""
        found = predict(self.stored.weights, features, self.stored.learner)
        return found if found.ndim == 1 else 1.0 - found[:, 0]


class Beside(Protocol):
    """What is written beside the scores, such as reasons for them."""

    @property
    def names(self) -> Sequence[str]:
        """Of its columns."""

    def columns(self, rows: Encoded, fraud: NDArray[np.float64]) -> Sequence[Sequence[str]]:
        """Those columns of one piece, [n] each; `fraud`: the piece's scores."""

    def document(self) -> Mapping[str, Any]:
        """What the JSON file says of it when all is written."""


MakeBeside = Callable[[RunModel], Sequence[Beside]]
"""Raises before a row is read where the model does not allow it."""


def score_file(
    model: Path,
    transactions: Path,
    out: Path,
    history: Path | None = None,
    *,
    beside: MakeBeside = lambda _: (),
    others: Sequence[Path | None] = (),
    json_file: Path | None = None,
    force: bool = False,
) -> int:
    """Write the probability of fraud of each transaction as CSV: row (from 1), fraud_probability. How many rows.

    Rows are read, scored and written piece by piece; all at once only where features look at the past and rows are in
    no order of time.

    `beside`: further columns; `others`: files that these read. `json_file`: what was read and written, and how good the
    scores are where the rows have labels. `force`: replace outputs that exist; what is read, the federation key
    included, is never replaced.
    """
    read = inputs(model, transactions, history, *others)
    with (
        output_file(out, force=force, inputs=read) as staging,
        output_files(json_file, force=force, inputs=(*read, out)) as (json_target,),
    ):
        opened = RunModel.read(model)
        more = beside(opened)
        try:
            fraud, counts = _scored(opened, opened.intake.stream(transactions, history), more, staging)
        except DisorderError:
            fraud, counts = _scored(opened, iter([opened.encode(transactions, history)]), more, staging)
        if json_target:
            said = what_was_read(model, transactions, history, counts)
            for each in more:
                said |= each.document()
            labels = Labels.read(transactions, opened.schema.source)
            write_json(json_target, said | judged(labels, fraud) | {"out": str(out)})
    return len(fraud)


def _scored(
    model: RunModel, pieces: Iterator[Encoded], beside: Sequence[Beside], target: Path
) -> tuple[NDArray[np.float64], dict[str, int | None]]:
    """All probabilities, which are written on the way, and how many rows were read."""
    fraud: list[NDArray[np.float64]] = []
    past_rows: list[int | None] = []
    with _table(target, [name for each in beside for name in each.names]) as write:
        for encoded in pieces:
            fraud.append(model.probabilities(encoded.features))
            past_rows.append(encoded.past_rows)
            write(fraud[-1], [column for each in beside for column in each.columns(encoded, fraud[-1])])
    return np.concatenate(fraud), {"history_rows": past_rows[0], "rows": sum(map(len, fraud))}


def inputs(model: Path, transactions: Path, *others: Path | None) -> tuple[Path | None, ...]:
    """All files that scoring reads."""
    return (model, transactions, *others, default_key_path())


def write_scores(target: Path, probabilities: NDArray[np.float64]) -> None:
    """As CSV: row (from 1), fraud_probability."""
    with _table(target) as write:
        write(probabilities, ())


@contextmanager
def _table(
    target: Path, names: Sequence[str] = ()
) -> Iterator[Callable[[NDArray[np.float64], Sequence[Sequence[str]]], None]]:
    """A CSV file of scores; what writes one piece into it, with the columns beside them, which have these names."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer, written = csv.writer(file), 0
        writer.writerow(["row", "fraud_probability", *names])

        def write(probabilities: NDArray[np.float64], columns: Sequence[Sequence[str]]) -> None:
            nonlocal written
            numbers = range(written + 1, written + 1 + len(probabilities))
            scores = map("{:.9g}".format, probabilities.tolist())
            writer.writerows(zip(numbers, scores, *columns, strict=True))
            written += len(probabilities)

        yield write


def write_json(target: Path, said: Mapping[str, Any]) -> None:
    target.write_text(json.dumps(said, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def what_was_read(
    model: Path | str, transactions: Path, history: Path | None, rows: Mapping[str, int | None]
) -> dict[str, Any]:
    """The first lines of the JSON file; `model`: a file, or the address of a service; `rows`: how many were read."""
    return {
        "schema": 1,
        "model": str(model),
        "transactions": str(transactions),
        "history": None if history is None else str(history),
        **rows,
    }


@dataclass(frozen=True, eq=False, repr=False)
class Labels:
    """Of the same file, which the model never sees; or why there are none."""

    fraud: NDArray[np.bool_] | None
    why_not: str | None
    """Why nobody knows how good scores are."""

    @classmethod
    def read(cls, transactions: Path, source: Schema) -> Labels:
        try:
            pieces = stream_table_as(transactions, source, PIECE)
            fraud = np.concatenate([piece.fraud for piece in pieces])
        except DataError as error:
            return cls(None, str(error))
        alike = fraud.all() or not fraud.any()
        why = "all transactions are of one class, so that there is nothing to tell apart" if alike else None
        return cls(fraud, why)


def judged(labels: Labels, probabilities: NDArray[np.float64]) -> dict[str, Any]:
    """How good scores are, by the labels; or why nobody knows."""
    fraud = labels.fraud
    return {
        "frauds": None if fraud is None else int(fraud.sum()),
        "honest": None if fraud is None else int((~fraud).sum()),
        "scores": None if fraud is None or labels.why_not else asdict(measure(fraud, probabilities)),
        "unscored": labels.why_not,
    }


def needs_history(model: Path) -> bool:
    """Whether the model looks at the past of customers or terminals."""
    return RunModel.read(model).intake.needs_history
