"""From an experiment to a federation that is ready for its next round.

Whatever cannot work is refused here, before anything is trained, sent, or charged to a privacy budget.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from secure_fl.codec.quantization import CLIP_RANGE, make_codec
from secure_fl.data import DIMENSION, Examples, FeatureSchema, dimension, encode
from secure_fl.data.datasets import Dataset, given_dataset, open_dataset
from secure_fl.data.given import Given
from secure_fl.data.metrics import require_both_classes
from secure_fl.errors import ConfigurationError, DataWarning
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.bank import Bank
from secure_fl.federation.checked_sums import checked_scheme, custody_of_bound
from secure_fl.federation.checkpoint import Checkpoint, Snapshot
from secure_fl.federation.defence import Defence
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.history import History
from secure_fl.federation.round_models import HeldModels, RoundModels
from secure_fl.federation.round_zero import agree_on_statistics, statistics_of
from secure_fl.federation.rounds import Robustness
from secure_fl.privacy.accounts import Lifetime
from secure_fl.privacy.federation import FederationPrivacy
from secure_fl.privacy.lifetime import LedgerStore
from secure_fl.privacy.sums import distributed_noise_multiplier
from secure_fl.robust.poisoning import Attackers
from secure_fl.secagg.custody import Custody
from secure_fl.settings import Experiment
from secure_fl.training import FlatWeights, Learner, require_rows_apart, usable_device, usual_learner

ROUND_ZERO = (
    "In round 0 only the range of each digit is proved: what a bank says of its rows is believed, and can shift the "
    "scale of the features."
)


@dataclass(frozen=True)
class Federation:
    """The parties of a run, and where it starts: at round 1, or where it was stopped."""

    experiment: Experiment
    dataset: Dataset
    aggregation: SecureAggregation
    """Of updates."""
    banks: tuple[Bank, ...]
    privacy: FederationPrivacy
    schema: FeatureSchema
    test: Examples
    """All banks' later transactions, which only the sandbox pools, to measure every model on the same rows."""
    start: History
    checkpoint: Checkpoint | None
    learner: Learner
    robustness: Robustness = field(default_factory=Robustness)
    models: RoundModels | None = None
    """Of the rounds; None where they are not to be kept."""

    @classmethod
    def open(
        cls,
        experiment: Experiment,
        checkpoint: Checkpoint | None,
        given: Given | None = None,
        learner: Learner | None = None,
    ) -> Federation:
        """`given`: rows that were handed over; `learner`: None for the fraud model.

        Raises the error of whatever cannot work.
        """
        usable_device(experiment.device)
        learner = learner or usual_learner(experiment)
        if experiment.private_rows:
            require_rows_apart(learner)
        attackers = Attackers.of(experiment)
        weights = learner.initial(experiment.seed)
        features = DIMENSION if given is None else dimension(given.schema)
        statistics, aggregation = prepare(experiment, len(weights), features)
        tables = experiment.private
        dataset = open_dataset(experiment, tables) if given is None else given_dataset(experiment, given, tables)
        for line in dataset.warnings:
            warnings.warn(DataWarning(line), stacklevel=3)  # now, and not when all is trained
        require_both_classes(np.concatenate([part.fraud for part in dataset.tests]))
        for part in (*(bank.train for bank in dataset.banks), *dataset.tests):
            learner.require_classes(part.pattern)
        before = _state_before(dataset.resolved(experiment), checkpoint)
        if before is not None and len(before.model.weights) != len(weights):
            raise ConfigurationError(
                f"the unfinished run has a model of {len(before.model.weights)} weights, not of {len(weights)}; go on "
                "with the model and the rows that it began with"
            )
        privacy = _open_privacy(experiment, aggregation, dataset, checkpoint)
        banks = tuple(
            Bank(data, number, experiment, privacy.rows.get(data.name), aggregation.noise, learner)
            for number, data in enumerate(dataset.banks, start=1)
        )
        start = (
            _first(experiment, weights, statistics, banks)
            if before is None
            else _resumed(before, aggregation, banks, privacy)
        )
        schema = FeatureSchema.create(dataset.banks[0].train.schema, start.standardization, dataset.key)
        against = adopt_features(experiment, attackers, banks, schema, learner)
        test = Examples.pooled([encode(part, schema) for part in dataset.tests])
        models = _kept_models(experiment, checkpoint)
        return cls(
            experiment, dataset, aggregation, banks, privacy, schema, test, start, checkpoint, learner, against, models
        )

    @property
    def custody(self) -> Custody:
        """Who can read what."""
        custody, defence = self.aggregation.scheme.custody, self.robustness.defence
        custody = custody_of_bound(custody, self.experiment.norm_bound, len(self.start.model.weights))
        if self.experiment.proofs:
            return replace(custody, assumptions=(*custody.assumptions, ROUND_ZERO))
        return custody if defence is None else defence.custody(custody)

    def charge(self, round_: int, model: GlobalModel) -> Callable[[], None]:
        """What is called before each attempt at a sum whose noise, if it has any, is drawn anew."""
        return partial(self.privacy.charge, round_, model.digest)

    def keep(self, history: History) -> None:
        """Write down what the run has come to, where it is to go on after it was stopped; and the round's model."""
        if self.models is not None:
            self.models.keep(len(history.rounds), history.model.weights)
        if self.checkpoint is not None:
            residuals = {bank.name: bank.residual for bank in self.banks}
            self.checkpoint.save(Snapshot.of(history, self.aggregation.transcript.so_far, residuals))

    def finish(self) -> None:
        """Forget the keys of the noise; with a checkpoint they go with it, once the results are on disk."""
        if self.checkpoint is None:
            self.privacy.close()


def adopt_features(
    experiment: Experiment,
    attackers: Attackers | None,
    banks: tuple[Bank, ...],
    schema: FeatureSchema,
    learner: Learner,
) -> Robustness:
    """Banks compute their features, those of attackers from what they make of their rows; and who is against whom."""
    for bank in banks:
        bank.adopt(schema, None if attackers is None else partial(attackers.rows, bank.name))
    defence = Defence.of(experiment, [bank.examples for bank in banks], learner)
    return Robustness(attackers, defence, experiment.norm_bound)


class Sums(NamedTuple):
    """The secure sums of a run, in one transcript: those of round 0, and those of updates."""

    statistics: SecureAggregation
    updates: SecureAggregation
    """The same object, unless updates are checked, which takes other ciphertexts or shares."""


def prepare(experiment: Experiment, parameters: int, features: int = DIMENSION) -> Sums:
    """The secure sums of a run. Raises `PlanError`, or `ConfigurationError`, for what cannot work."""
    statistics, updates = lengths(experiment, parameters, features)
    if experiment.private_sums:
        noise = distributed_noise_multiplier(experiment, parameters, experiment.banks)
        aggregation = SecureAggregation(experiment, statistics, noise, noisy=parameters)
        return Sums(aggregation, aggregation)
    checked = checked_scheme(experiment)
    if checked is None:
        aggregation = SecureAggregation(experiment, max(updates, statistics))
        return Sums(aggregation, aggregation)
    first = SecureAggregation(experiment, statistics, scheme=checked_scheme(experiment, statistics=True))
    return Sums(first, SecureAggregation(experiment, updates, scheme=checked, transcript=first.transcript))


def lengths(experiment: Experiment, parameters: int, features: int = DIMENSION) -> tuple[int, int]:
    """Of the vectors that are summed: of statistics, and of updates."""
    bits = experiment.bits if isinstance(experiment.bits, int) else None
    weighted = None if experiment.alike else 1.0
    return (
        statistics_of(features, bits, privately=experiment.private_rows).length,
        make_codec(parameters, bits, clip=1.0, mean_examples=weighted).length,
    )


def _state_before(resolved: Experiment, checkpoint: Checkpoint | None) -> Snapshot | None:
    """Takes the checkpoint's folder for a new run, or reads what an earlier process left there."""
    if checkpoint is None:
        return None
    if not checkpoint.resume:
        checkpoint.start(resolved)
    else:
        _require_same_settings(checkpoint.settings(), resolved)
    return checkpoint.load() if checkpoint.can_resume else None


def _kept_models(experiment: Experiment, checkpoint: Checkpoint | None) -> RoundModels | None:
    if not experiment.keep_models:
        return None
    return HeldModels() if checkpoint is None else checkpoint.models


def _require_same_settings(kept: Experiment, resolved: Experiment) -> None:
    """Raises `ConfigurationError` where a run would go on as another one."""
    before, now = (settings.model_dump(mode="json") for settings in (kept, resolved))
    changed = sorted(name for name in now if before[name] != now[name])
    if changed:
        raise ConfigurationError(
            f"the unfinished run has other settings ({', '.join(changed)}); go on with its own, which "
            "Checkpoint.settings() reads"
        )


def _open_privacy(
    experiment: Experiment, aggregation: SecureAggregation, dataset: Dataset, checkpoint: Checkpoint | None
) -> FederationPrivacy:
    lifetime = Lifetime(LedgerStore.of_user(), secrets.token_hex(16) if checkpoint is None else checkpoint.run)
    folder, resume = (None, False) if checkpoint is None else (checkpoint.banks, checkpoint.resume)
    return FederationPrivacy.open(experiment, aggregation.noise, dataset.banks, folder, resume, lifetime)


def _first(
    experiment: Experiment, weights: FlatWeights, aggregation: SecureAggregation, banks: tuple[Bank, ...]
) -> History:
    """Round 0."""
    standardization, mean_examples = agree_on_statistics(aggregation, banks, privately=experiment.private_rows)
    clip = first_clip(experiment, mean_examples)
    return History(standardization, GlobalModel(weights, clip, None if experiment.alike else mean_examples))


def _resumed(
    before: Snapshot, aggregation: SecureAggregation, banks: tuple[Bank, ...], privacy: FederationPrivacy
) -> History:
    privacy.require_rounds(len(before.rounds))
    aggregation.transcript.deliveries[:0] = before.deliveries
    for bank in banks:
        bank.residual = before.residuals[bank.name]
    return before.history


def first_clip(experiment: Experiment, mean_examples: float) -> float:
    """The clip range of the first round, or the norm that all updates are clipped to under a distributed noise.

    The range is twice what Adam moves a weight by in a round, about the learning rate a step (Kingma, Ba, ICLR 2015,
    2.1). That suits a bank of mean size. A much larger one may be clipped at first; that is reported, and doubles it.
    """
    if experiment.private_sums:
        return experiment.max_update_norm
    if experiment.initial_clip is not None:
        return experiment.initial_clip
    steps = np.ceil(mean_examples / experiment.batch_size) * experiment.local_epochs
    return min(float(2 * experiment.learning_rate * steps), CLIP_RANGE[1])
