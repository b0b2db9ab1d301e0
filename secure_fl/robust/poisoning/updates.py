"""Poisoned updates: what attackers send, made of the updates that they would honestly send.

Each takes the attackers' own updates, float64 [attackers, parameters], and gives as many. That is all that they know:
papers often let attackers see every honest update too; here they estimate mean and deviation of all banks from theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from secure_fl.errors import ConfigurationError
from secure_fl.robust.distances import squared_distances
from secure_fl.robust.result import FloatMatrix, FloatVector

LARGEST, TOLERANCE = 10.0, 1e-5
"""Of the search for the largest deviation: where it starts, and how finely it ends."""


def scaled(own: FloatMatrix, strength: float) -> FloatMatrix:
    """Model replacement (Bagdasaryan, Veit, Hua, Estrin, Shmatikov, AISTATS 2020, equation 3): each times a factor that
    outweighs all others in a mean; a negative one flips the sign.
    """
    return strength * own


def inner_product(own: FloatMatrix, strength: float) -> FloatMatrix:
    """Against the mean update (Xie, Koyejo, Gupta, "Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product
    Manipulation", UAI 2019, section 4): all send -strength times the mean.
    """
    return _all_send(-strength * own.mean(axis=0), own)


def a_little(own: FloatMatrix, deviations: float) -> FloatMatrix:
    """Within the spread of honest updates (Baruch, Baruch, Goldberg, "A Little Is Enough: Circumventing Defenses For
    Distributed Learning", NeurIPS 2019, algorithm 1): all send mean - z standard deviations, in each coordinate.
    """
    return _all_send(own.mean(axis=0) - deviations * own.std(axis=0), own)


def hidden_deviations(banks: int, attackers: int) -> float:
    """The z of `a_little`: the largest at which enough honest banks are expected further off than the attackers.

    Raises `ConfigurationError` where there is none.
    """
    supporters = banks // 2 + 1 - attackers
    honest = banks - attackers
    share = (honest - supporters) / honest
    if not 0.5 < share < 1:
        raise ConfigurationError(
            f"a-little finds no deviation that hides {attackers} of {banks} banks; give attack_strength, such as 1.5, "
            "or change byzantine"
        )
    return NormalDist().inv_cdf(share)


def min_max(own: FloatMatrix) -> FloatMatrix:
    """As far as no distance to an update exceeds the largest between two (Shejwalkar, Houmansadr, "Manipulating the
    Byzantine: Optimizing Model Poisoning Attacks and Defenses for Federated Learning", NDSS 2021, equation 11).
    """
    largest = squared_distances(own).max()
    return _furthest(own, lambda squared: bool(squared.max() <= largest))


def min_sum(own: FloatMatrix) -> FloatMatrix:
    """As far as the sum of squared distances to updates exceeds none of theirs (the same paper, equation 12)."""
    largest = squared_distances(own).sum(axis=1).max()
    return _furthest(own, lambda squared: bool(squared.sum() <= largest))


def free_rider(own: FloatMatrix, noise: float, rng: np.random.Generator) -> FloatMatrix:
    """Nothing, or normal noise of this standard deviation (Fraboni, Vidal, Lorenzi, "Free-rider Attacks on Model
    Aggregation in Federated Learning", AISTATS 2021, sections 3.1 and 3.2): no row was trained on.
    """
    return noise * rng.standard_normal(own.shape)


def _furthest(own: FloatMatrix, hidden: Callable[[FloatVector], bool]) -> FloatMatrix:
    """Mean - g standard deviations with the largest g, found by halving steps, at which the squared distances to `own`
    are `hidden` (algorithm 1 of Shejwalkar and Houmansadr, whose perturbation here is the inverse standard deviation).
    """
    mean, deviation = own.mean(axis=0), own.std(axis=0)

    def sent(factor: float) -> FloatVector:
        vector: FloatVector = mean - factor * deviation
        return vector

    factor, step, good = LARGEST, LARGEST, 0.0
    while abs(good - factor) > TOLERANCE and step > TOLERANCE / 4:
        step /= 2
        if hidden(((own - sent(factor)) ** 2).sum(axis=1)):
            good, factor = factor, factor + step
        else:
            factor -= step
    return _all_send(sent(good), own)


def _all_send(vector: FloatVector, own: FloatMatrix) -> FloatMatrix:
    return np.repeat(vector[None], len(own), axis=0)
