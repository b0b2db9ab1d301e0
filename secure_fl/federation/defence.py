"""A round with a robust rule in the place of the mean: the aggregator reads single updates, and the rule decides.

Banks upload as they always do under plaintext, quantized, but every bank counts the same. What cannot be read is its
sender's dropout; that includes a bank that says that it clipped more values than there are.

FLTrust's root set: the aggregator holds a clean share of the training rows, drawn once, frauds among them as among all.
Somebody has to give it such rows; the sandbox takes them from the banks, before anything is poisoned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from secure_fl.codec.quantization import Codec, Contribution, FloatVector, MeanUpdate
from secure_fl.data import Examples
from secure_fl.errors import MessageError, TrainingError
from secure_fl.federation.global_model import GlobalModel
from secure_fl.robust import RULES, Rule
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.plaintext import plaintext_server
from secure_fl.secagg.protocol import ServerHalf, Values, dropout, reason
from secure_fl.settings import Experiment
from secure_fl.settings.robust import least_banks
from secure_fl.training import Learner, mixed_seed, train

ROOT_SHARE, LEAST_ROOT_ROWS = 0.01, 100
"""Of the training rows of all banks. The paper has 100 rows; at one fraud in 600 there would be none among them."""


@dataclass(frozen=True)
class Combined:
    """What a round's updates were combined to."""

    mean: MeanUpdate
    clipped_fraction: float | None
    same_of: Callable[[list[Contribution]], FloatVector] = field(repr=False)
    """What the same combination of the contributors' updates is, in float64 and without quantization."""
    excluded: tuple[str, ...] = ()
    """Contributors that have no part in it."""

    def max_abs_error(self, contributions: list[Contribution]) -> float:
        """Largest difference to the same of updates that were not quantized."""
        return float(np.abs(self.mean.update - self.same_of(contributions)).max())


@dataclass(frozen=True)
class Root:
    """The clean rows that the aggregator holds, and how it trains on them."""

    examples: Examples = field(repr=False)
    experiment: Experiment
    learner: Learner

    def update(self, model: GlobalModel, round_: int) -> FloatVector:
        """New minus old weights, as a bank's."""
        *_, trained = train(
            model.weights,
            self.examples,
            self.experiment,
            epochs=self.experiment.local_epochs,
            seed=mixed_seed(self.experiment.seed, round_, *b"root"),
            learner=self.learner,
        )
        update: FloatVector = trained.astype(np.float64) - model.weights
        return update


@dataclass(frozen=True)
class Defence:
    """The rule of an experiment."""

    rule: Rule
    byzantine: int
    root: Root | None = None
    """Where the rule needs one."""

    @classmethod
    def of(cls, experiment: Experiment, examples: Sequence[Examples], learner: Learner) -> Defence | None:
        """`examples`: the clean training rows of each bank. None where sums are averaged."""
        if experiment.robust == "none":
            return None
        rule = RULES[experiment.robust]
        root = Root(_root_rows(examples, experiment.seed), experiment, learner) if rule.needs_root else None
        return cls(rule, experiment.byzantine, root)

    def reading(self, codec: Codec, model: GlobalModel) -> Reading:
        """One round with this rule."""
        return Reading(self, codec, model)

    def custody(self, custody: Custody) -> Custody:
        """What a scheme says of itself, and what the rule changes about it."""
        reads = list(custody.can_decrypt[AGGREGATOR])
        if self.root is not None:
            reads.append(f"{len(self.root.examples)} clean training rows, the root set of fltrust")
        said = (
            f"The aggregator combines single updates by {self.rule.name}, which bears up to {self.byzantine} byzantine "
            "banks as far as its paper says; the statistics of round 0 are plain sums, which any bank can steer."
        )
        return replace(
            custody,
            can_decrypt={
                **custody.can_decrypt,
                "banks": ("their own update", "what the rule makes of all updates"),
                AGGREGATOR: tuple(reads),
            },
            assumptions=(*custody.assumptions, said),
        )


@dataclass
class Reading:
    """The updates of one round, as the aggregator reads them."""

    defence: Defence
    codec: Codec
    model: GlobalModel
    arrived: dict[str, MeanUpdate] = field(default_factory=dict)
    """Of the last attempt: bank -> its update."""

    def server(self, cohort: Cohort[Plan]) -> ServerHalf:
        """The aggregator's half: that of plaintext, which keeps the updates apart too."""
        rule, byzantine = self.defence.rule, self.defence.byzantine
        self.arrived = {}
        summed = yield from plaintext_server(cohort, self._look)
        least = least_banks(rule.name, byzantine)
        if len(self.arrived) < least:
            raise dropout(
                f"only {len(self.arrived)} banks sent an update in round {cohort.round}, and {rule.name} needs {least} "
                f"where {byzantine} may be byzantine",
                "wait for more banks",
                summed.refused,
            )
        return summed

    def combine(self, contributors: tuple[str, ...], round_: int) -> Combined:
        """What the rule makes of the updates. Raises `TrainingError` where too few of them are finite."""
        rule, byzantine = self.defence.rule, self.defence.byzantine
        root = None if self.defence.root is None else self.defence.root.update(self.model, round_)
        found = rule(np.array([self.arrived[bank].update for bank in contributors]), byzantine, root)
        claims = sorted((self.arrived[bank].clipped or 0 for bank in contributors), reverse=True)
        clipped = claims[min(byzantine, len(claims) - 1)]

        def same_of(contributions: list[Contribution]) -> FloatVector:
            exact = np.array([c.update for c in contributions])
            mixed: FloatVector
            mixed = rule(exact, byzantine, root).aggregate if found.weights is None else found.weights @ exact
            return mixed

        return Combined(
            MeanUpdate(found.aggregate, clipped, self.arrived[contributors[0]].step),
            clipped / len(found.aggregate),
            same_of,
            tuple(bank for row, bank in enumerate(contributors) if row not in found.chosen),
        )

    def _look(self, bank: str, values: Values) -> None:
        """Keep the update that a bank's values are. Raises `MessageError` for a count that cannot be."""
        try:
            self.arrived[bank] = self.codec.decode(values, 1)
        except TrainingError as error:
            raise MessageError(f"{reason(error)}; find out why") from None


def _root_rows(examples: Sequence[Examples], seed: int) -> Examples:
    """A share of all rows, of frauds as of honest ones, and at least one of each."""
    pooled = Examples.pooled(examples)
    share = min(1.0, max(ROOT_SHARE, LEAST_ROOT_ROWS / len(pooled)))
    rng = np.random.default_rng([seed, *b"root rows"])
    kinds = [np.flatnonzero(pooled.fraud), np.flatnonzero(~pooled.fraud)]
    rows = np.sort(np.concatenate([rng.permutation(kind)[: int(np.ceil(share * len(kind)))] for kind in kinds]))
    return pooled.take(rows)
