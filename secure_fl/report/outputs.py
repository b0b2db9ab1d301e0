"""The files of a run."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import DamageWarning
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.global_model import weights_sha256
from secure_fl.federation.results import Result
from secure_fl.privacy.ledger import DRAWN, KEY
from secure_fl.report import render
from secure_fl.report.record import Signed, write_record
from secure_fl.report.record_key import RecordKey
from secure_fl.settings import Experiment
from secure_fl.training import model_bytes

MODELS = "models"
"""The folder of the models of the rounds."""
SCHEMA, SEED = "feature_schema", "simulation_seed"
"""What a model file says of its features and, where rows were simulated, of the seed."""


def write_run(
    result: Result, directory: Path, checkpoint: Checkpoint | None = None, key: RecordKey | None = None
) -> Signed:
    """The files of a run, into a folder that exists; under differential privacy the banks' ledgers too.

    `key`: what its record is signed with; None: the user's own, which is created if there is none.
    """
    key = key or RecordKey.of_user()
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
    described = model_description(result.experiment, result.model.feature_schema, result.data["columns"])
    model = model_bytes(result.model.weights, described, result.model.learner)
    (directory / "model.safetensors").write_bytes(model)
    for number, weights in models_of(result):
        path = directory / MODELS / name_of_round(number, len(result.rounds))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(model_bytes(weights, described, result.model.learner))
    (directory / "report.html").write_text(render(result), encoding="utf-8")
    return write_record(result, directory, key)


def models_of(result: Result) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each round and the weights that it led to, one at a time; warns of rounds whose model is gone or another."""
    if result.models is None:
        return
    lost = []
    for record in result.rounds:
        weights = result.models.find(record.round)
        if weights is not None and weights_sha256(weights) == record.model_sha256:
            yield record.round, weights
        else:
            lost.append(str(record.round))
    if lost:
        text = f"the models of rounds {', '.join(lost)} are gone or damaged, and are left out; the final one is whole"
        warnings.warn(DamageWarning(text), stacklevel=2)


def name_of_round(number: int, rounds: int) -> str:
    """The file of a round's model; files of one run are in the order of their names."""
    return f"round-{number:0{max(2, len(str(rounds)))}}.safetensors"


def rounds_kept(directory: Path) -> dict[int, Path]:
    """The models of rounds in the folder of a run, by round, in order."""
    found = {path: re.fullmatch(r"round-([0-9]+)\.safetensors", path.name) for path in (directory / MODELS).glob("*")}
    return dict(sorted((int(match[1]), path) for path, match in found.items() if match))


def metrics_json(result: Result) -> str:
    """The text of metrics.json."""
    return json.dumps(result.metrics(), indent=1, allow_nan=False) + "\n"


def model_description(
    experiment: Mapping[str, Any], schema: Mapping[str, Any], columns: Mapping[str, Any]
) -> dict[str, Any]:
    """What a model file says beside its weights, so that `score` can use it: the schema of the features, and the seed
    that simulated pseudonyms come from.
    """
    seed = experiment["seed"] if experiment["dataset"] == "simulated" else None
    return {SCHEMA: schema, SEED: seed, "columns": columns}
