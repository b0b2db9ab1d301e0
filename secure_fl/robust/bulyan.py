"""Bulyan (El Mhamdi, Guerraoui, Rouault, "The Hidden Vulnerability of Distributed Learning in Byzantium", ICML 2018,
section 4): Krum picks n - 2 f updates one after the other; then each coordinate is the mean of the n - 4 f values
closest to its median. Holds for n >= 4 f + 3.

Krum sums over the r - f - 2 closest others of the r rows that are left: over one at least, which matters in the last
picks for f < 2. There two rows that are each other's closest tie; the one that scores better among all rows goes first.
"""

from __future__ import annotations

import numpy as np

from secure_fl.robust.distances import squared_distances
from secure_fl.robust.krum import krum_scores
from secure_fl.robust.result import FloatMatrix, Robust, over_finite


def bulyan(updates: FloatMatrix, byzantine: int) -> Robust:
    """Chosen are the rows that Krum picks."""
    return over_finite("bulyan", updates, byzantine, _bulyan)


def _bulyan(updates: FloatMatrix, byzantine: int) -> Robust:
    picked = _pick(squared_distances(updates), byzantine, len(updates) - 2 * byzantine)
    values = np.sort(updates[picked], axis=0)
    away = np.abs(values - np.median(values, axis=0))
    closest = np.argsort(away, axis=0, kind="stable")[: len(picked) - 2 * byzantine]
    return Robust(np.take_along_axis(values, closest, axis=0).mean(axis=0), tuple(sorted(picked)))


def _pick(squared: FloatMatrix, byzantine: int, count: int) -> list[int]:
    left, picked = list(range(len(squared))), []
    among_all = krum_scores(squared, len(squared) - byzantine - 2)
    for _ in range(count):
        scores = krum_scores(squared[np.ix_(left, left)], max(1, len(left) - byzantine - 2))
        picked.append(left.pop(int(np.lexsort((among_all[left], scores))[0])))
    return picked
