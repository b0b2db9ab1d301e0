"""The files of a run, and scores of new transactions with its model."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secure_fl.data import FeatureSchema, FederationKey, default_key_path, load_table_as, transform
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.results import Result
from secure_fl.files import output_file
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
    metrics = json.dumps(result.metrics(), indent=1, allow_nan=False)
    (directory / "metrics.json").write_text(metrics + "\n", encoding="utf-8")
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
    (directory / "model.safetensors").write_bytes(model_bytes(result.model.weights, _description(result)))
    (directory / "report.html").write_text(render(result), encoding="utf-8")


def score_file(model: Path, transactions: Path, out: Path, history: Path | None = None, *, force: bool = False) -> int:
    """Write the probability of fraud of each transaction as CSV: row (from 1), fraud_probability. How many rows.

    `history`: the bank's earlier, labelled transactions, for the features that look into the past. `force`: replace
    `out` where it exists; what is read, the federation key included, is never replaced.
    """
    with output_file(out, force=force, inputs=(model, transactions, history, default_key_path())) as staging:
        weights, description = load_model(model)
        schema = FeatureSchema.from_dict(description.get(_SCHEMA, {}))
        rows = load_table_as(transactions, schema.source, labelled=False)
        past = load_table_as(history, schema.source) if history is not None else None
        probabilities = predict(weights, transform(rows, schema, _key(schema, description), past))
        with staging.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "fraud_probability"])
            writer.writerows((row, f"{p:.9g}") for row, p in enumerate(probabilities.tolist(), start=1))
    return len(rows)


def needs_history(model: Path) -> bool:
    """Whether the model looks at the past of customers or terminals."""
    _, description = load_model(model)
    source = FeatureSchema.from_dict(description.get(_SCHEMA, {})).source
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
