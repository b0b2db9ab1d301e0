"""What is to be trained: sizes, ranges and the steps of descent. Public, and all that a plan depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from secure_fl.errors import PlanError
from secure_fl.scoring.descent.sigmoid import Sigmoid, fit_sigmoid

_MOST = {"features": 2**12, "rows": 2**24, "epochs": 2**10}
_LIMITS = {"clip": 2.0**10, "interval": 64.0, "rate": 2.0**10, "mean_square": 2.0**20, "tolerance": 1.0}
_SHORTEST = 2.0**-6
"""Of intervals: on shorter ones the sigmoid is a line, and float64 finds no cubic."""
_MOST_DECAY = 2.0**20


@dataclass(frozen=True)
class DescentTask:
    """Full gradient descent: each epoch is one step over all rows. Raises `PlanError` where numbers make no sense."""

    features: int
    rows: int
    clip: float
    """No feature may exceed it in absolute value."""
    rate: float
    epochs: int
    interval: float
    """No logit may exceed it in absolute value while rows are trained on."""
    weight_decay: float
    """Of the weights, not of the bias: L2, as a share that is added to the gradient."""
    mean_square: float
    """The mean of all squared features may not exceed it: 1 where they are standardized."""
    tolerance: float
    """The largest distance of the weights, bias included, from those of the same descent in float64."""

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise PlanError(f"training takes 1 to {most} {name}, as an integer; plan with another number")
        for name, limit in _LIMITS.items():
            if not 0 < getattr(self, name) <= limit:
                raise PlanError(f"{name} is not above 0 and at most {limit:g}; plan with another")
        if self.interval < _SHORTEST:
            raise PlanError(f"the interval is below {_SHORTEST:g}, where the sigmoid is a line; plan with a wider one")
        if not (0 <= self.weight_decay <= _MOST_DECAY and self.rate * self.weight_decay <= 1):
            raise PlanError("weight decay times rate is not between 0 and 1; plan with less decay or a lower rate")
        for name in (*_LIMITS, "weight_decay"):  # 1 and 1.0 are one task, and one digest
            object.__setattr__(self, name, float(getattr(self, name)))

    @cached_property
    def sigmoid(self) -> Sigmoid:
        return fit_sigmoid(self.interval)

    @property
    def columns(self) -> int:
        """Features, and the one that is 1 in every row: its weight is the bias."""
        return self.features + 1

    @property
    def largest(self) -> float:
        """Of a row's entries, in absolute value, the 1 among them."""
        return max(self.clip, 1.0)

    @property
    def longest(self) -> float:
        """A bound on the Euclidean norm of a row."""
        return math.sqrt(1 + self.features * self.clip**2)

    @property
    def mean_length(self) -> float:
        """A bound on the root of the mean squared norm of rows: a gradient is at most so long for residuals of 1."""
        return math.sqrt(1 + self.features * min(self.mean_square, self.clip**2))
