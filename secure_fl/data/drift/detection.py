"""Noticing that fraud has changed: change detectors of the river library on a sequence of errors or scores.

- adwin: Bifet, Gavalda, "Learning from Time-Changing Data with Adaptive Windowing", SDM 2007. It drops the older part
  of its window when the means of two parts differ more than chance allows (its `delta`).
- kswin: Raab, Heusinger, Schleif, "Reactive Soft Prototype Computing for Concept Drift Streams", Neurocomputing 2020:
  a Kolmogorov-Smirnov test of the newest values against older ones. Its sampling of the older ones is seeded.
- page-hinkley: Page, "Continuous Inspection Schemes", Biometrika 1954: a cumulative sum against the running mean.

Rules: a detector sees a value once, in order, and never a later one. What is fed decides how early an alarm can be:
a score is there at once, an error only when the fraud is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from secure_fl.errors import ConfigurationError

DetectorName = Literal["adwin", "kswin", "page-hinkley"]
DETECTORS: tuple[str, ...] = get_args(DetectorName)


@dataclass(frozen=True)
class Alarms:
    """What a detector said about a sequence."""

    places: tuple[int, ...]
    """Places in the sequence, from 0, at which a change was reported."""
    length: int
    """Length of the sequence."""


def watch(values: Iterable[float], detector: DetectorName = "adwin", *, seed: int = 0, **settings: Any) -> Alarms:
    """Feed finite values, one by one, to a detector and note its alarms.

    settings: river's own, for instance delta=0.01 for adwin; what is not given is river's default, but that adwin
    looks at every value (clock=1) instead of every 32nd, because frauds are few. Raises ConfigurationError for another
    detector or setting, or without river.
    """
    watcher = _detector(detector, seed, settings)
    places, place = [], -1
    for place, value in enumerate(values):
        watcher.update(value)
        if watcher.drift_detected:
            places.append(place)
    return Alarms(tuple(places), place + 1)


def _detector(name: str, seed: int, settings: dict[str, Any]) -> Any:
    try:
        from river import drift  # an extra, and slow to import
    except ImportError:
        raise ConfigurationError("drift detection needs river; install secure-fl[drift]") from None
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "adwin": (drift.ADWIN, {"clock": 1}),
        "kswin": (drift.KSWIN, {"seed": seed}),
        "page-hinkley": (drift.PageHinkley, {}),
    }
    if name not in kinds:
        raise ConfigurationError(f"there is no drift detector {name!r}; choose one of {', '.join(DETECTORS)}")
    kind, defaults = kinds[name]
    try:
        return kind(**{**defaults, **settings})
    except TypeError:
        raise ConfigurationError(f"{name} has no such setting; see river's {kind.__name__}") from None
