"""Scores of transactions that the model's owner does not see: both parties in this process, every message serialized.

The data owner has the transactions and gets the scores; the model owner has the model file and, for a model with ReLU,
training rows of its own. What the data owner must know of the model file is its schema: columns, and the means and
deviations that features are standardized by.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from secure_fl.errors import ConfigurationError, ScoringError
from secure_fl.files import output_file, output_files
from secure_fl.progress import ShowProgress
from secure_fl.report.encrypted_model import EncryptedModel
from secure_fl.report.scores import Labels, inputs, judged, what_was_read, write_json, write_scores
from secure_fl.report.scoring_outcome import ScoringOutcome
from secure_fl.report.scoring_page import render
from secure_fl.scoring import score_encrypted
from secure_fl.scoring.ways import Way


def way_of(*, single: bool, hide_model: bool) -> Way:
    """How rows are scored. Raises `ConfigurationError` where two ways are asked for."""
    if single and hide_model:
        raise ConfigurationError("a model is hidden in batches only; leave out --single, or --hide-model")
    return "single" if single else "hidden" if hide_model else "batched"


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
            said = what_was_read(request.model, request.transactions, request.history, encoded.rows)
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
    figures = {
        "plan": model.derived(),
        **scored.costs,
        "max_abs_error": worst,
        "polynomial_scores": judged(labels, polynomial)["scores"],
        "plain_scores": judged(labels, plain)["scores"],
    }
    fraud = None if labels.why_not else labels.fraud
    return ScoringOutcome(plan, figures, len(features), scored.logits, polynomial, plain, fraud, scored.request)
