"""Do sampled rows give real rows away? Nearest neighbours among training rows, against rows that were held out.

After Platzer and Reutterer, "Holdout-Based Empirical Assessment of Mixed-Type Synthetic Data" (Frontiers in Big Data
4, 2021): training and held-out rows come from the same source and are equally many, so a pattern that knows neither
has its rows as near to the one as to the other. Two findings count as a leak:
- *nearer*: more than half of the sampled rows are nearer to training rows than to held-out ones, by more than chance
  explains (three standard errors; rows that share their nearest real row count as one trial, after Kish);
- *pinned*: most sampled rows lie within a fifth of the distance that parts their nearest training row from the
  nearest held-out row, far more often than held-out rows of another half do: the pattern describes single real rows.

Rules: a distance is over the logarithm of the amount, the hour of the day on a circle, and the merchant category.
Customers and terminals are left out, for the sampler takes them from the bank's table on purpose. The rows stay in
the bank; what is reported are shares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self, get_args

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.simulator import DAY, Simulation, simulate
from secure_fl.data.synthetic.patterns import Category
from secure_fl.data.synthetic.population import Population, population, require_describable
from secure_fl.data.transactions import Transactions
from secure_fl.errors import DataError

MOST_ROWS = 20_000
"""Real rows on each side beyond this add time, but no power."""
FEWEST_ROWS = 100
_ERRORS = 3.0
_PIN = 0.2
_PINNED = 0.5
_CATEGORY = 1.0
"""Distance between two merchant categories, in units of one e-fold of the amount."""


class _Places:
    """Points to which the nearest one can be found."""

    def __init__(self, points: NDArray[np.float64]) -> None:
        from sklearn.neighbors import NearestNeighbors  # slow to import

        self._tree = NearestNeighbors(n_neighbors=1).fit(points)
        self.size = len(points)

    def nearest(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """float64 and int64 [points]: distance to the nearest place, and which one that is."""
        distance, place = self._tree.kneighbors(points)
        return distance[:, 0], place[:, 0]


@dataclass(frozen=True, repr=False, eq=False)
class _Halves:
    """Training and held-out rows, equally many."""

    training: _Places
    holdout: _Places
    alone: NDArray[np.float64]
    """float64 [training]: distance of each training row to the nearest row of one half of the held-out ones."""
    probes: NDArray[np.float64]
    """The other half of the held-out rows."""

    @cached_property
    def pinned_by_chance(self) -> float:
        return self.pinned(self.probes)

    def pinned(self, points: NDArray[np.float64]) -> float:
        """Share of the points that lie right beside a training row which has no held-out row nearby."""
        distance, nearest = self.training.nearest(points)
        return float(np.mean(distance < _PIN * self.alone[nearest]))


@dataclass(frozen=True, repr=False, eq=False)
class RealRows:
    """A bank's training rows, and rows held out of all that the author of a pattern could have seen."""

    training: Transactions
    holdout: Transactions

    def __post_init__(self) -> None:
        require_describable(self.training.schema)
        require_describable(self.holdout.schema)
        if min(len(self.training), len(self.holdout)) < FEWEST_ROWS:
            raise DataError(f"leakage cannot be told from fewer than {FEWEST_ROWS} rows on each side; provide more")

    @cached_property
    def host(self) -> Population:
        """Whom rows are drawn for."""
        return population(self.training)

    @cached_property
    def halves(self) -> _Halves:
        """The rows as points, thinned to equal sizes, evenly over time; made once for all patterns."""
        size = min(len(self.training), len(self.holdout), MOST_ROWS)
        training, holdout = (_points(_thinned(rows, size)) for rows in (self.training, self.holdout))
        return _Halves(_Places(training), _Places(holdout), _Places(holdout[1::2]).nearest(training)[0], holdout[::2])

    @classmethod
    def split(cls, training: Transactions, rng: np.random.Generator) -> Self:
        """Every second row, at random, is held out. The rows must all be from before the cut in time."""
        order = rng.permutation(len(training))
        half = len(training) // 2
        return cls(training.take(np.sort(order[:half])), training.take(np.sort(order[half:])))

    @classmethod
    def simulated(cls, seed: int = 1) -> Self:
        """Public rows of the simulator, for work without a bank: they show what is plausible, and leak nothing."""
        rows = simulate(Simulation(transactions=16_000, seed=seed))
        return cls.split(rows, np.random.default_rng(seed))


@dataclass(frozen=True)
class Nearness:
    """What the comparison found; shares of rows."""

    nearer: float
    """Sampled rows that are nearer to training than to held-out rows; ties count half."""
    independent: float
    """Effective number of trials behind `nearer`: (sum w)^2 / sum w^2, w sampled rows per nearest real row."""
    pinned: float
    """Sampled rows that lie right beside a training row which has no held-out row nearby."""
    pinned_by_chance: float
    """The same, for held-out rows in place of the sampled ones."""


def leak(sampled: Transactions, real: RealRows) -> str | None:
    """Why the sampled rows count as a leak of the training rows, or None."""
    found = nearness(sampled, real)
    if found.nearer > 0.5 + _ERRORS * 0.5 / math.sqrt(found.independent):
        return f"{found.nearer:.0%} of its rows are nearer to training rows than to rows held out, not about half"
    if found.pinned > max(_PINNED, 2.0 * found.pinned_by_chance):
        by_chance = f"{found.pinned_by_chance:.0%} of held-out rows do"
        return f"{found.pinned:.0%} of its rows lie right beside single training rows ({by_chance})"
    return None


def nearness(sampled: Transactions, real: RealRows) -> Nearness:
    """Compare sampled rows with the two halves."""
    halves, points = real.halves, _points(sampled)
    to_training, nearest = halves.training.nearest(points)
    to_holdout, other = halves.holdout.nearest(points)
    closest = np.where(to_training <= to_holdout, nearest, halves.training.size + other)
    weights = np.unique(closest, return_counts=True)[1].astype(np.float64)
    nearer = np.mean((to_training < to_holdout) + 0.5 * (to_training == to_holdout))
    return Nearness(
        nearer=float(nearer),
        independent=float(weights.sum() ** 2 / np.square(weights).sum()),
        pinned=halves.pinned(points),
        pinned_by_chance=halves.pinned_by_chance,
    )


def _thinned(rows: Transactions, size: int) -> Transactions:
    return rows.take(np.linspace(0, len(rows) - 1, size).astype(np.int64))


def _points(rows: Transactions) -> NDArray[np.float64]:
    """float64 [n, 3 + categories]: where a row lies."""
    kinds = get_args(Category)
    angle = 2.0 * np.pi * rows.when / DAY
    category = rows.text["category"][:, None] == np.array(kinds, dtype=np.object_)
    amount = np.log(np.maximum(rows.numeric["amount"], 0.01))
    return np.column_stack([amount, np.sin(angle), np.cos(angle), category * (_CATEGORY / math.sqrt(2.0))])
