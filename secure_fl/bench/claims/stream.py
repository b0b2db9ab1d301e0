"""One stream, several ways to learn from it: how long each bank needs to detect patterns that are new.

A way to learn is a pair: "local" (each bank alone) or "federated" (FedAvg among the banks), and what synthetic data are
added (see claims_library). The stream is described in claims_scene.

Every week the models are retrained (see claims_retraining) and score the week that follows. A payment is flagged if
its score is above that of all but `false_positive_rate` of the honest payments of the same bank and week: all models
bother the same number of honest customers. (Whoever runs such a model would set the threshold on the week before.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from secure_fl.bench.claims.delays import Delay, delay
from secure_fl.bench.claims.library import SYNTHETIC, Synthetic
from secure_fl.bench.claims.retraining import Weights, retrain_alone, retrain_together, training_window
from secure_fl.bench.claims.scene import Scene, StreamSettings, set_up
from secure_fl.data import Examples, encode
from secure_fl.data.drift.stream import WEEK_DAYS
from secure_fl.data.simulator import DAY
from secure_fl.training import initial_weights, predict

Learning = Literal["local", "federated"]
LEARNING: tuple[Learning, ...] = get_args(Learning)
Way = tuple[Learning, Synthetic]
WAYS: tuple[Way, ...] = tuple((learning, synthetic) for synthetic in SYNTHETIC for learning in LEARNING)


@dataclass(frozen=True)
class Detection:
    """One new pattern at one bank, under one way to learn."""

    seed: int
    pattern: str
    bank: int
    """From 1."""
    lag_days: int
    """From the pattern's arrival at its first bank to this one's; 0: this is the first bank."""
    learning: Learning
    synthetic: Synthetic
    frauds: int
    flagged: int
    days: int
    days_here: int
    detected: bool


@dataclass(frozen=True, eq=False)
class Scored:
    """The frauds of one bank since the first model, and whether each was flagged."""

    when: NDArray[np.float64]
    pattern: NDArray[np.int8]
    flagged: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Watched:
    """What one seed's stream gave: a `Scored` for each bank, by way to learn."""

    detections: tuple[Detection, ...]
    scored: dict[Way, tuple[Scored, ...]]
    fraud_share: float


@dataclass(frozen=True, eq=False)
class _Week:
    """One bank's payments of one week."""

    when: NDArray[np.float64]
    examples: Examples


def watch_stream(settings: StreamSettings, seed: int, advance: Callable[[], None] = lambda: None) -> Watched:
    """Make the stream of a seed and learn from it in every way; `advance` is called after each week."""
    scene = set_up(settings, seed)
    weeks: dict[Way, list[list[Scored]]] = {way: [] for way in WAYS}
    models: dict[Way, list[Weights]] = {way: [initial_weights(seed)] * settings.banks for way in WAYS}
    for today in range(settings.start, settings.days, WEEK_DAYS):
        windows, week = _windows(scene, today), _week(scene, today)
        for way in WAYS:
            models[way] = _retrain(scene, way, models[way], windows, today)
            weeks[way].append(
                [_score(m, w, settings.false_positive_rate) for m, w in zip(models[way], week, strict=True)]
            )
        advance()
    scored = {way: tuple(_join(parts) for parts in zip(*weeks[way], strict=True)) for way in WAYS}
    detections = tuple(record for way in WAYS for record in _detections(scene, way, scored[way]))
    return Watched(detections, scored, scene.stream.fraud_share)


def _windows(scene: Scene, today: int) -> list[Examples]:
    """What each bank can learn from, synthetic data aside; the same rows for every way to learn."""
    settings = scene.settings
    rng = np.random.default_rng([scene.seed, today])
    return [
        training_window(raw, scene.schema, today, settings.window_days, settings.honest_share, rng) for raw in scene.raw
    ]


def _week(scene: Scene, today: int) -> list[_Week]:
    """Each bank's payments in the week that begins today."""
    rows = [raw.take((raw.when >= today * DAY) & (raw.when < (today + WEEK_DAYS) * DAY)) for raw in scene.raw]
    return [_Week(raw.when, encode(raw, scene.schema)) for raw in rows]


def _retrain(scene: Scene, way: Way, models: list[Weights], real: list[Examples], today: int) -> list[Weights]:
    """Each bank's model for the week that begins today."""
    settings, (learning, synthetic) = scene.settings, way
    extra = scene.extra[synthetic]
    windows = [rows if more is None else Examples.pooled([rows, more]) for rows, more in zip(real, extra, strict=True)]
    epochs = settings.first_epochs if today == settings.start else settings.epochs
    seed = scene.seed * 1_000_003 + today * 1_009
    if learning == "local":
        return retrain_alone(models, windows, settings.training, epochs, seed)
    return [retrain_together(models[0], windows, settings.training, epochs, seed)] * settings.banks


def _score(model: Weights, week: _Week, rate: float) -> Scored:
    """The week's frauds, flagged where they score above all but `rate` of the week's honest rows."""
    scores, fraud = predict(model, week.examples.features), week.examples.fraud
    threshold = np.quantile(scores[~fraud], 1.0 - rate)
    return Scored(week.when[fraud], week.examples.pattern[fraud], scores[fraud] > threshold)


def _join(weeks: Sequence[Scored]) -> Scored:
    return Scored(*(np.concatenate([getattr(w, name) for w in weeks]) for name in ("when", "pattern", "flagged")))


def _detections(scene: Scene, way: Way, scored: Sequence[Scored]) -> list[Detection]:
    """A record for each new pattern at each bank."""
    learning, synthetic = way
    found = []
    for course, pattern in zip(scene.stream.courses, scene.new, strict=True):
        here = [(s.pattern == course.number, (s.when // DAY).astype(np.int64)) for s in scored]
        appeared = min(int(day[rows].min()) for rows, day in here)
        arrivals = [arrival for arrival in course.arrivals if arrival is not None]
        for bank, (rows, day) in enumerate(here):
            end = arrivals[bank] + course.weeks * WEEK_DAYS
            waited: Delay = delay(day[rows], scored[bank].flagged[rows], appeared, end)
            found.append(
                Detection(
                    seed=scene.seed,
                    pattern=pattern.name,
                    bank=bank + 1,
                    lag_days=arrivals[bank] - min(arrivals),
                    learning=learning,
                    synthetic=synthetic,
                    frauds=int(rows.sum()),
                    flagged=int(scored[bank].flagged[rows].sum()),
                    **asdict(waited),
                )
            )
    return found
