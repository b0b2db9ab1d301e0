"""A bank in the federation: it holds its transactions, trains on them, and says nothing but sums."""

from __future__ import annotations

import numpy as np

from secure_fl.data import Examples, FeatureSchema, encode, moments
from secure_fl.datasets import BankData
from secure_fl.experiment import Experiment
from secure_fl.quantization import Contribution, FloatVector
from secure_fl.training import TrainingSettings, train
from secure_fl.training.model import FlatWeights


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

    def contribute(self, weights: FlatWeights, round_: int) -> Contribution:
        """Train locally from the global weights; the update is new minus old weights."""
        *_, trained = train(
            weights,
            self.examples,
            self._settings,
            epochs=self._experiment.local_epochs,
            seed=self._seed(round_, "training"),
        )
        return Contribution(trained.astype(np.float64) - weights, num_examples=len(self.examples))

    def rounding(self, round_: int) -> np.random.Generator:
        """The draws of stochastic rounding: part of the experiment, no secret."""
        return np.random.default_rng(self._seed(round_, "rounding"))

    def _seed(self, round_: int, purpose: str) -> int:
        words = [self._experiment.seed, self._number, round_, *purpose.encode()]
        return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)
