"""One calibration over all banks: a map from a secure sum of counts, measured by another on rows that come later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.calibration.halves import Half, halves_of, has_time
from secure_fl.audit.calibration.maps import BINS, BetaMap, fit_map
from secure_fl.audit.calibration.reliability import LEVEL, Probabilities, Reliability, add_up
from secure_fl.audit.calibration.stored import describe
from secure_fl.audit.opening import Subject
from secure_fl.audit.sums import MadeSum, SecureSums
from secure_fl.audit.threshold import histogram
from secure_fl.errors import DataError
from secure_fl.federation.global_model import weights_sha256
from secure_fl.report.wording import plural
from secure_fl.secagg.custody import Custody

LEAST = 30
"""Frauds, and honest rows, in each half: ten for each number of the map, a rule of thumb (Peduzzi et al., "A simulation
study of the number of events per variable in logistic regression analysis", J. Clinical Epidemiology 49, 1996)."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """A map, and what it is worth."""

    subject: Subject = field(repr=False)
    fitted: BetaMap
    earlier: tuple[int, int]
    """Rows and frauds that the map was learned from."""
    later: tuple[int, int]
    """Rows and frauds that it was measured on."""
    reliability: Reliability = field(repr=False)
    chance: tuple[float, float]
    """What chance keeps the calibration error below: of the model's own scores, and of the calibrated ones."""
    sums: tuple[MadeSum, ...]
    custody: Custody = field(repr=False)

    @property
    def own_is_off(self) -> bool:
        """Whether the model's own scores miss what was found by more than chance."""
        return self.reliability.own.error > self.chance[0]

    @property
    def still_off(self) -> bool:
        """The same of the calibrated ones."""
        return self.reliability.calibrated.error > self.chance[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What one should know of these figures, in sentences."""
        experiment = self.subject.experiment
        notes = [_weighing(experiment.positive_weight)]
        if not has_time(self.subject):
            notes.append("The rows have no time, so halves were drawn: nothing is said of rows that come later.")
        notes.append("The map is right as long as fraud is as frequent as in the rows it was learned from.")
        if experiment.scheme == "plaintext":
            notes.append("The run's scheme is plaintext: the aggregator reads each bank's counts.")
        covered = ", and the run's epsilon does not cover them" if experiment.private else ""
        notes.append(f"No noise is added to these counts{covered}: a narrow bin with one row says its score and label.")
        return tuple(notes)

    def document(self) -> dict[str, Any]:
        """All figures that may leave the banks, as plain JSON values; what `score` reads."""
        experiment, found = self.subject.experiment, self.reliability
        kinds = zip((found.own, found.calibrated), self.chance, strict=True)
        own, calibrated = (_measured(kind, chance) for kind, chance in kinds)
        gains = {"brier": found.brier_gain, "log_loss": found.log_loss_gain}
        said = {
            "scheme": experiment.scheme,
            "banks": [bank.name for bank in self.subject.banks],
            "halves": "by time" if has_time(self.subject) else "drawn",
            "earlier": dict(zip(("rows", "frauds"), self.earlier, strict=True)),
            "later": dict(zip(("rows", "frauds"), self.later, strict=True)),
            "own": own | {"off": self.own_is_off},
            "calibrated": calibrated | {"off": self.still_off},
            "gain": {name: {"mean": mean, "interval": interval} for name, (mean, interval) in gains.items()},
            "level": LEVEL,
            "sums": [asdict(each) for each in self.sums],
            "custody": {party: list(what) for party, what in self.custody.can_decrypt.items()},
            "notes": list(self.notes),
        }
        return describe(self.fitted, weights_sha256(self.subject.weights), said)


def calibrate(subject: Subject) -> Calibration:
    """Raises `DataError` where rows are too few, or scores do not rank them."""
    halves, sums = halves_of(subject), SecureSums.of(subject.experiment)
    counts = sums.add("rows in narrow bins", [_counted(earlier, later) for earlier, later in halves])
    frauds, honest, rest = counts[:BINS], counts[BINS : 2 * BINS], counts[2 * BINS :]
    _require("earlier", int(frauds.sum()), int(honest.sum()))
    _require("later", *map(int, rest))
    fitted = fit_map(frauds, honest)
    reliability = Reliability.of_vector(sums.add("losses", [add_up(later, fitted) for _, later in halves]))
    rng = np.random.default_rng([subject.experiment.seed, *b"calibration"])
    return Calibration(
        subject=subject,
        fitted=fitted,
        earlier=(int(frauds.sum() + honest.sum()), int(frauds.sum())),
        later=(int(rest.sum()), int(rest[0])),
        reliability=reliability,
        chance=(reliability.own.chance(rng), reliability.calibrated.chance(rng)),
        sums=tuple(sums.made),
        custody=sums.custody,
    )


def _counted(earlier: Half, later: Half) -> NDArray[np.int64]:
    """int64 [2 * BINS + 2]: earlier frauds and honest rows in bins; how many of both come later."""
    kinds: Sequence[NDArray[np.bool_]] = (earlier.fraud, ~earlier.fraud)
    counted = [histogram(earlier.log_odds[kind]) for kind in kinds]
    return np.concatenate([*counted, [later.fraud.sum(), (~later.fraud).sum()]]).astype(np.int64)


def _require(half: str, frauds: int, honest: int) -> None:
    for count, kind in ((frauds, "fraud"), (honest, "honest row")):
        if count < LEAST:
            raise DataError(
                f"the {half} half of the test rows has {plural(count, kind)}, and a map takes {LEAST} in each half; "
                "run again with more rows, or a larger --test-fraction"
            )


def _measured(found: Probabilities, chance: float) -> dict[str, Any]:
    return {
        "mean": found.mean,
        "share": float(found.frauds.sum()) / found.count,
        "brier": found.brier,
        "log_loss": found.log_loss,
        "expected_calibration_error": found.error,
        "chance": chance,
        "bins": list(found.bins()),
    }


def _weighing(weight: float | str) -> str:
    """What training with weights does to scores, in a sentence."""
    if weight == 1:
        return "Training weighed all rows alike, so scores were meant to be probabilities."
    times = (
        "as many times as a bank has more legitimate rows than frauds" if weight == "balanced" else f"{weight:g} times"
    )
    return (
        f"Training weighed a fraud {times} (positive_weight), which makes the odds of a model that fits exactly too "
        "large by this factor."
    )
