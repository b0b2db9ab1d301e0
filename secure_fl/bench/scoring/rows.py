"""The rows of the benchmark: what `bench scoring --json` writes and what tables show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import average_precision_score

from secure_fl.bench.scoring.measured import MeasuredBatch, Subject
from secure_fl.bench.scoring.ours import OurSubject

Status = Literal["measured", "refused", "not installed", "failed"]

TOLERANCE = 0.005
"""Of the probability of fraud that a logit stands for: its first two decimals."""
AUPRC_TOLERANCE = 5e-4
ROWS_FOR_AUPRC = 1000


@dataclass(frozen=True, kw_only=True)
class Row:
    """One design or peer on one model. Figures are None unless `status` is "measured"."""

    design: str
    """A layout of ours, or the name of a peer."""
    peer: bool
    layout: str
    model: str
    status: Status
    note: str | None = None
    """Why there are no figures, or what is particular about a peer."""
    correct: bool = False
    """Whether every row's probability is the plain network's within `TOLERANCE`, and the AUPRC as well."""
    rows: int = 0
    """Scored."""
    degree: int | None = None
    coeff_mod_bit_sizes: tuple[int, ...] = ()
    seconds_per_row: float | None = None
    """Encrypting, scoring and opening. Batched: of all batches; single: the median row."""
    least_seconds_per_row: float | None = None
    """Of the fastest full batch, or row, which a busy machine disturbs less."""
    encrypt_seconds_per_row: float | None = None
    score_seconds_per_row: float | None = None
    open_seconds_per_row: float | None = None
    setup_seconds: float | None = None
    """Planning, making keys and encoding weights, once."""
    plan_seconds: float | None = None
    upload_bytes_per_row: float | None = None
    download_bytes_per_row: float | None = None
    key_bytes: int | None = None
    max_abs_error: float | None = None
    """Of a logit, against the same polynomial in float64."""
    max_probability_error: float | None = None
    """The same of 1 / (1 + exp(-logit))."""
    error_bound: float | None = None
    usual_error_bound: float | None = None
    largest_logit: float | None = None
    auprc_encrypted: float | None = None
    auprc_plain: float | None = None
    auprc_model: float | None = None
    """Of the model as it was trained, with its ReLU."""

    @property
    def measured(self) -> bool:
        return self.status == "measured"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False, repr=False)
class Truth:
    """What the rows should get, in float64."""

    polynomial: NDArray[np.float64]
    """The network that is computed on ciphertexts."""
    model: NDArray[np.float64]
    """The model as it was trained."""
    fraud: NDArray[np.bool_] | None


def measured_figures(
    layout: str, subject: Subject, batches: Sequence[MeasuredBatch], truth: Truth, setup_seconds: float
) -> dict[str, Any]:
    """The fields of a row that was measured."""
    logits = np.concatenate([batch.logits for batch in batches])
    count = len(logits)
    parts = np.array([(batch.encrypt_seconds, batch.score_seconds, batch.open_seconds) for batch in batches])
    each = parts.sum(axis=0) / count if layout == "batched" else np.median(parts, axis=0)
    full = max(count // subject.rows_per_batch, 1)
    figures: dict[str, Any] = {
        "rows": count,
        "degree": subject.degree,
        "coeff_mod_bit_sizes": subject.coeff_mod_bit_sizes,
        "seconds_per_row": float(each.sum()),
        "least_seconds_per_row": float(parts.sum(axis=1)[:full].min()) / min(subject.rows_per_batch, count),
        "setup_seconds": setup_seconds,
        "upload_bytes_per_row": sum(batch.upload_bytes for batch in batches) / count,
        "download_bytes_per_row": sum(batch.download_bytes for batch in batches) / count,
        "key_bytes": subject.key_bytes,
        "max_abs_error": float(np.abs(logits - truth.polynomial).max()),
        "max_probability_error": float(np.abs(expit(logits) - expit(truth.polynomial)).max()),
    }
    figures |= dict(
        zip((f"{step}_seconds_per_row" for step in ("encrypt", "score", "open")), each.tolist(), strict=True)
    )
    figures |= _scores(logits, truth)
    figures["correct"] = is_correct(
        *(figures[name] for name in ("max_probability_error", "auprc_encrypted", "auprc_plain"))
    )
    if isinstance(subject, OurSubject):
        plan = subject.plan
        figures |= {
            "plan_seconds": subject.plan_seconds,
            "error_bound": plan.error_bound,
            "usual_error_bound": plan.usual_error_bound,
            "largest_logit": plan.largest_logit,
        }
    return figures


def is_correct(probability_error: float, auprc: float | None, auprc_plain: float | None) -> bool:
    """Whether scores are what the plain network gives, row by row and in their order."""
    near = probability_error <= TOLERANCE
    return near and (auprc is None or auprc_plain is None or abs(auprc - auprc_plain) <= AUPRC_TOLERANCE)


def _scores(logits: NDArray[np.float64], truth: Truth) -> dict[str, float | None]:
    columns = {"auprc_encrypted": logits, "auprc_plain": truth.polynomial, "auprc_model": truth.model}
    if truth.fraud is None or len(logits) < ROWS_FOR_AUPRC:
        return dict.fromkeys(columns)
    return {name: float(average_precision_score(truth.fraud, scores)) for name, scores in columns.items()}
