"""Inversion: the aggregator rebuilds transactions from what it holds of one bank's upload.

From the update back to the gradient (`step`), exact rows through the first layer (`factorization`), gradient matching
for the rest (`matching`). The same code runs under every scheme. Beside it: blind guessing with as many rows of the
population; since every scheme opens the sum, the same attack on the sum of all banks; and what an aggregator makes of
several uploads and sums together, with colluders and without (`views`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.attacks.factorization import factorize
from secure_fl.attacks.judging import CLOSE, EXACT, interval_of_shares, match
from secure_fl.attacks.matching import Victim, match_gradients
from secure_fl.attacks.scene import Scene
from secure_fl.attacks.step import first_layer, gradient_of
from secure_fl.attacks.trial import Observatory, Seen
from secure_fl.attacks.victim import LocalStep
from secure_fl.attacks.views import figures, look
from secure_fl.errors import ConfigurationError
from secure_fl.progress import Progress

FloatVector = NDArray[np.float64]

MATCHING_TRIALS = 5
"""Gradient matching on its own is measured on so many trials of each batch size: it takes half a second each."""


@dataclass(frozen=True)
class Rebuilt:
    """One trial, judged."""

    errors: FloatVector
    """Relative error for each true row, at most 10."""
    guessing: FloatVector
    """The same for blind guesses."""
    matching_errors: FloatVector | None
    sum_errors: FloatVector
    """For every row of every bank, from the opened sum."""
    guesses: FloatVector = field(repr=False)
    """What the attack found, in the order of the true rows."""
    rows: NDArray[np.float32] = field(repr=False)


def invert(observatory: Observatory, update: FloatVector, batch: int, rng: np.random.Generator) -> FloatVector:
    """Rows [n, 128] that the attacker believes made `update` [parameters]; n is `batch`."""
    gradient, victim = _gradient_and_victim(observatory, update, batch)
    known = factorize(first_layer(gradient), first_layer(observatory.model.weights), batch, rng).rows
    return match_gradients(gradient, victim, known, rng)


def run_inversion(
    scene: Scene, local: LocalStep, batches: Sequence[int], trials: int, rng: np.random.Generator, progress: Progress
) -> tuple[list[dict[str, Any]], dict[int, list[Rebuilt]]]:
    """A row of figures for each batch size, and the trials behind them by batch size. Raises `ConfigurationError`."""
    if trials < 1:
        raise ConfigurationError(f"{trials} trials measure nothing; use 1 or more")
    results: list[dict[str, Any]] = []
    rebuilt: dict[int, list[Rebuilt]] = {}
    for batch in batches:
        observatory, sights = Observatory(scene.with_batch(batch), local), []
        rebuilt[batch] = []
        for number in range(trials):
            progress(f"batch of {batch}", number, trials)
            rebuilt[batch].append(_judge(observatory, observatory.watch(rng), batch, number < MATCHING_TRIALS, rng))
            sights.append(look(observatory, rebuild_sum, rng))
        progress(f"batch of {batch}", trials, trials)
        results.append(_figures(batch, rebuilt[batch]) | figures(sights))
    return results, rebuilt


def _judge(observatory: Observatory, seen: Seen, batch: int, matching_too: bool, rng: np.random.Generator) -> Rebuilt:
    guesses = invert(observatory, seen.upload, batch, rng)
    places, errors = match(guesses, seen.rows)
    matching_errors = None
    if matching_too:
        gradient, victim = _gradient_and_victim(observatory, seen.upload, batch)
        matching_errors = match(match_gradients(gradient, victim, guesses[:0], rng), seen.rows)[1]
    found = rebuild_sum(observatory, seen.total, len(seen.all_rows), len(observatory.scene.dataset.banks), rng)
    population = observatory.scene.population
    return Rebuilt(
        errors=errors,
        guessing=match(population[rng.choice(len(population), size=batch)], seen.rows)[1],
        matching_errors=matching_errors,
        sum_errors=match(found, seen.all_rows)[1],
        guesses=guesses[places],
        rows=seen.rows,
    )


def rebuild_sum(
    observatory: Observatory, total: FloatVector, rows: int, banks: int, rng: np.random.Generator
) -> FloatVector:
    """Rows [k, 128] out of the sum of some banks' updates, read as one bank's step on all their `rows`.

    FedSGD's step is linear: there the mean is that step, and nothing is lost.
    """
    update = total / banks if observatory.local.optimizer == "sgd" else total
    gradient, _ = _gradient_and_victim(observatory, update, rows)
    return factorize(first_layer(gradient), first_layer(observatory.model.weights), rows, rng).rows


def _gradient_and_victim(observatory: Observatory, update: FloatVector, batch: int) -> tuple[FloatVector, Victim]:
    settings = observatory.scene.experiment
    gradient = gradient_of(update, settings.learning_rate, observatory.local.optimizer)
    weight = float(settings.positive_weight)
    return gradient, Victim(observatory.model.weights, batch, weight, settings.dropout)


def _figures(batch: int, trials: Sequence[Rebuilt]) -> dict[str, Any]:
    close = [float((trial.errors < CLOSE).mean()) for trial in trials]
    exact = [float((trial.errors < EXACT).mean()) for trial in trials]
    guessed = [float((trial.guessing < CLOSE).mean()) for trial in trials]
    summed = [float((trial.sum_errors < CLOSE).mean()) for trial in trials]
    matched = [float((t.matching_errors < CLOSE).mean()) for t in trials if t.matching_errors is not None]
    return {
        "batch": batch,
        "trials": len(trials),
        "success_rate": float(np.mean(close)),
        "interval": list(interval_of_shares(close)),
        "guessing": float(np.mean(guessed)),
        "guessing_interval": list(interval_of_shares(guessed)),
        "exact_rate": float(np.mean(exact)),
        "exact_interval": list(interval_of_shares(exact)),
        "median_error": float(np.median(np.concatenate([trial.errors for trial in trials]))),
        "matching_alone": {
            "trials": len(matched),
            "success_rate": float(np.mean(matched)),
            "interval": list(interval_of_shares(matched)),
        },
        "opened_sum": {
            "rows": len(trials[0].sum_errors),
            "success_rate": float(np.mean(summed)),
            "interval": list(interval_of_shares(summed)),
        },
    }
