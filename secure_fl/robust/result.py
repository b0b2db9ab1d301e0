"""What a rule is given and what it answers; an update that is not finite is left out and named, before any rule runs.

Rules see updates as float64 [banks, parameters], one row a bank, none scaled by its number of examples: as in the
papers, every bank counts the same, since a bank could claim any number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.settings.robust import require_enough

FloatVector: TypeAlias = NDArray[np.float64]
FloatMatrix: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Robust:
    """An aggregate, and who is in it."""

    aggregate: FloatVector = field(repr=False)
    """Shape [parameters]."""
    chosen: tuple[int, ...]
    """Rows that had a say, rising."""
    weights: FloatVector | None = None
    """[rows], where the aggregate is `weights @ updates`; None for a rule that looks at each coordinate by itself."""
    refused: tuple[int, ...] = ()
    """Rows that are not finite, so that no rule saw them."""
    tied: tuple[int, ...] = ()
    """Rows that were chosen, or not, by their place only: their scores cannot be told apart."""


def over_finite(
    rule: str, updates: FloatMatrix, byzantine: int, compute: Callable[[FloatMatrix, int], Robust]
) -> Robust:
    """`compute` on the finite rows; rows that are not are some of the byzantine ones, so fewer of these are left.

    Raises `ConfigurationError` where the rule promises nothing for so many rows; `TrainingError` where too few of them
    are finite.
    """
    updates = np.asarray(updates, dtype=np.float64)
    if updates.ndim != 2 or 0 in updates.shape:
        raise ConfigurationError(f"updates of shape {updates.shape} are refused; give [banks, parameters]")
    require_enough(rule, len(updates), byzantine)
    finite = np.isfinite(updates).all(axis=1)
    if finite.all():
        return compute(updates, byzantine)
    kept, refused = np.flatnonzero(finite), np.flatnonzero(~finite)
    left = max(0, byzantine - len(refused))
    try:
        require_enough(rule, len(kept), left)
    except ConfigurationError:
        raise TrainingError(
            f"the updates of rows {', '.join(map(str, refused))} are not finite, and {len(kept)} others are too few "
            f"for {rule}; leave those banks out, and find out why"
        ) from None
    found = compute(updates[kept], left)
    weights = None
    if found.weights is not None:
        weights = np.zeros(len(updates))
        weights[kept] = found.weights
    return replace(
        found,
        chosen=_rows(kept, found.chosen),
        weights=weights,
        refused=tuple(refused.tolist()),
        tied=_rows(kept, found.tied),
    )


def linear(updates: FloatMatrix, weights: FloatVector, tied: tuple[int, ...] = ()) -> Robust:
    """The combination with these weights; rows of weight 0 have no say, however large they are."""
    chosen = np.flatnonzero(weights)
    return Robust(weights[chosen] @ updates[chosen], tuple(chosen.tolist()), weights, tied=tied)


def norms(updates: FloatMatrix) -> FloatVector:
    """L2 norm of each row, [rows], where squares would overflow or vanish too."""
    largest = np.abs(updates).max(axis=1)
    scale = np.where(largest > 0, largest, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        scaled: FloatVector = scale * np.linalg.norm(updates / scale[:, None], axis=1)
    return scaled


def _rows(kept: NDArray[np.int64], places: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(kept[place]) for place in places)
