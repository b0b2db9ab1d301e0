"""The files of a run, and scores of new transactions with its model."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import FeatureSchema, FederationKey, Schema, default_key_path, load_table_as, transform
from secure_fl.data.metrics import measure
from secure_fl.errors import DataError
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.results import Result
from secure_fl.files import output_file, output_files
from secure_fl.privacy.ledger import DRAWN, KEY
from secure_fl.report import render
from secure_fl.settings import Experiment
from secure_fl.training import load_model, model_bytes, predict

_SCHEMA, _SEED = "feature_schema", "simulation_seed"


def write_run(result: Result, directory: Path, checkpoint: Checkpoint | None = None) -> None:
    """The five files of a run, into a folder that exists; under differential privacy the banks' ledgers too."""
    if checkpoint is not None and checkpoint.banks.is_dir():
        shutil.copytree(checkpoint.banks, directory / "ledgers", ignore=shutil.ignore_patterns(KEY, DRAWN))
    (directory / "experiment.toml").write_text(Experiment(**result.experiment).to_toml(), encoding="utf-8")
    (directory / "metrics.json").write_text(metrics_json(result), encoding="utf-8")
    with (directory / "transcript.jsonl").open("w", encoding="utf-8") as file:
        for d in result.transcript:
            line = {
                "round": d.round,
                "attempt": d.attempt,
                "stage": d.stage,
                "sender": d.sender,
                "recipient": d.recipient,
            }
            file.write(json.dumps({**line, "bytes": d.nbytes, "sha256": d.sha256}) + "\n")
    model = model_bytes(result.model.weights, _description(result), result.model.learner)
    (directory / "model.safetensors").write_bytes(model)
    (directory / "report.html").write_text(render(result), encoding="utf-8")


def metrics_json(result: Result) -> str:
    """The text of metrics.json."""
    return json.dumps(result.metrics(), indent=1, allow_nan=False) + "\n"


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

    `history`: the bank's earlier, labelled transactions, for the features that look into the past. `json_file`: what
    was read and written, and how good the scores are where the rows have labels. `force`: replace outputs that exist;
    what is read, the federation key included, is never replaced.
    """
    read = (model, transactions, history, default_key_path())
    with (
        output_file(out, force=force, inputs=read) as staging,
        output_files(json_file, force=force, inputs=(*read, out)) as (json_target,),
    ):
        stored = load_model(model)
        schema = FeatureSchema.from_dict(stored.description.get(_SCHEMA, {}))
        rows = load_table_as(transactions, schema.source, labelled=False)
        past = load_table_as(history, schema.source) if history is not None else None
        features = transform(rows, schema, _key(schema, stored.description), past)
        fraud = _fraud(predict(stored.weights, features, stored.learner))
        with staging.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "fraud_probability"])
            writer.writerows((row, f"{p:.9g}") for row, p in enumerate(fraud.tolist(), start=1))
        if json_target:
            said = {
                "schema": 1,
                "model": str(model),
                "transactions": str(transactions),
                "history": None if history is None else str(history),
                "history_rows": None if past is None else len(past),
                "rows": len(rows),
                **_judged(transactions, schema.source, fraud),
                "out": str(out),
            }
            json_target.write_text(json.dumps(said, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return len(rows)


def _fraud(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of fraud, [n]: of every class but the first, where there are several."""
    return probabilities if probabilities.ndim == 1 else 1.0 - probabilities[:, 0]


def _judged(transactions: Path, source: Schema, probabilities: NDArray[np.float64]) -> dict[str, Any]:
    """How good scores are, by the labels of the same file, which the model never sees; or why nobody knows."""
    found: dict[str, Any] = {"frauds": None, "honest": None, "scores": None, "unscored": None}
    try:
        fraud = load_table_as(transactions, source).fraud
    except DataError as error:
        return found | {"unscored": str(error)}
    found |= {"frauds": int(fraud.sum()), "honest": int((~fraud).sum())}
    if 0 in (found["frauds"], found["honest"]):
        return found | {"unscored": "all transactions are of one class, so that there is nothing to tell apart"}
    return found | {"scores": asdict(measure(fraud, probabilities))}


def needs_history(model: Path) -> bool:
    """Whether the model looks at the past of customers or terminals."""
    source = FeatureSchema.from_dict(load_model(model).description.get(_SCHEMA, {})).source
    return bool(source.identifiers) and source.time is not None


def _description(result: Result) -> dict[str, Any]:
    simulated = result.experiment["dataset"] == "simulated"
    seed = result.experiment["seed"] if simulated else None
    return {_SCHEMA: result.model.feature_schema, _SEED: seed, "columns": result.data["columns"]}


def _key(schema: FeatureSchema, description: Mapping[str, Any]) -> FederationKey:
    if not schema.hashed:
        return FederationKey.generate()  # there is nothing to pseudonymize
    if description.get(_SEED) is not None:
        return FederationKey.for_simulation(description[_SEED])
    return FederationKey.load_or_create()
