"""A bank in the federation: it holds its transactions, trains on them, and says nothing but sums.

With error feedback a bank adds to each update what quantization took from its last one (Seide, Fu, Droppo, Li, Yu,
"1-Bit Stochastic Gradient Descent", Interspeech 2014; Karimireddy, Rebjock, Stich, Jaggi, ICML 2019).
"""

from __future__ import annotations

import numpy as np

from secure_fl.data import Examples, FeatureSchema, encode, moments
from secure_fl.datasets import BankData
from secure_fl.errors import MessageError
from secure_fl.experiment import Experiment
from secure_fl.global_model import GlobalModel, read_broadcast
from secure_fl.quantization import Contribution, FloatVector, Vector
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.training import TrainingSettings, train


def training_settings(experiment: Experiment) -> TrainingSettings:
    """The part of an experiment that training needs."""
    return TrainingSettings(
        batch_size=experiment.batch_size,
        learning_rate=experiment.learning_rate,
        dropout=experiment.dropout,
        positive_weight=experiment.positive_weight,
        device=experiment.device,
    )


class Bank:
    """One client of the federation."""

    def __init__(self, data: BankData, number: int, experiment: Experiment) -> None:
        self.name = data.name
        self._data = data
        self._number = number
        self._experiment = experiment
        self._settings = training_settings(experiment)
        self._examples: Examples | None = None
        self._model: GlobalModel | None = None
        self._residual: FloatVector | None = None

    def statistics(self) -> FloatVector:
        """Number of rows, sums and sums of squares of the numeric features: for the secure sum of round 0."""
        return moments(self._data.train.numeric).as_vector()

    def adopt(self, schema: FeatureSchema) -> None:
        """Compute the features of the training rows, standardized as all banks do."""
        self._examples = encode(self._data.train, schema)

    @property
    def examples(self) -> Examples:
        """The training examples; for the baselines, which only this sandbox can compute."""
        assert self._examples is not None, "the bank has not adopted a feature schema yet"
        return self._examples

    def receive(self, cohort: Cohort[Plan], broadcast: bytes | memoryview) -> None:
        """Take over the round's model. Raises `MessageError` where it is not the one that the cohort agreed on."""
        model = read_broadcast(broadcast, cohort.plan, self._model)
        if model.digest != cohort.context:
            raise MessageError(f"{self.name} received another model than its cohort; the round must be repeated")
        self._model = model

    def train(self, round_: int) -> Contribution:
        """Train locally from the global model; the update is new minus old weights."""
        old = self.model.weights
        *_, trained = train(
            old,
            self.examples,
            self._settings,
            epochs=self._experiment.local_epochs,
            seed=self._seed(round_, "training"),
        )
        update = trained.astype(np.float64) - old
        if self._residual is not None:
            update += self._residual
        return Contribution(update, num_examples=len(self.examples))

    def encode(self, contribution: Contribution, plan: Plan, round_: int) -> Vector:
        """The contribution as the vector to be summed. The draws of stochastic rounding are no secret."""
        rng = np.random.default_rng(self._seed(round_, "rounding"))
        return self.model.codec(plan).encode(contribution, rng)

    def settle(self, contribution: Contribution, values: Vector, plan: Plan) -> None:
        """After a round whose sum holds this bank's values: with error feedback, carry over what rounding lost."""
        if self._experiment.error_feedback:
            self._residual = contribution.update - self.model.codec(plan).decode(values, 1).update

    @property
    def model(self) -> GlobalModel:
        """The global model that the bank last received."""
        assert self._model is not None, "the bank has not received a model yet"
        return self._model

    def _seed(self, round_: int, purpose: str) -> int:
        words = [self._experiment.seed, self._number, round_, *purpose.encode()]
        return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)
