"""The stream of one seed, ready for learning: which patterns come when, and the features of all rows.

0.1 % fraud: half of it the simulator's, everywhere and all the time; the other half new patterns, which appear at one
bank after the banks have learned from the first weeks, and move to the next bank every `lag_days`. Synthetic frauds
are drawn at each bank for its own customers and terminals in the weeks before the first model; they are examples for
training only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from secure_fl.bench.claims.library import SYNTHETIC, Synthetic, new_patterns, training_patterns, typical_seconds
from secure_fl.data import (
    DELAY_DAYS,
    Examples,
    FeatureSchema,
    FederationKey,
    RawFeatures,
    Simulation,
    Standardization,
    Transactions,
    concatenate,
    encode,
    extract,
    moments,
)
from secure_fl.data.drift import Course, Stream, make_stream
from secure_fl.data.drift.stream import WEEK_DAYS
from secure_fl.data.simulator import DAY, PATTERNS
from secure_fl.data.synthetic.patterns import FraudPattern
from secure_fl.data.synthetic.sampler import sample
from secure_fl.training import TrainingSettings

_ROOM = 2.0
"""Synthetic data leave out a pattern whose sequences typically take more than the host's period divided by this."""
_FIRST_NEW = len(PATTERNS) + 1


@dataclass(frozen=True)
class StreamSettings:
    """Of the stream and of how is learned from it."""

    transactions: int = 600_000
    banks: int = 3
    fraud_share: float = 0.001
    """Of all payments; half of it are new patterns."""
    patterns: int = 3
    """New ones; the first of pattern j at bank j."""
    window_days: int = 49
    """Days that a model learns from."""
    quiet_weeks: int = 1
    """Weeks between the first model and the first new pattern."""
    apart_days: int = 7
    """Between the appearances of two new patterns."""
    lag_days: int = 14
    """From one bank to the next."""
    weeks: int = 6
    """How long a pattern stays at a bank."""
    fading_weeks: int = 2
    first_epochs: int = 20
    """Passes of the first model."""
    epochs: int = 4
    """Passes of a week's retraining."""
    honest_share: float = 0.1
    """Share of honest rows in training."""
    synthetic_rows: int = 20
    """Of each pattern, at each bank."""
    false_positive_rate: float = 0.005
    training: TrainingSettings = field(default_factory=TrainingSettings)

    @property
    def start(self) -> int:
        """The day of the first model: a window, and the delay of its labels."""
        return self.window_days + DELAY_DAYS

    @property
    def days(self) -> int:
        """Until the last pattern has left the last bank, in whole weeks."""
        last = (self.patterns - 1) * self.apart_days + (self.banks - 1) * self.lag_days
        return self.start + (self.quiet_weeks + self.weeks) * WEEK_DAYS + math.ceil(last / WEEK_DAYS) * WEEK_DAYS

    @property
    def weeks_scored(self) -> int:
        """How often models are retrained, and score a week."""
        return len(range(self.start, self.days, WEEK_DAYS))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"days": self.days}


@dataclass(frozen=True, eq=False)
class Scene:
    """One seed's stream, ready for learning."""

    settings: StreamSettings
    seed: int
    stream: Stream
    new: tuple[FraudPattern, ...]
    raw: tuple[RawFeatures, ...]
    schema: FeatureSchema
    extra: dict[Synthetic, list[Examples | None]]


def courses_of(settings: StreamSettings, new: Sequence[FraudPattern]) -> tuple[Course, ...]:
    """When each new pattern is at which bank."""
    first = settings.start + settings.quiet_weeks * WEEK_DAYS
    frauds = settings.fraud_share / 2 * settings.transactions / (len(new) * settings.banks)
    return tuple(
        Course(
            number=_FIRST_NEW + place,
            arrivals=tuple(
                first + place * settings.apart_days + (bank - place) % settings.banks * settings.lag_days
                for bank in range(settings.banks)
            ),
            weeks=settings.weeks,
            fading_weeks=settings.fading_weeks,
            frauds=round(frauds),
            source=partial(sample, pattern),
        )
        for place, pattern in enumerate(new)
    )


def set_up(settings: StreamSettings, seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    new = new_patterns(settings.patterns, rng)
    simulation = Simulation(
        transactions=settings.transactions, days=settings.days, fraud_share=settings.fraud_share / 2, seed=seed
    )
    stream = make_stream(simulation, settings.banks, courses_of(settings, new), rng)
    key = FederationKey.for_simulation(seed)
    raw = tuple(extract(bank, key) for bank in stream.banks)
    known = settings.window_days * DAY
    total = [moments(bank.before(known).numeric) for bank in raw]
    standardization = Standardization.from_moments(sum(total[1:], start=total[0]))
    schema = FeatureSchema.create(stream.banks[0].schema, standardization, key)
    extra = {
        synthetic: [
            _synthetic_examples(bank.before(known), patterns, settings.synthetic_rows, schema, key, rng)
            for bank in stream.banks
        ]
        for synthetic in SYNTHETIC
        for patterns in [training_patterns(synthetic, new, rng)]
    }
    return Scene(settings, seed, stream, new, raw, schema, extra)


def _synthetic_examples(
    host: Transactions,
    patterns: Sequence[FraudPattern],
    rows: int,
    schema: FeatureSchema,
    key: FederationKey,
    rng: np.random.Generator,
) -> Examples | None:
    """Features of so many frauds of each pattern, with the host's rows as their past."""
    room = (host.when[-1] - host.when[0]) / _ROOM
    usable = [pattern for pattern in patterns if typical_seconds(pattern) < room]
    if not usable:
        return None
    drawn = concatenate([sample(pattern, rows, host, rng) for pattern in usable])
    table = extract(concatenate([host, drawn]), key)
    return encode(table.take(slice(len(host), None)), schema)
