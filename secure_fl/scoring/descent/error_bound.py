"""How far encrypted descent can get from the same descent in float64, for all rows that the task allows.

One epoch. The trainer's columns x_j, weights v_j (times `shrink`) and everything it makes of them carry noise:

    s = sum x_j v_j          e_s: noise of both, and the rounding after the division by a prime
    q = s**2 - turn          e_q = 2 s e_s + e_s**2 + its own
    r = s q + label - 1/2    e_r = p' e_s + s x (q's own) + its own + squares of e_s;    r = label - p
    mean of x_j r            x_j e_r + e_j r + e_j e_r + its own

Each of the four products is divided by a prime, from the last one on; the first prime stays.

*Fixed* errors are worst cases in every slot. *Spread* is the standard deviation of independent noise in a slot; a mean
over n rows is a linear form of such noises with bounded weights, so its own is smaller by sqrt(n): slots are orthogonal
forms of a polynomial's coefficients. A weight's ciphertext serves all batches, so its noise shrinks as over one batch
only; `_averaging` allows that for all noises. What tails are: `scoring.noise`. The weights of the forms follow from
earlier epochs and so, in second order, from noise of rows that is in the form too; this is neglected.

All epochs. The cubic rises, so the loss is convex and its second derivative at most steepest x mean_length**2 = L. Two
descents that differ by d therefore differ after a step by

    d' <= growth d + rate x (error of one gradient),      growth = max(1, rate (L + weight decay) - 1)

in Euclidean norm, as long as all logits of both stay in the interval: `reach` keeps the room that the other may need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod

from secure_fl.scoring.descent.task import DescentTask
from secure_fl.scoring.error_bound import Chain
from secure_fl.scoring.noise import FLOAT_ERROR, Noise


@dataclass(frozen=True)
class DescentScales:
    """Powers of two that rows and weights are multiplied by before they are rounded to integers."""

    rows: int
    weights: int


@dataclass(frozen=True)
class StageScales:
    """What s, q, s q, r and x_j r are multiplied by, computed in the order of SEAL: the same to the last bit."""

    logit: float
    square: float
    labels: float
    residual: float
    gradient: float


@dataclass(frozen=True)
class _Error:
    """In a slot, of each part of a complex number."""

    fixed: float
    spread: float
    tail: float

    @property
    def largest(self) -> float:
        return self.fixed + self.tail * self.spread


def stage_scales(chain: Chain, scales: DescentScales) -> StageScales:
    """A prime is divided away after each product."""
    logit = 2.0**scales.rows * 2.0**scales.weights / chain.data[4]
    square = logit * logit / chain.data[3]
    labels = logit * square
    residual = labels / chain.data[2]
    return StageScales(logit, square, labels, residual, 2.0**scales.rows * residual / chain.data[1])


def weights_error(task: DescentTask, gradient_error: float) -> float:
    """Of weights and bias together after all epochs, Euclidean; infinite where float64 ends."""
    curvature = task.sigmoid.steepest * task.mean_length**2
    growth = max(1.0, task.rate * (curvature + task.weight_decay) - 1)
    error = 0.0
    for _ in range(task.epochs):
        error = growth * error + task.rate * gradient_error
    return error


def gradient_error(task: DescentTask, chain: Chain, scales: DescentScales) -> float | None:
    """Of one epoch's gradient, Euclidean over all columns, but for 2**-FAILURE_BITS a session.

    None where a number can leave the modulus. A gradient is the mean over rows.
    """
    at = stage_scales(chain, scales)
    epoch = _Epoch(task, chain, scales, at)
    residual = epoch.residual()
    if not epoch.fits(residual):
        return None
    return epoch.mean(residual)


class _Epoch:
    """The bound's stages, in the order of the circuit."""

    def __init__(self, task: DescentTask, chain: Chain, scales: DescentScales, at: StageScales) -> None:
        self._task, self._chain, self._scales, self._at = task, chain, scales, at
        slots = chain.degree // 2
        self._batches = -(-task.rows // slots)
        self._averaging = self._batches * math.sqrt(min(task.rows, slots)) / task.rows
        self._unused = self._batches * slots / task.rows
        """Slots for each row."""
        switchings = task.epochs * (3 * self._batches + task.columns)
        neurons = task.epochs * self._batches * (4 + 2 * task.columns)
        self._noise = Noise(chain.degree, neurons, len(chain.data), switchings)
        self._largest_s = task.sigmoid.shrink * task.interval
        longest = task.rate * (task.epochs - 1) * task.mean_length * task.sigmoid.largest_residual
        self._weights = task.sigmoid.shrink * (longest + task.tolerance)
        """A bound on the Euclidean norm of v before the last epoch."""
        self._row = self._fresh(2.0**scales.rows, task.largest)
        self._weight = self._fresh(2.0**scales.weights, self._weights)
        self._logit = self._summed()
        self._square = self._own(4, at.logit**2, at.square)

    def _fresh(self, scale: float, largest: float) -> _Error:
        noise = self._noise
        return _Error(noise.encoding / scale + FLOAT_ERROR * largest, noise.fresh / scale, noise.tail)

    def _own(self, primes: int, product: float, scale: float) -> _Error:
        """Of switching keys at a product's scale under so many data primes, and of dividing one away."""
        switching = self._switching(primes) / product
        return _Error(switching + 1 / scale, self._noise.rounding / scale, self._noise.tail)

    def _switching(self, primes: int) -> float:
        assert self._chain.special is not None
        return self._noise.switching(self._chain.data[:primes], self._chain.special)

    def _summed(self) -> _Error:
        """e_s."""
        task, root = self._task, math.sqrt(self._task.columns)
        own = self._own(5, 2.0 ** (self._scales.rows + self._scales.weights), self._at.logit)
        fixed = root * self._weights * self._row.fixed + root * task.longest * self._weight.fixed + own.fixed
        fixed += 2 * task.columns * self._row.largest * self._weight.largest
        return _Error(fixed, math.hypot(*self._spreads()), self._noise.tail)

    def _spreads(self) -> tuple[float, float, float]:
        """Of s in a slot: from rows, from weights, from the division."""
        return (
            self._weights * self._row.spread,
            self._task.longest * self._weight.spread,
            self._noise.rounding / self._at.logit,
        )

    def residual(self) -> _Error:
        """e_r."""
        s, q, steepest = self._logit, self._square, self._task.sigmoid.turn
        own = self._own(3, self._at.labels, self._at.residual)
        label = self._fresh(self._at.labels, 0.5)
        root = math.sqrt(2)
        squares = 6 * self._largest_s * s.largest**2 + (root * s.largest) ** 3 + 2 * s.largest * q.largest
        fixed = steepest * s.fixed + self._largest_s * q.fixed + own.fixed + label.largest + squares
        return _Error(fixed, math.hypot(steepest * s.spread, self._largest_s * q.spread, own.spread), self._noise.tail)

    def fits(self, residual: _Error) -> bool:
        """No coefficient exceeds the largest slot; every number, and every scale, is below half the modulus."""
        at, s = self._at, self._largest_s + 2 * self._logit.largest
        q = self._task.sigmoid.turn + s**2 + 2 * self._square.largest
        r = self._task.sigmoid.largest_residual + 2 * residual.largest
        rows = self._task.largest + 2 * self._row.largest
        numbers = (
            (5, s * 2.0 ** (self._scales.rows + self._scales.weights)),
            (4, s**2 * at.logit**2),
            (3, (s * q + 1) * at.labels),
            (2, self._batches * rows * r * 2.0**self._scales.rows * at.residual),
            (1, self._batches * rows * r * at.gradient),
        )
        return all(max(number, 1.0) < prod(self._chain.data[:primes]) / 2.01 for primes, number in numbers)

    def mean(self, residual: _Error) -> float:
        """Of the gradient."""
        task, largest, steepest = self._task, self._task.largest, self._task.sigmoid.turn
        rows, weights, division = self._spreads()
        spread = math.hypot(
            largest * steepest * rows + task.sigmoid.largest_residual * self._row.spread,
            largest * steepest * weights,
            largest * steepest * division,
            largest * self._largest_s * self._square.spread,
            largest * self._noise.rounding / self._at.residual,
        )
        slots = self._chain.degree // 2
        own = self._own(2, 2.0**self._scales.rows * self._at.residual, self._at.gradient)
        each = (
            self._averaging * self._noise.tail * spread
            + task.sigmoid.largest_residual * self._row.fixed
            + self._unused
            * (2 * self._row.largest * residual.largest + FLOAT_ERROR * largest * task.sigmoid.largest_residual)
            + slots / task.rows * own.fixed
            + math.sqrt(slots) / task.rows * own.tail * own.spread
        )
        return task.mean_length * residual.fixed + math.sqrt(task.columns) * each
