"""Scores of new transactions with the model of a run."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import FeatureSchema, FederationKey, Schema, default_key_path, load_table_as, transform
from secure_fl.data.metrics import measure
from secure_fl.errors import DataError
from secure_fl.files import output_file, output_files
from secure_fl.report.outputs import SCHEMA, SEED
from secure_fl.training import load_model, predict
from secure_fl.training.storage import StoredModel


@dataclass(frozen=True, eq=False)
class Encoded:
    """Transactions as the model takes them."""

    features: NDArray[np.float32] = field(repr=False)
    """float32 [n, 128]."""
    past_rows: int | None
    """Earlier rows that were looked at; None where no history was given."""


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
        features = transform(rows, self.schema, self._key(), past)
        return Encoded(features, None if past is None else len(past))

    def _key(self) -> FederationKey:
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


def score_file(
    model: Path,
    transactions: Path,
    out: Path,
    history: Path | None = None,
    *,
    json_file: Path | None = None,
    force: bool = False,
) -> int:
    """Write the probability of fraud of each transaction as CSV: row (from 1), fraud_probability. How many rows.

    `json_file`: what was read and written, and how good the scores are where the rows have labels. `force`: replace
    outputs that exist; what is read, the federation key included, is never replaced.
    """
    read = inputs(model, transactions, history)
    with (
        output_file(out, force=force, inputs=read) as staging,
        output_files(json_file, force=force, inputs=(*read, out)) as (json_target,),
    ):
        opened = RunModel.read(model)
        encoded = opened.encode(transactions, history)
        fraud = opened.probabilities(encoded.features)
        write_scores(staging, fraud)
        if json_target:
            said = what_was_read(model, transactions, history, encoded)
            labels = Labels.read(transactions, opened.schema.source)
            write_json(json_target, said | judged(labels, fraud) | {"out": str(out)})
    return len(fraud)


def inputs(model: Path, transactions: Path, *others: Path | None) -> tuple[Path | None, ...]:
    """All files that scoring reads."""
    return (model, transactions, *others, default_key_path())


def write_scores(target: Path, probabilities: Iterable[float]) -> None:
    """As CSV: row (from 1), fraud_probability."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "fraud_probability"])
        writer.writerows((row, f"{p:.9g}") for row, p in enumerate(probabilities, start=1))


def write_json(target: Path, said: Mapping[str, Any]) -> None:
    target.write_text(json.dumps(said, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def what_was_read(model: Path | str, transactions: Path, history: Path | None, encoded: Encoded) -> dict[str, Any]:
    """The first lines of the JSON file; `model`: a file, or the address of a service."""
    return {
        "schema": 1,
        "model": str(model),
        "transactions": str(transactions),
        "history": None if history is None else str(history),
        "history_rows": encoded.past_rows,
        "rows": len(encoded.features),
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
            fraud = load_table_as(transactions, source).fraud
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
