"""One comparison of OLD and NEW over all banks: shifts from secure sums of counts, alarms of each bank, a verdict.

Verdict:
- retrain: a feature or the score moved by more than 0.25 (or the limit that is given), beyond chance;
- watch: one moved by more than 0.1, beyond chance, or a bank's detector fired;
- stable: neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.drift.bins import FEATURE_BINS, SCORE, SCORE_BINS, apart, counts_of
from secure_fl.audit.drift.holdings import PAST_DAYS, Holding
from secure_fl.audit.drift.resampling import REPLICATES, resampled_counts
from secure_fl.audit.drift.stability import LEVEL, Shift, shifts_of
from secure_fl.audit.sums import MadeSum, SecureSums
from secure_fl.data import FeatureSchema
from secure_fl.data.behaviour import DAY
from secure_fl.data.drift import watch
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.report.scores import Intake
from secure_fl.report.wording import plural
from secure_fl.secagg.custody import Custody
from secure_fl.settings import Experiment

SCHEMA = 1
WATCH, RETRAIN = 0.1, 0.25
"""The convention of credit scoring for PSI; see `stability`."""
LEAST_ROWS = 100
"""In each period; of fewer, chance is not known well enough."""
DETECTOR: Literal["adwin"] = "adwin"
Verdict = Literal["retrain", "watch", "stable"]


@dataclass(frozen=True)
class Alarm:
    """What a bank says of its own stream of scores: whether its detector fired, and when first."""

    bank: str
    first: str | None
    """A day of NEW, or a share of its rows; None: it did not fire."""


@dataclass(frozen=True)
class Drift:
    """What was found."""

    experiment: Experiment = field(repr=False)
    rows: tuple[int, int]
    """Of OLD and NEW, that were compared."""
    score: Shift
    features: tuple[Shift, ...]
    alarms: tuple[Alarm, ...]
    local: tuple[tuple[Shift, ...], ...] = field(repr=False)
    """Each bank's own shifts, the score's last, which stay there; none of a bank with few rows."""
    sums: tuple[MadeSum, ...]
    custody: Custody = field(repr=False)
    looks_back: bool
    max_psi: float | None = None

    @property
    def limit(self) -> float:
        """Above which the model is to be trained again."""
        return RETRAIN if self.max_psi is None else self.max_psi

    @property
    def shifts(self) -> tuple[Shift, ...]:
        """The score's, then those of features, the largest first."""
        return (self.score, *sorted(self.features, key=lambda shift: -shift.psi))

    @property
    def verdict(self) -> Verdict:
        if any(shift.exceeds(self.limit) for shift in self.shifts):
            return "retrain"
        return "watch" if self.reasons else "stable"

    @property
    def failed(self) -> bool:
        """Whether a limit was given and is exceeded."""
        return self.max_psi is not None and self.verdict == "retrain"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is not "stable"."""
        limit = min(WATCH, self.limit)
        moved = [f"PSI {each.psi:.3f} of {each.name}" for each in self.shifts if each.exceeds(limit)]
        fired = [f"{each.bank}'s detector fired at {each.first}" for each in self.alarms if each.first]
        return (*moved, *fired)

    @property
    def notes(self) -> tuple[str, ...]:
        """What one should know of these figures, in sentences."""
        notes = ["Known fraud is not read: features of it count as none on both sides."]
        if self.looks_back:
            notes.append(f"The first {PAST_DAYS} days of OLD are only the past of later rows, and are not compared.")
        if self.experiment.scheme == "plaintext":
            notes.append("The run's scheme is plaintext: the aggregator reads each bank's counts.")
        notes.append(
            "No noise is added to these counts"
            + (", and the run's epsilon does not cover them." if self.experiment.private else ".")
        )
        return tuple(notes)

    def document(self) -> dict[str, Any]:
        """All figures that may leave the banks, as plain JSON values."""
        return {
            "schema": SCHEMA,
            "scheme": self.experiment.scheme,
            "banks": [alarm.bank for alarm in self.alarms],
            "rows": {"old": self.rows[0], "new": self.rows[1]},
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "limits": {
                "watch": min(WATCH, self.limit),
                "retrain": self.limit,
                "level": LEVEL,
                "replicates": REPLICATES,
            },
            "score": self.score.document(),
            "features": [shift.document() for shift in self.shifts[1:]],
            "bins": {"feature": FEATURE_BINS, "score": SCORE_BINS},
            "detector": {"name": DETECTOR, "alarms": [asdict(alarm) for alarm in self.alarms]},
            "sums": [asdict(each) for each in self.sums],
            "custody": {party: list(what) for party, what in self.custody.can_decrypt.items()},
            "notes": list(self.notes),
        }

    def local_documents(self) -> dict[str, dict[str, Any]]:
        """Each bank's own figures, as plain JSON values, for that bank alone."""
        return {
            alarm.bank: {"schema": SCHEMA, "bank": alarm.bank, "shifts": [shift.document() for shift in own]}
            for alarm, own in zip(self.alarms, self.local, strict=True)
        }


def find_drift(
    experiment: Experiment, intake: Intake, holdings: Sequence[Holding], max_psi: float | None = None
) -> Drift:
    """Raises `ConfigurationError` or `DataError`; drift is no error."""
    if max_psi is not None and not 0 < max_psi < float("inf"):
        raise ConfigurationError(f"a limit of {max_psi:g} is none of PSI; use a number above 0, such as {RETRAIN}")
    schema = intake.schema
    alarms = tuple(_listen(holding, schema) for holding in holdings)
    sums = SecureSums.of(experiment)
    counted = [counts_of(holding, schema) for holding in holdings]
    total = sums.add("rows in bins", counted)
    rows = _rows(total, schema)
    for period, count in zip(("OLD", "NEW"), rows, strict=True):
        if count < LEAST_ROWS:
            past = f" after {PAST_DAYS} days of past" if intake.needs_history else ""
            raise DataError(
                f"{period} has {plural(count, 'row')} to compare{past}; give a file of at least {LEAST_ROWS}"
            )
    again = [resampled_counts(holding, schema, np.random.default_rng()) for holding in holdings]
    shifts = _shifts(total, sums.add("rows in bins, resampled", again), schema)
    return Drift(
        experiment=experiment,
        rows=rows,
        score=shifts[-1],
        features=shifts[:-1],
        alarms=alarms,
        local=tuple(
            _shifts(own, drawn, schema) if min(_rows(own, schema)) >= LEAST_ROWS else ()
            for own, drawn in zip(counted, again, strict=True)
        ),
        sums=tuple(sums.made),
        custody=sums.custody,
        looks_back=intake.needs_history,
        max_psi=max_psi,
    )


def _shifts(counts: NDArray[np.int64], again: NDArray[np.int64], schema: FeatureSchema) -> tuple[Shift, ...]:
    """Each feature's, then the score's."""
    return shifts_of(apart(counts, schema), apart(again, schema))


def _rows(counts: NDArray[np.int64], schema: FeatureSchema) -> tuple[int, int]:
    """Of OLD and NEW."""
    old, new = apart(counts, schema)[SCORE].sum(axis=-1)
    return int(old), int(new)


def _listen(holding: Holding, schema: FeatureSchema) -> Alarm:
    """Feed a bank's scores of NEW, in order of time, to its detector. Of the time of a row, only its day is told."""
    places, when = watch(holding.new.scores.tolist(), DETECTOR).places, holding.new.raw.when
    if not places:
        return Alarm(holding.name, None)
    if schema.source.time is None:
        return Alarm(holding.name, f"{100 * places[0] // len(when)} % of the rows of NEW")
    return Alarm(holding.name, f"day {int((when[places[0]] - when[0]) // DAY) + 1} of NEW")
