"""Who was trained on: likelihood ratios against shadow models, and the loss threshold.

Carlini, Chien, Nasr, Song, Terzis, Tramer, "Membership Inference Attacks From First Principles" (LiRA), IEEE S&P 2022,
online, with one variance for each class as the paper advises for few shadow models; and the threshold on the loss alone
of Yeom, Giacomelli, Fredrikson, Jha, CSF 2018. Every model is once the target while all the others are the attacker's
shadow models, which were trained in the same way on other draws from the same pool.

Rules: the threshold whose advantage TPR - FPR is reported is chosen on shadow models, never on the target.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatMatrix = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Population:
    """What the models say about the pool: M models, N records."""

    confidence: FloatMatrix = field(repr=False)
    """[M, N]: the logit for the true label, log(p / (1 - p))."""
    member: Mask = field(repr=False)
    """[M, N]: whether the model was trained on the record."""
    fraud: Mask = field(repr=False)
    """[N]."""


@dataclass(frozen=True)
class Measured:
    """One attack on each of M targets."""

    advantage: FloatMatrix
    """[M]: TPR - FPR at the threshold that is best on the shadow models."""
    tpr_at: dict[float, FloatMatrix]
    """False-positive rate -> [M]: the true-positive rate."""


def measure_lira(population: Population, among: Mask, false_positive_rates: tuple[float, ...]) -> Measured:
    """LiRA on every model; figures over the records `among` [N]."""
    return _measure(population, among, false_positive_rates, lambda t: _ratios(population, t))


def measure_loss(population: Population, among: Mask, false_positive_rates: tuple[float, ...]) -> Measured:
    """The loss threshold on every model: the smaller the loss, the more a record looks like a member."""
    return _measure(population, among, false_positive_rates, lambda t: population.confidence)


def advantage_bound(epsilon: float, delta: float) -> float:
    """The largest TPR - FPR that (epsilon, delta) leaves to any attack: (e^epsilon - 1 + 2 delta) / (e^epsilon + 1).

    Kairouz, Oh, Viswanath, ICML 2015; Humphries et al., CSF 2023.
    """
    return math.tanh(epsilon / 2) + 2 * delta / (math.exp(epsilon) + 1) if epsilon < 700 else 1.0


def _measure(
    population: Population, among: Mask, rates: tuple[float, ...], scores_without: Callable[[int], FloatMatrix]
) -> Measured:
    """`scores_without(t)`: scores [M, N] of all models, none of which but t's own row draws on model t."""
    models = len(population.member)
    advantage, tpr_at = np.empty(models), {rate: np.empty(models) for rate in rates}
    for target in range(models):
        scores, member = scores_without(target)[:, among], population.member[:, among]
        shadows = np.arange(models) != target
        threshold = best_threshold(scores[shadows].ravel(), member[shadows].ravel())
        inside, outside = scores[target, member[target]], scores[target, ~member[target]]
        advantage[target] = (inside >= threshold).mean() - (outside >= threshold).mean()
        for rate in rates:
            allowed = np.sort(outside)[::-1][math.floor(rate * len(outside))]  # so many outsiders score higher
            tpr_at[rate][target] = (inside > allowed).mean()
    return Measured(advantage, tpr_at)


def best_threshold(scores: FloatMatrix, member: Mask) -> float:
    """The threshold whose TPR - FPR is largest."""
    order = np.argsort(-scores, kind="stable")
    gain = np.cumsum(np.where(member[order], 1 / member.sum(), -1 / (~member).sum()))
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores fall on one side
    return float(scores[order][np.argmax(np.where(last, gain, -np.inf))])


def _ratios(population: Population, target: int) -> FloatMatrix:
    """Log-likelihood ratios [M, N]; each model is compared with all models but itself and the target."""
    models = np.arange(len(population.member))
    return np.stack([_ratio(population, m, (models != m) & (models != target)) for m in range(len(models))])


def _ratio(population: Population, model: int, shadows: Mask) -> FloatMatrix:
    confidence, member = population.confidence[shadows], population.member[shadows]
    seen = population.confidence[model]
    inside, outside = _gaussian(confidence, member, population.fraud), _gaussian(confidence, ~member, population.fraud)
    return _log_density(seen, *inside) - _log_density(seen, *outside)


def _gaussian(confidence: FloatMatrix, chosen: Mask, fraud: Mask) -> tuple[FloatMatrix, FloatMatrix]:
    """Mean [N] for each record, deviation [N] for its class, over the models that are chosen for it."""
    count = chosen.sum(axis=0)
    mean = (confidence * chosen).sum(axis=0) / np.maximum(count, 1)
    squares = ((confidence - mean) ** 2 * chosen).sum(axis=0)
    deviation = np.empty_like(mean)
    for kind in (fraud, ~fraud):
        freedom = np.maximum(count[kind] - 1, 0).sum()
        deviation[kind] = math.sqrt(max(squares[kind].sum() / max(freedom, 1), 1e-12))
    return mean, deviation


def _log_density(seen: FloatMatrix, mean: FloatMatrix, deviation: FloatMatrix) -> FloatMatrix:
    density: FloatMatrix = -0.5 * ((seen - mean) / deviation) ** 2 - np.log(deviation)
    return density
