"""Scores of transactions that the model's owner does not see: both parties in this process, every message serialized.

The data owner has the transactions and gets the scores; the model owner has the model file and, for a model with ReLU,
training rows of its own. What the data owner must know of the model file is its schema: columns, and the means and
deviations that features are standardized by.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from secure_fl.errors import ConfigurationError, ScoringError
from secure_fl.files import output_file, output_files
from secure_fl.progress import ShowProgress
from secure_fl.report.scores import Labels, RunModel, inputs, judged, what_was_read, write_json, write_scores
from secure_fl.report.scoring_outcome import ScoringOutcome
from secure_fl.report.scoring_page import render
from secure_fl.scoring import Layer, PlannedModel, compile_model, plain_logits, score_encrypted
from secure_fl.scoring.relu import Replacement
from secure_fl.scoring.rows import sent
from secure_fl.scoring.ways import PLANNERS, Way
from secure_fl.training.encrypted import clip_range, stored_layers

_BLOCK = 1 << 14


def way_of(*, single: bool, hide_model: bool) -> Way:
    """How rows are scored. Raises `ConfigurationError` where two ways are asked for."""
    if single and hide_model:
        raise ConfigurationError("a model is hidden in batches only; leave out --single, or --hide-model")
    return "single" if single else "hidden" if hide_model else "batched"


@dataclass(frozen=True)
class EncryptedModel:
    """A model file, planned for ciphertexts."""

    opened: RunModel
    layers: tuple[Layer, ...]
    planned: PlannedModel
    replacement: Replacement | None
    """What polynomials in the place of ReLU changed."""

    @classmethod
    def read(cls, model: Path, training: Path | None, way: Way) -> EncryptedModel:
        """`training`: transactions that the model's owner has, which tell how far a model with ReLU reaches.

        Raises `DataError`, `ScoringError` and `PlanError`.
        """
        opened = RunModel.read(model)
        rows = None if training is None else opened.encode(training).features.astype(np.float64)
        layers = stored_layers(opened.stored, opened.schema)
        compiled = compile_model(layers, rows, clip_range(opened.schema), send_all=True)
        planned = PLANNERS[way](compiled)
        return cls(opened, layers, planned, compiled.replacement)

    def derived(self) -> dict[str, Any]:
        """For people and scripts."""
        replaced = None if self.replacement is None else asdict(self.replacement)
        return self.planned.plan.derived() | {"relu_replaced": replaced}

    def in_plain(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Logits of the same polynomial in float64, and of the model as it was trained; each [n]."""
        blocks = [features[start : start + _BLOCK] for start in range(0, len(features), _BLOCK)]
        polynomial = [self.planned.network.logits(sent(self.planned.plan, block)) for block in blocks]
        trained = [plain_logits(self.layers, block.astype(np.float64)) for block in blocks]
        return np.concatenate(polynomial), np.concatenate(trained)


@dataclass(frozen=True)
class ScoringRequest:
    """What is to be scored, and where all of it goes."""

    model: Path
    transactions: Path
    out: Path
    history: Path | None = None
    training: Path | None = None
    way: Way = "batched"
    json_file: Path | None = None
    html_file: Path | None = None
    force: bool = False


def score_encrypted_file(request: ScoringRequest, show_progress: ShowProgress) -> ScoringOutcome:
    """Write the scores as `scores.score_file` does, and what they took; the outcome.

    Raises `ScoringError` where a logit is off by more than the plan allows; nothing is written then.
    """
    read = inputs(request.model, request.transactions, request.history, request.training)
    with (
        output_file(request.out, force=request.force, inputs=read) as staging,
        output_files(request.json_file, request.html_file, force=request.force, inputs=(*read, request.out)) as (
            json_target,
            html_target,
        ),
    ):
        model = EncryptedModel.read(request.model, request.training, request.way)
        encoded = model.opened.encode(request.transactions, request.history)
        labels = Labels.read(request.transactions, model.opened.schema.source)
        outcome = _scored(model, encoded.features, labels, show_progress)
        write_scores(staging, expit(outcome.encrypted))
        if json_target:
            said = what_was_read(request.model, request.transactions, request.history, encoded)
            said |= {"training": None if request.training is None else str(request.training)}
            said |= judged(labels, outcome.encrypted) | {"encrypted": outcome.figures, "out": str(request.out)}
            write_json(json_target, said)
        if html_target:
            html_target.write_text(render(outcome), encoding="utf-8")
    return outcome


def _scored(
    model: EncryptedModel, features: NDArray[np.float32], labels: Labels, show_progress: ShowProgress
) -> ScoringOutcome:
    with show_progress() as progress:
        scored = score_encrypted(model.planned, features, progress)
    polynomial, plain = model.in_plain(features)
    plan, worst = model.planned.plan, float(np.abs(scored.logits - polynomial).max())
    if not worst <= plan.error_bound:
        raise ScoringError(f"a logit is off by {worst:.3g}, and the plan allows {plan.error_bound:.3g}; report it")
    rows, batches = len(features), scored.batches
    figures = {
        "plan": model.derived(),
        "keys_bytes": scored.keys_bytes,
        "keys_seconds": scored.keys_seconds,
        "batches": len(batches),
        "upload_bytes_per_row": sum(batch.upload_bytes for batch in batches) / rows,
        "download_bytes_per_row": sum(batch.download_bytes for batch in batches) / rows,
        "encrypt_seconds_per_row": sum(batch.encrypt_seconds for batch in batches) / rows,
        "score_seconds_per_row": sum(batch.score_seconds for batch in batches) / rows,
        "open_seconds_per_row": sum(batch.open_seconds for batch in batches) / rows,
        "seconds_of_a_batch": float(np.median([batch.seconds for batch in batches])),
        "max_abs_error": worst,
        "polynomial_scores": judged(labels, polynomial)["scores"],
        "plain_scores": judged(labels, plain)["scores"],
    }
    fraud = None if labels.why_not else labels.fraud
    return ScoringOutcome(plan, figures, rows, scored.logits, polynomial, plain, fraud, scored.request)
