"""One cell with one seed: a federation's rounds, what its model is worth, and whom the rule left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from secure_fl.attacks.poisoning.backdoor import backdoor_success, passed, threshold_of
from secure_fl.attacks.poisoning.cells import NONE, Cell, named
from secure_fl.attacks.poisoning.staging import staged
from secure_fl.errors import ProtocolError, TrainingError
from secure_fl.federation.opening import Federation
from secure_fl.federation.results import LeftOut, RoundRecord
from secure_fl.federation.run import train_rounds
from secure_fl.robust import RULES
from secure_fl.settings import Experiment

BACKDOOR = "backdoor"


@dataclass(frozen=True)
class Trial:
    """What a federation came to."""

    auprc: float
    frauds_passed: float
    """Share of the test frauds below the threshold of the unharmed model."""
    backdoor_success: float | None
    """The same with the pattern on them; None where nobody asked: under other attacks."""
    rightly_excluded: float | None
    """Share of the poisoned uploads that the rule left out; None where there is none, or no choice."""
    wrongly_excluded: float | None
    """Share of the honest uploads that it left out."""
    seconds: float
    """From all uploads to the mean: aggregator and rule, the median over rounds."""
    rounds: tuple[RoundRecord, ...] = field(repr=False)
    threshold: float = field(repr=False)
    """Of the unharmed model."""


@dataclass(frozen=True)
class Stopped:
    """A federation that ended in an error."""

    reason: str


def run_trial(opened: Federation, experiment: Experiment, cell: Cell, threshold: float | None) -> Trial | Stopped:
    """`threshold`: of the unharmed model; None where this is the one."""
    federation = staged(opened, experiment)
    try:
        history = train_rounds(federation)
    except (TrainingError, ProtocolError) as error:
        return Stopped(str(error))
    weights, test, learner = history.model.weights, federation.test, federation.learner
    if threshold is None:
        threshold = threshold_of(weights, test, learner)
    assert history.scores is not None, "there is at least one round"
    looked = named(cell.attack)[0] in (NONE, BACKDOOR)
    right, wrong = shares_left_out(history.rounds) if _chooses(cell.rule) else (None, None)
    return Trial(
        auprc=history.scores.auprc,
        frauds_passed=passed(weights, test.features[test.fraud], threshold, learner),
        backdoor_success=backdoor_success(weights, test, threshold, learner) if looked else None,
        rightly_excluded=right,
        wrongly_excluded=wrong,
        seconds=median(record.seconds.server + record.seconds.decode for record in history.rounds),
        rounds=history.rounds,
        threshold=threshold,
    )


def shares_left_out(rounds: Sequence[RoundRecord]) -> tuple[float | None, float | None]:
    """Of the poisoned uploads, and of the honest ones, over all rounds; None of those that there are none of."""
    counted = LeftOut.of(rounds)
    return (
        counted.rightly / counted.poisoned if counted.poisoned else None,
        counted.wrongly / counted.honest if counted.honest else None,
    )


def _chooses(rule: str) -> bool:
    return rule != NONE and RULES[rule].chooses
