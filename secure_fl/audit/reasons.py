"""Reasons for scores: the features that raise a row's log-odds of fraud most, with their SHAP values.

Values are relative to one row, since a model file holds none: with earlier transactions at hand, the average of the
last of them; else a row whose numeric features are all at their mean in training, without any text. So a value says
what the feature adds beyond what it has there, and all values of a row add up to its log-odds less those of that row.

They are reasons of the model, and say nothing of why a payment was made. Of features that move together, one can get
what is the other's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.attributions import OneReference
from secure_fl.audit.columns import by_column
from secure_fl.data import encode, extract, load_table_as
from secure_fl.errors import ConfigurationError
from secure_fl.report.scores import Encoded, RunModel
from secure_fl.report.wording import plural

REFERENCE_ROWS = 10_000
"""Earlier transactions that are averaged, at most."""
_BATCH = 8_192
"""Rows that are explained at once."""


class Reasons:
    """The columns reason_1, reason_1_value, reason_2 ... A row with fewer features that raise its score has gaps."""

    def __init__(self, model: RunModel, count: int, history: Path | None = None) -> None:
        """Raises `ConfigurationError` where there are not so many features, for several classes, or without shap."""
        self._features = np.array([*model.schema.numeric, *model.schema.hashed], dtype=np.object_)
        if not 1 <= count <= len(self._features):
            raise ConfigurationError(
                f"--reasons {count} cannot be: the model has {plural(len(self._features), 'feature')}; use 1 to "
                f"{len(self._features)}"
            )
        self._count, self._schema = count, model.schema
        reference, self._usual = _reference(model, history)
        self._deep = OneReference(model.stored.weights, model.stored.learner, reference)
        self._largest_gap = 0.0

    @property
    def names(self) -> Sequence[str]:
        return [f"reason_{place}{part}" for place in range(1, self._count + 1) for part in ("", "_value")]

    @property
    def relative_to(self) -> str:
        """For people."""
        if len(self._usual):
            what = f"the average of the last {plural(len(self._usual), 'row')} of --history"
        else:
            what = "a row whose numbers are all average in training, without text columns"
        return f"{what}; its log-odds of fraud are {self._deep.log_odds:.2f}"

    def columns(self, rows: Encoded, fraud: NDArray[np.float64]) -> Sequence[Sequence[str]]:
        """Raises `AuditError` where values do not add up to a score."""
        columns: list[list[str]] = [[] for _ in self.names]
        for start in range(0, len(rows.features), _BATCH):
            part = slice(start, start + _BATCH)
            for column, cells in zip(columns, self._cells(rows.features[part], rows.hashed[part]), strict=True):
                column += cells
        return columns

    def document(self) -> Mapping[str, Any]:
        return {
            "reasons": {
                "each": self._count,
                "relative_to": self.relative_to,
                "history_rows": len(self._usual),
                "log_odds": self._deep.log_odds,
                "additivity_error": self._largest_gap,
            }
        }

    def _cells(self, features: NDArray[np.float32], hashed: NDArray[np.uint64]) -> list[list[str]]:
        """The columns of one batch."""
        found = self._deep.attribute(features)
        self._largest_gap = max(self._largest_gap, found.largest_gap)
        values = by_column(found.values, hashed, self._usual, self._schema)
        most = np.argsort(-values, axis=1, kind="stable")[:, : self._count]
        cells: list[list[str]] = []
        for places in most.T:
            raised = values[np.arange(len(values)), places]
            cells.append(np.where(raised > 0, self._features[places], "").tolist())
            cells.append([f"{value:.6g}" if value > 0 else "" for value in raised.tolist()])
        return cells


def _reference(model: RunModel, history: Path | None) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
    """The row that values are relative to, [features], and the pseudonyms that went into it, [rows, text columns]."""
    if history is None:
        width = model.stored.learner.inputs[0]
        return np.zeros(width, dtype=np.float32), np.zeros((0, len(model.schema.hashed)), dtype=np.uint64)
    past = load_table_as(history, model.schema.source).sorted_by_time()
    raw = extract(past, model.intake.key(), max(0, len(past) - REFERENCE_ROWS))
    mean = encode(raw, model.schema).features.mean(axis=0, dtype=np.float64)
    return mean.astype(np.float32), raw.hashed
