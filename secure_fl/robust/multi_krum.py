"""Multi-Krum (Blanchard, El Mhamdi, Guerraoui, Stainer, "Machine Learning with Adversaries: Byzantine Tolerant Gradient
Descent", NeurIPS 2017, section 4): the mean of the m updates that Krum scores best. Holds for n >= 2 f + 3.
"""

from __future__ import annotations

from secure_fl.robust.krum import mean_of_best
from secure_fl.robust.result import FloatMatrix, Robust, over_finite


def multi_krum(updates: FloatMatrix, byzantine: int, m: int | None = None) -> Robust:
    """`m`: how many rows are averaged; None: n - f, as in the paper's experiments."""
    return over_finite("multi-krum", updates, byzantine, lambda rows, f: mean_of_best(rows, f, m or len(rows) - f))
