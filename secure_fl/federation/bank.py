"""A bank in the federation: it holds its transactions, trains on them, and says nothing but sums.

With error feedback a bank adds to each update what quantization took from its last one (Seide, Fu, Droppo, Li, Yu,
"1-Bit Stochastic Gradient Descent", Interspeech 2014; Karimireddy, Rebjock, Stich, Jaggi, ICML 2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from secure_fl.codec.digits import LARGEST
from secure_fl.codec.noisy import clipped_to_norm
from secure_fl.codec.quantization import Contribution, FloatVector, Vector
from secure_fl.data import Examples, FeatureSchema, describe, encode, moments
from secure_fl.data.datasets import BankData
from secure_fl.errors import MessageError, TrainingError
from secure_fl.federation.global_model import GlobalModel, read_broadcast
from secure_fl.federation.grouping import groups_of, require_group
from secure_fl.privacy.rows import RowPrivacy
from secure_fl.secagg.budget import NoisePlan, Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.settings import Experiment
from secure_fl.training import Learner, mixed_seed, train, usual_learner


class Bank:
    """One client of the federation."""

    def __init__(
        self,
        data: BankData,
        number: int,
        experiment: Experiment,
        rows: RowPrivacy | None = None,
        noise: NoisePlan | None = None,
        learner: Learner | None = None,
    ) -> None:
        """`rows`: how it protects its rows, if it does; `noise`: whose share it adds to its update, if any.

        `learner`: what it trains; None for the fraud model.
        """
        self.name = data.name
        self._data = data
        self._number = number
        self._experiment = experiment
        self._examples: Examples | None = None
        self._trained_on: Examples | None = None
        self._rows = rows
        self._noise = noise
        self._learner = learner or usual_learner(experiment)
        self._model: GlobalModel | None = None
        self.residual: FloatVector | None = None
        """What quantization took from its last update; with error feedback only."""

    @property
    def features(self) -> int:
        """Of its rows, how many are numeric."""
        return len(describe(self._data.train.schema))

    def statistics(self) -> FloatVector:
        """Number of rows, sums and sums of squares of the numeric features: for the secure sum of round 0."""
        raw = self._data.train
        return moments(raw.numeric, describe(raw.schema), LARGEST).as_vector()

    def private_statistics(self) -> NDArray[np.int64]:
        """Number of rows, and noisy histograms of the numeric features: for a private round 0."""
        assert self._rows is not None, "the bank's rows are not private"
        raw = self._data.train.numeric
        return np.concatenate([[len(raw)], self._rows.histogram(raw)])

    def adopt(self, schema: FeatureSchema, poison: Callable[[Examples], Examples] | None = None) -> None:
        """Compute the features of the training rows, standardized as all banks do; `poison`: what it makes of them."""
        self._examples = encode(self._data.train, schema)
        self._trained_on = self._examples if poison is None else poison(self._examples)

    @property
    def examples(self) -> Examples:
        """The training examples; for the baselines, which only this sandbox can compute."""
        assert self._examples is not None, "the bank has not adopted a feature schema yet"
        return self._examples

    def receive(self, cohort: Cohort[Plan], broadcast: bytes | memoryview) -> None:
        """Take over the round's model. Raises `MessageError` where it is not the one that the cohort agreed on."""
        model = read_broadcast(broadcast, cohort.plan, self._model, self._noise)
        if model.digest != cohort.context:
            raise MessageError(f"{self.name} received another model than its cohort; make a new attempt")
        self._model = model

    def train(self, round_: int) -> Contribution:
        """Train locally from the global model; the update is new minus old weights."""
        old, examples = self.model.weights, self._trained_on
        assert examples is not None, "the bank has not adopted a feature schema yet"
        if self._rows is not None:
            trained = self._rows.train(old, examples, round_, self.model.digest, self._learner)
        else:
            *_, trained = train(
                old,
                examples,
                self._experiment,
                epochs=self._experiment.local_epochs,
                seed=self._seed(round_, "training"),
                learner=self._learner,
            )
        update = trained.astype(np.float64) - old
        if self.residual is not None:
            update += self.residual
        if not np.isfinite(update).all():
            raise TrainingError(
                f"{self.name}: local training diverged, its update is not finite; lower the learning rate"
            )
        return Contribution(update, num_examples=len(self.examples))

    def join(self, cohort: Cohort[Plan]) -> None:
        """Take part in a sum. Raises `MessageError` where it is over another group than its own, or too few of it."""
        settings = self._experiment
        if settings.group_size is not None:
            groups = groups_of(settings.bank_names, settings.groups, settings.seed, cohort.round)
            require_group(cohort.banks, groups, self.name, cohort.plan.threshold)

    def encode(self, contribution: Contribution, plan: Plan, round_: int) -> Vector:
        """The contribution as the vector to be summed. The draws of stochastic rounding are no secret."""
        rng = np.random.default_rng(self._seed(round_, "rounding"))
        if (norm_bound := self._experiment.norm_bound) is not None:
            contribution = replace(contribution, update=clipped_to_norm(contribution.update, norm_bound))
        return self.model.codec(plan, self._noise).encode(contribution, rng)

    def settle(self, contribution: Contribution, values: Vector, plan: Plan) -> None:
        """After a round whose sum holds this bank's values: with error feedback, carry over what rounding lost."""
        if self._experiment.error_feedback:
            mean_examples = self.model.mean_examples
            assert mean_examples is not None, "error feedback goes with weights"
            sent = self.model.codec(plan, self._noise).decode(values, 1).update
            self.residual = contribution.update - sent * (mean_examples / contribution.num_examples)

    @property
    def model(self) -> GlobalModel:
        """The global model that the bank last received."""
        assert self._model is not None, "the bank has not received a model yet"
        return self._model

    def _seed(self, round_: int, purpose: str) -> int:
        return mixed_seed(self._experiment.seed, self._number, round_, *purpose.encode())
