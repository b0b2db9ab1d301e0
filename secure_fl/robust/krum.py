"""Krum (Blanchard, El Mhamdi, Guerraoui, Stainer, "Machine Learning with Adversaries: Byzantine Tolerant Gradient
Descent", NeurIPS 2017, section 4): the update that is closest to its n - f - 2 closest others. Holds for n >= 2 f + 3.

The selection needs squared distances only, so that it also works where updates are encrypted and distances are all
that is opened (`krum_from_distances`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from secure_fl.errors import ConfigurationError, ProtocolError
from secure_fl.robust.distances import squared_distances
from secure_fl.robust.result import FloatMatrix, FloatVector, Robust, linear, over_finite
from secure_fl.settings.robust import require_enough


@dataclass(frozen=True)
class Choice:
    """Which rows score best."""

    chosen: tuple[int, ...]
    """Rising; of equal scores the first rows."""
    scores: FloatVector = field(repr=False)
    """Of each row: the sum of the squared distances to its closest others."""
    tied: tuple[int, ...] = ()
    """Rows that might be chosen instead, or not be chosen, if distances were exact."""


def krum(updates: FloatMatrix, byzantine: int) -> Robust:
    """The best row."""
    return over_finite("krum", updates, byzantine, lambda rows, f: mean_of_best(rows, f, 1))


def mean_of_best(updates: FloatMatrix, byzantine: int, m: int) -> Robust:
    """The mean of the `m` best rows; they are finite, and enough."""
    choice = krum_from_distances(squared_distances(updates), byzantine, m)
    weights = np.zeros(len(updates))
    weights[list(choice.chosen)] = 1 / m
    return linear(updates, weights, choice.tied)


def krum_from_distances(squared: FloatMatrix, f: int, m: int = 1, errors: float | FloatMatrix = 0.0) -> Choice:
    """The `m` of n rows with the lowest scores.

    `squared`: squared distances, [n, n], each off by at most `errors`, one number or [n, n]; diagonals are not looked
    at. Raises `ConfigurationError` for n < 2 f + 3 or an m that is not 1 to n; `ProtocolError` for what cannot be
    distances.
    """
    squared = np.asarray(squared, dtype=np.float64)
    n = len(squared)
    off = np.asarray(errors, dtype=np.float64)
    if squared.ndim != 2 or squared.shape != (n, n) or off.shape not in ((), (n, n)) or not _finite(off):
        raise ConfigurationError(f"distances of shape {squared.shape} are refused; give [n, n], and their errors")
    require_enough("krum" if m == 1 else "multi-krum", n, f)
    if not 1 <= m <= n:
        raise ConfigurationError(f"{m} of {n} updates cannot be chosen; use 1 to {n}")
    _require_distances(squared, off)
    scores = krum_scores(squared, n - f - 2)
    order = np.argsort(scores, kind="stable")
    chosen, others = order[:m], order[m:]
    lowest, highest = krum_scores(squared - off, n - f - 2), krum_scores(squared + off, n - f - 2)
    return Choice(tuple(sorted(chosen.tolist())), scores, _tied(lowest, highest, chosen, others))


def krum_scores(squared: FloatMatrix, closest: int) -> FloatVector:
    """Of each row the sum of the squared distances to so many closest others, [n]; distances below 0 count as 0."""
    others = np.maximum(squared, 0.0)
    np.fill_diagonal(others, np.inf)
    scores: FloatVector = np.sort(others, axis=1)[:, :closest].sum(axis=1)
    return scores


def _tied(lowest: FloatVector, highest: FloatVector, chosen: np.ndarray, others: np.ndarray) -> tuple[int, ...]:
    """Rows on either side of the border whose scores, known to lie between two bounds, might be the other way round."""
    if not len(others) or lowest[others].min() > highest[chosen].max():
        return ()
    near = [row for row in chosen.tolist() if highest[row] >= lowest[others].min()]
    near += [row for row in others.tolist() if lowest[row] <= highest[chosen].max()]
    return tuple(sorted(near))


def _finite(errors: FloatMatrix) -> bool:
    return bool(np.isfinite(errors).all() and (errors >= 0).all())


def _require_distances(squared: FloatMatrix, errors: FloatMatrix) -> None:
    apart = ~np.eye(len(squared), dtype=bool)
    between, off = squared[apart], np.broadcast_to(errors, squared.shape)[apart]
    with np.errstate(invalid="ignore"):
        lopsided = squared != squared.T
        lopsided &= ~(np.abs(squared - squared.T) <= 2 * errors)
    if np.isnan(between).any() or (between < -off).any() or lopsided.any():
        raise ProtocolError("distances between updates are negative, lopsided or no numbers; make a new attempt")
