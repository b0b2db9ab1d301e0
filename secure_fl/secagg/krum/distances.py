"""Squared distances as the key authority opened them: which of them cannot be, and which bank is to blame.

Honest banks' distances are those of points in a space, off by at most the plan's errors (but for 2**-40): none is
negative, none is larger than the range of the plan allows, and no side of a triangle is longer than the two others. The
middle of the range, an update of zeros, is one more point; its distances are the norms. All are integers, and one whose
error is below one half is rounded to the exact one. Under another key, or out of the plan's range, totals are random
modulo the modulus or simply too large: the bank does not fit to the others.

No honest update has imaginary parts. Their squares would be negative and would bring a bank closer to all others, and
two banks could cancel each other's in the sum; random weights show them (`KrumPlan.imaginary_errors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.secagg.budget.krum import KrumPlan
from secure_fl.secagg.krum.selection import FloatMatrix

IMPOSSIBLE = "its update lies outside the range of the plan, or was encrypted under another key"
TOO_LONG = "its update is longer than the norm bound"
REASONS = (IMPOSSIBLE, TOO_LONG)


@dataclass(frozen=True)
class Distances:
    """Squared distances of n updates, and of the middle of the range as the last point: [n + 1, n + 1], symmetric."""

    squared: FloatMatrix
    errors: FloatMatrix
    imaginary: FloatMatrix
    """Of each update, what its imaginary parts sum up to under random weights, [n]; honest ones have noise only."""

    @classmethod
    def measured(
        cls, plan: KrumPlan, norms: Sequence[float], pairs: Sequence[float], imaginary: Sequence[float]
    ) -> Distances:
        """From squared norms in order, and squared distances of the pairs (0, 1), (0, 2) ... (1, 2) ..."""
        banks = len(norms)
        squared = np.zeros((banks + 1, banks + 1))
        squared[np.triu_indices(banks, k=1)] = pairs
        squared[:banks, banks] = norms
        squared += squared.T
        errors = plan.errors(squared)
        np.fill_diagonal(errors, 0)
        exact = errors < 0.5
        return cls(np.where(exact, np.rint(squared), squared), np.where(exact, 0, errors), np.array(imaginary))

    @property
    def banks(self) -> int:
        return len(self.squared) - 1

    def among(self, rows: list[int]) -> tuple[FloatMatrix, FloatMatrix]:
        """Squared distances and errors of these updates only."""
        return self.squared[np.ix_(rows, rows)], self.errors[np.ix_(rows, rows)]

    def squared_norm_of_sum(self, rows: list[int]) -> tuple[float, float]:
        """Of the sum of these updates, each measured from the middle of the range, and its largest error.

        |sum x_i|**2 = m sum |x_i|**2 - sum over pairs of |x_i - x_j|**2, for m of them.
        """
        squared, errors = self.among(rows)
        count, norms = len(rows), self.squared[rows, -1]
        error = count * self.errors[rows, -1].sum() + errors.sum() / 2
        return float(count * norms.sum() - squared.sum() / 2), float(error)


def refused(plan: KrumPlan, distances: Distances) -> dict[int, str]:
    """Rows whose distances cannot be, or that are too long, each with one of `REASONS`."""
    out = proven_bad(plan, distances)
    left = [row for row in range(distances.banks) if row not in out]
    return out | dict.fromkeys(_unfitting(plan, distances, left), IMPOSSIBLE)


def proven_bad(plan: KrumPlan, distances: Distances) -> dict[int, str]:
    """Those whom their own upload gives away: no other bank can bring an honest one here.

    An impossible distance between two, however, proves only that one of them is bad; who stands in most of them may be
    the honest one, if two others have seen its ciphertext and derived theirs from it.
    """
    norms, errors = distances.squared[:-1, -1], distances.errors[:-1, -1]
    imaginary = np.abs(distances.imaginary) > plan.imaginary_errors(norms)
    beyond = _beyond(plan, distances.squared, distances.errors)[:-1, -1]
    out = dict.fromkeys(np.flatnonzero(imaginary | beyond).tolist(), IMPOSSIBLE)
    if plan.norm_bound is not None:
        too_long = np.flatnonzero(norms - errors > plan.norm_bound**2).tolist()
        out |= {row: TOO_LONG for row in too_long if row not in out}
    return out


def least_bad(plan: KrumPlan, distances: Distances, out: dict[int, str]) -> int:
    """How many of the refused are bad for certain: the proven ones, and one of any two that cannot both be honest."""
    proven = proven_bad(plan, distances)
    others, count = [row for row in out if row not in proven], len(proven)
    while others:
        one = others.pop()
        other = next((row for row in others if _unfit(plan, distances, one, row)), None)
        if other is not None:
            others.remove(other)
            count += 1
    return count


def _unfit(plan: KrumPlan, distances: Distances, one: int, other: int) -> bool:
    """Whether two rows cannot both be updates, whatever the others are: by their distance, or with their lengths."""
    return bool(_impossibilities(plan, *distances.among([one, other, distances.banks])).any())


def _unfitting(plan: KrumPlan, distances: Distances, left: list[int]) -> list[int]:
    """Of those who are left. Who stands in most impossibilities goes first; of two that stand in as many, both go."""
    gone: list[int] = []
    while left:
        points = [*left, distances.banks]
        count = _impossibilities(plan, *distances.among(points))[:-1]
        if not count.any():
            break
        gone += [row for row, times in zip(left, count, strict=True) if times == count.max()]
        left = [row for row in left if row not in gone]
    return gone


def _impossibilities(plan: KrumPlan, squared: FloatMatrix, errors: FloatMatrix) -> FloatMatrix:
    """In how many impossible distances and triangles each point stands, [n + 1]."""
    points = len(squared)
    count = _beyond(plan, squared, errors).sum(axis=1) * points * points  # worse than any number of triangles
    shortest, longest = np.sqrt(np.maximum(squared - errors, 0)), np.sqrt(np.maximum(squared + errors, 0))
    for corner in range(points):
        broken = shortest > longest[:, corner, None] + longest[None, corner] + plan.noise_per_root
        count += broken.sum(axis=1)
        count[corner] += broken.sum() // 2
    return np.asarray(count, dtype=np.float64)


def _beyond(plan: KrumPlan, squared: FloatMatrix, errors: FloatMatrix) -> NDArray[np.bool_]:
    """Which distances cannot be, whatever the others are, [n + 1, n + 1]."""
    largest = np.full_like(squared, plan.largest_squared_distance)
    largest[-1] = largest[:, -1] = plan.largest_squared_norm
    return (squared < -errors) | (squared - errors > largest)
