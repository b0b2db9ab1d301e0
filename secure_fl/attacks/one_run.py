"""A lower bound on epsilon from guesses: who was in, of many rows that were each in or out by a fair coin of its own.

Steinke, Nasr, Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS 2023. Of m canaries, each included by an
independent coin, an auditor guesses r and abstains on the rest. If the training is (epsilon, delta)-DP for one row
added or removed, the number of right guesses is, but for delta, at most Binomial(r, e^epsilon / (1 + e^epsilon)):

    P[at least v right] <= P[B >= v] + 2 m delta * max over i in 1..v of P[v - i <= B < v] / i

So many right guesses refute an epsilon, and the smallest that is not refuted at 5 % is the bound (Clopper, Pearson,
Biometrika 1934, inverted in the same way).

Rules: how many guesses are made is fixed before any score is seen; a choice of the best of several would need a
correction. Independent runs on canaries of their own are one large mechanism, so their canaries are counted together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom

CONFIDENCE = 0.95
_LARGEST, _PRECISION = 50.0, 1e-4


@dataclass(frozen=True)
class Guesses:
    """What an auditor said, and how often it was right."""

    canaries: int
    made: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.made <= self.canaries:
            raise ValueError("there cannot be more right guesses than guesses, nor more guesses than canaries")


def guess_included(scores: NDArray[np.float64], included: NDArray[np.bool_], made: int) -> Guesses:
    """Say "included" of the `made` canaries with the highest scores [m], and nothing of the others.

    Nothing is said of low scores: where rows are sampled, an included row that was never in a batch looks like none.
    """
    named = np.argsort(-scores, kind="stable")[:made]
    return Guesses(len(scores), made, int(included[named].sum()))


def p_value(guesses: Guesses, epsilon: float, delta: float) -> float:
    """The largest probability of so many right guesses that (epsilon, delta) allows."""
    v, r = guesses.right, guesses.made
    if v == 0:
        return 1.0
    chance = expit(epsilon)
    below = np.cumsum(binom.pmf(np.arange(v - 1, -1, -1), r, chance))  # [i - 1]: P[v - i <= B < v]
    worst = float((below / np.arange(1, v + 1)).max())
    return float(min(1.0, binom.sf(v - 1, r, chance) + 2 * guesses.canaries * delta * worst))


def epsilon_bound(guesses: Guesses, delta: float, confidence: float = CONFIDENCE) -> float:
    """The largest epsilon that the guesses refute at this confidence; 0 where they refute none."""
    low, high = 0.0, _LARGEST
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if p_value(guesses, middle, delta) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low
