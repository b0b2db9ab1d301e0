"""An audit of epsilon: what the training really gives away, beside what its accountant says that it may.

The real DP-SGD of several banks trains on canaries (`canaries`), and observers guess which were in (`one_run`). They
differ in what they see: the final model; the sum of every round, and so every model; or every sum with all banks but
one on their side, who subtract their own updates. The bound is a lower one: it says how bad the training is at least.
Above the claim, the claim is wrong. Below, nothing is proved: noise that is spread over a few dozen steps hides more
than the worst case that an accountant must assume.

Rules: sums are taken exactly and without quantization, as every scheme opens them; rounding afterwards can hide
something, never show more. Noise is of the claimed size per bank, so that sums over banks hold more of it.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from secure_fl.attacks import canaries
from secure_fl.attacks.one_run import CONFIDENCE, Guesses, epsilon_bound, guess_included
from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError
from secure_fl.privacy.accounting import SampledGaussian, calibrate, epsilon
from secure_fl.training import FlatWeights, NoiseSettings, TrainingSettings, train_privately
from secure_fl.training.local import ADAM_EPS

FloatMatrix = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

VIEWS = ("final model", "every sum", "sums and colluding banks")
STEPS = 20
SHAPES = ((STEPS, 1), (1, STEPS))
"""Rounds, and steps in each. Single steps show most; a round of many shows what goes wrong between two steps."""
SAMPLED = 10
"""A batch is expected to hold one row in so many."""
GUESSED = 0.02
"""Share of the canaries that an observer calls included: less than those that a fixed batch would hold."""
_CLIP, _LEARNING_RATE = 1e-3, 1e-3
"""So small that Adam's steps are linear in the gradient, and that the model hardly moves."""


class NoisyTraining(Protocol):
    """`train_privately`, or what a test puts in its place."""

    def __call__(
        self,
        weights: FlatWeights,
        examples: Examples,
        settings: TrainingSettings,
        noise: NoiseSettings,
        steps: int,
        key: bytes,
    ) -> FlatWeights: ...


def dp_sgd(
    weights: FlatWeights,
    examples: Examples,
    settings: TrainingSettings,
    noise: NoiseSettings,
    steps: int,
    key: bytes,
) -> FlatWeights:
    """The training that is audited."""
    return train_privately(weights, examples, settings, noise, steps=steps, key=key)


@dataclass(frozen=True)
class Promise:
    """What is audited. Raises `ConfigurationError`."""

    epsilon: float
    delta: float
    banks: int = 3
    runs: int = 12

    def __post_init__(self) -> None:
        if not 1 <= self.runs <= 1000:
            raise ConfigurationError(f"{self.runs} runs are refused; use 1 to 1000")
        if not 2 <= self.banks <= canaries.MOST // SAMPLED // 10:
            raise ConfigurationError(
                f"an audit of {self.banks} banks is refused; use 2 to {canaries.MOST // SAMPLED // 10}"
            )

    @property
    def rows(self) -> int:
        """Canaries of each bank in a run."""
        return canaries.MOST // self.banks // SAMPLED * SAMPLED

    @property
    def batch(self) -> int:
        return self.rows // SAMPLED

    def events(self, noise_multiplier: float) -> tuple[SampledGaussian, ...]:
        return (SampledGaussian(noise_multiplier, self.batch / self.rows, STEPS),)


@dataclass(frozen=True)
class Observed:
    """All canaries of all runs: what each left behind, in units of the clip norm, and whether it was in."""

    alone: FloatMatrix
    """[m, rounds]: in the update of the canary's own bank."""
    summed: FloatMatrix
    """[m, rounds]: in the sum over all banks."""
    included: NDArray[np.bool_]
    """[m]."""


def run_audit(
    promise: Promise,
    rng: np.random.Generator,
    progress: Progress,
    train: NoisyTraining = dp_sgd,
    new_key: Callable[[], bytes] = lambda: secrets.token_bytes(32),
    shapes: Sequence[tuple[int, int]] = SHAPES,
) -> list[dict[str, Any]]:
    """A row of figures for each view; `rng` tosses the coins, `new_key` makes the noise."""
    multiplier = calibrate(promise.events, promise.epsilon, promise.delta)
    results = []
    for rounds, steps in shapes:
        observed = observe(promise, multiplier, (rounds, steps), rng, progress, train, new_key)
        for view in VIEWS if steps == 1 else VIEWS[-1:]:
            scores = _scores(view, observed, multiplier, promise)
            guesses = guess_included(scores, observed.included, round(GUESSED * len(scores)))
            results.append(_figures(promise, multiplier, view, (rounds, steps), guesses))
    return results


def observe(
    promise: Promise,
    multiplier: float,
    shape: tuple[int, int],
    rng: np.random.Generator,
    progress: Progress,
    train: NoisyTraining,
    new_key: Callable[[], bytes],
) -> Observed:
    """Federations of `shape` (rounds, steps in each) on canaries drawn by coins, all of whose updates are noted."""
    what = f"runs of {shape[0]} x {shape[1]} steps"
    found = []
    for number in range(promise.runs):
        progress(what, number, promise.runs)
        found.append(_run(promise, NoiseSettings(multiplier, _CLIP), shape, rng, train, new_key))
    progress(what, promise.runs, promise.runs)
    return Observed(
        np.concatenate([run.alone for run in found]),
        np.concatenate([run.summed for run in found]),
        np.concatenate([run.included for run in found]),
    )


def _run(
    promise: Promise,
    noise: NoiseSettings,
    shape: tuple[int, int],
    rng: np.random.Generator,
    train: NoisyTraining,
    new_key: Callable[[], bytes],
) -> Observed:
    numbers = rng.permutation(canaries.MOST)[: promise.banks * promise.rows].reshape(promise.banks, -1)
    included = rng.random(numbers.shape) < 0.5
    examples = [canaries.rows(*bank) for bank in zip(numbers, included, strict=True)]
    settings = TrainingSettings(promise.batch, _LEARNING_RATE, dropout=0.0, positive_weight=1.0)
    scale = ADAM_EPS / _LEARNING_RATE * promise.batch / noise.max_grad_norm
    model, alone, summed = canaries.audited_model(), [], []
    for _ in range(shape[0]):
        updates = np.stack(
            [train(model, rows, settings, noise, shape[1], new_key()).astype(np.float64) - model for rows in examples]
        )
        pairs = zip(updates, numbers, strict=True)
        alone.append(scale * np.concatenate([canaries.marks(update, bank) for update, bank in pairs]))
        summed.append(scale * canaries.marks(updates.sum(axis=0), numbers.ravel()))
        model = (model + updates.mean(axis=0)).astype(np.float32)
    return Observed(np.stack(alone, axis=1), np.stack(summed, axis=1), included.ravel())


def _scores(view: str, observed: Observed, multiplier: float, promise: Promise) -> NDArray[np.float64]:
    """The higher, the likelier the canary was in, [m]."""
    if view == "final model":
        return np.asarray(observed.summed.sum(axis=1))
    if view == "every sum":
        return _log_ratio(observed.summed, multiplier * math.sqrt(promise.banks))
    return _log_ratio(observed.alone, multiplier)


def _log_ratio(marks: FloatMatrix, deviation: float) -> NDArray[np.float64]:
    """Log-likelihood ratio of an included canary, which is in a batch with chance 1 / `SAMPLED`, over the rounds."""
    in_batch = (marks - 0.5) / deviation**2 - math.log(SAMPLED)
    ratio: NDArray[np.float64] = np.logaddexp(math.log1p(-1 / SAMPLED), in_batch).sum(axis=1)
    return ratio


def _figures(
    promise: Promise, multiplier: float, view: str, shape: tuple[int, int], guesses: Guesses
) -> dict[str, Any]:
    claimed = epsilon(promise.events(multiplier), promise.delta)
    audited = epsilon_bound(guesses, promise.delta)
    best = Guesses(guesses.canaries, guesses.made, guesses.made)
    return {
        "view": view,
        "claimed_epsilon": claimed,
        "audited_epsilon": audited,
        "delta": promise.delta,
        "confidence": CONFIDENCE,
        "refuted": audited > claimed,
        "highest_possible": epsilon_bound(best, promise.delta),
        "batch": promise.batch,
        "banks": promise.banks,
        "runs": promise.runs,
        "rounds": shape[0],
        "steps_a_round": shape[1],
        "sample_rate": promise.batch / promise.rows,
        "noise_multiplier": multiplier,
        "canaries": guesses.canaries,
        "guesses": guesses.made,
        "right": guesses.right,
        "success_rate": guesses.right / guesses.made,
        "guessing": 0.5,
    }
