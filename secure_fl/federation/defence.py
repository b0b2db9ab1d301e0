"""The rule of an experiment, and how it sees updates: one by one, by their encrypted distances, or as means of groups.

Under a rule every bank counts the same, and says nothing of itself: it could claim any number of rows.

FLTrust's root set: the aggregator holds a clean share of the training rows, drawn once, frauds among them as among all.
Somebody has to give it such rows; the sandbox takes them from the banks, before anything is poisoned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from secure_fl.codec.quantization import Codec, FloatVector
from secure_fl.data import Examples
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.combining import Averaging, Combining
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.grouping import Grouping, group_threshold, groups_of
from secure_fl.federation.reading import Reading
from secure_fl.federation.ruling import Ruling
from secure_fl.robust import RULES, Rule
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.settings import Experiment
from secure_fl.settings.robust import least_banks
from secure_fl.training import Learner, mixed_seed, train

ROOT_SHARE, LEAST_ROOT_ROWS = 0.01, 100
"""Of the training rows of all banks. The paper has 100 rows; at one fraud in 600 there would be none among them."""


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

    experiment: Experiment
    root: Root | None = None
    """Where the rule needs one."""

    @classmethod
    def of(cls, experiment: Experiment, examples: Sequence[Examples], learner: Learner) -> Defence | None:
        """`examples`: the clean training rows of each bank. None where sums are averaged."""
        if experiment.robust == "none":
            return None
        needed = RULES[experiment.robust].needs_root
        return cls(experiment, Root(_root_rows(examples, experiment.seed), experiment, learner) if needed else None)

    @property
    def rule(self) -> Rule:
        return RULES[self.experiment.robust]

    def combining(self, aggregation: SecureAggregation, codec: Codec, model: GlobalModel, round_: int) -> Combining:
        """One round with this rule."""
        way = self.experiment.way(self.experiment.scheme)
        if way == "distances":  # the key authority follows the rule, and what arrives is the sum of those it chose
            return Averaging(aggregation, codec, model, self.experiment.norm_bound)
        root = None if self.root is None else self.root.update(model, round_)
        ruling = Ruling(self.rule, self.experiment.byzantine, root)
        if way == "updates":
            return Reading(aggregation, codec, ruling)
        return Grouping(aggregation, codec, ruling, self.groups(round_))

    def groups(self, round_: int) -> tuple[tuple[str, ...], ...]:
        """The groups of banks of a round."""
        return groups_of(self.experiment.bank_names, self.experiment.groups, self.experiment.seed, round_)

    def custody(self, custody: Custody) -> Custody:
        """What a scheme says of itself, and what the rule changes about it."""
        match self.experiment.way(self.experiment.scheme):
            case "updates":
                return self._custody_of_updates(custody)
            case "groups":
                return self._custody_of_groups(custody)
            case _:
                return replace(custody, assumptions=(*custody.assumptions, self._promise("distances of updates")))

    def _promise(self, compared: str) -> str:
        least, f = least_banks(self.rule.name, self.experiment.byzantine), self.experiment.byzantine
        parts = "banks" if self.experiment.group_size is None else "groups"
        return (
            f"{self.rule.name} compares {compared}, and bears up to {f} byzantine banks as far as its paper says. A "
            f"round of fewer than {least} {parts} fails, and the run with it: with none to spare one bank stops it "
            "by silence, or by what cannot be read. The statistics of round 0 are plain sums, which any bank can "
            "steer: the scale of features, and where no initial_clip is given the first clip range, so far that "
            "rounding spoils the model."
        )

    def _custody_of_updates(self, custody: Custody) -> Custody:
        reads = list(custody.can_decrypt[AGGREGATOR])
        if self.root is not None:
            reads.append(f"{len(self.root.examples)} clean training rows, the root set of fltrust")
        return replace(
            custody,
            can_decrypt={
                **custody.can_decrypt,
                "banks": ("their own update", "what the rule makes of all updates"),
                AGGREGATOR: tuple(reads),
            },
            assumptions=(*custody.assumptions, self._promise("single updates")),
        )

    def _custody_of_groups(self, custody: Custody) -> Custody:
        """Who could read the sum of all updates reads those of groups; the broadcast model shows what the rule made."""
        sizes = sorted({len(group) for group in self.groups(1)})
        opened = group_threshold(sizes[0])
        within, whole = f"the sum of each group of {' or '.join(map(str, sizes))} banks", "the sum of all updates"
        if opened < sizes[0]:
            within += f", or of {opened} of them where the others are missing"

        def of_groups(party: str, known: tuple[str, ...]) -> tuple[str, ...]:
            if party == "banks":
                return ("their own update", "what the rule makes of the groups' means")
            return tuple(line.replace(whole, within) for line in known)

        of_key_authority = (
            "an aggregator that has sums over the same uploads opened in the turns of several groups of one round, "
            "and subtracts them: the key authority cannot see whose uploads a sum is of",
        )
        return replace(
            custody,
            summary=f"In groups of {' or '.join(map(str, sizes))} banks, each with a sum of its own: {custody.summary}",
            can_decrypt={party: of_groups(party, known) for party, known in custody.can_decrypt.items()},
            broken_by=(
                *custody.broken_by,
                f"the other banks in the sum of a group, which are {opened - 1} or more, with whoever knows that sum: "
                "they subtract their own updates",
                "whoever chooses the seed, with such banks: groups follow from it, so that it can put one bank among "
                "them; in enough rounds such groups are drawn by themselves, for one bank after the other",
                *(of_key_authority if KEY_AUTHORITY in custody.can_decrypt else ()),
                "sums of different groups in two rounds, of a bank whose update hardly changes: groups are drawn anew, "
                "and what two sums share cancels",
            ),
            assumptions=(
                *custody.assumptions,
                self._promise("means of groups, of which each byzantine bank spoils one"),
            ),
        )


def _root_rows(examples: Sequence[Examples], seed: int) -> Examples:
    """A share of all rows, of frauds as of honest ones, and at least one of each."""
    pooled = Examples.pooled(examples)
    share = min(1.0, max(ROOT_SHARE, LEAST_ROOT_ROWS / len(pooled)))
    rng = np.random.default_rng([seed, *b"root rows"])
    kinds = [np.flatnonzero(pooled.fraud), np.flatnonzero(~pooled.fraud)]
    rows = np.sort(np.concatenate([rng.permutation(kind)[: int(np.ceil(share * len(kind)))] for kind in kinds]))
    return pooled.take(rows)
