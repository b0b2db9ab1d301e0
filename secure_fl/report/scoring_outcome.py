"""What encrypted scoring found: what its page, the terminal and the JSON file draw on. Without a transaction in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.metrics import measure
from secure_fl.scoring import ScoringPlan


@dataclass(frozen=True, eq=False)
class ScoringOutcome:
    """All rows of one table, scored under one plan."""

    plan: ScoringPlan
    figures: Mapping[str, Any]
    """What was planned and measured."""
    rows: int
    encrypted: NDArray[np.float64] = field(repr=False)
    """Logits, [n]."""
    polynomial: NDArray[np.float64] = field(repr=False)
    """The same in float64, [n]."""
    plain: NDArray[np.float64] = field(repr=False)
    """Those of the model as it was trained, [n]."""
    fraud: NDArray[np.bool_] | None = field(repr=False)
    """Labels, where the rows have both kinds."""
    request: bytes = field(repr=False)
    """A message with encrypted rows."""

    @property
    def errors(self) -> NDArray[np.float64]:
        """How far each logit is off, [n]."""
        return np.abs(self.encrypted - self.polynomial)

    @property
    def replaced(self) -> bool:
        """Whether polynomials took the place of ReLU."""
        return self.figures["plan"]["relu_replaced"] is not None

    @property
    def seconds_per_row(self) -> float:
        return float(sum(self.figures[f"{part}_seconds_per_row"] for part in ("encrypt", "score", "open")))


def auprc_text(outcome: ScoringOutcome) -> str | None:
    """AUPRC on ciphertexts and in plain; None without labels."""
    if outcome.fraud is None:
        return None
    encrypted = measure(outcome.fraud, outcome.encrypted).auprc
    polynomial, plain = (outcome.figures[f"{name}_scores"]["auprc"] for name in ("polynomial", "plain"))
    if not outcome.replaced:
        return f"{encrypted:.5f} on ciphertexts, {plain:.5f} in plain"
    return f"{encrypted:.5f} on ciphertexts, {polynomial:.5f} in plain, {plain:.5f} of the model with ReLU"


def time_shares(outcome: ScoringOutcome) -> list[tuple[str, str, float]]:
    """Who does what, and the seconds of it for a row."""
    figures = outcome.figures
    return [
        ("data owner", "encrypts", figures["encrypt_seconds_per_row"]),
        ("model owner", "computes on ciphertexts", figures["score_seconds_per_row"]),
        ("data owner", "opens the score", figures["open_seconds_per_row"]),
    ]
