"""The scene of an attack: a federation with its real banks, of which one is the victim of a trial.

The statistics of round 0 come from all rows of all banks, as in a run; they are public. In a trial every bank then
holds just a few of its own training rows, drawn at random, so that one local epoch is one step on one batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.codec.quantization import make_codec
from secure_fl.data import FeatureSchema, encode
from secure_fl.data.datasets import BankData, Dataset, open_dataset
from secure_fl.errors import ConfigurationError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.bank import Bank
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.round_zero import agree_on_statistics
from secure_fl.secagg.budget import FLOAT32
from secure_fl.settings import Experiment
from secure_fl.training import initial_weights

PLAIN_BITS, SECRET_BITS = FLOAT32, 16


@dataclass(frozen=True)
class Scene:
    """A federation before its first round."""

    experiment: Experiment
    dataset: Dataset
    schema: FeatureSchema
    population: NDArray[np.float32]
    """Features of the banks' later rows, [n, 128]: what a blind guess draws from. Never a row of a trial."""

    def with_batch(self, batch: int) -> Scene:
        """The same federation, training on batches of this size."""
        return replace(self, experiment=changed(self.experiment, batch_size=batch))

    def model(self) -> GlobalModel:
        """The global model of the first round; the clip range is twice what one Adam step can move a weight by."""
        settings = self.experiment
        weights = initial_weights(settings.seed)
        return GlobalModel(weights, 2 * settings.learning_rate, float(settings.batch_size))

    def aggregation(self) -> SecureAggregation:
        """The scheme with fresh keys."""
        settings = self.experiment
        bits = settings.bits if isinstance(settings.bits, int) else None
        parameters = len(initial_weights(settings.seed))
        return SecureAggregation(settings, make_codec(parameters, bits, clip=1.0, mean_examples=1.0).length)

    def draw_banks(self, rng: np.random.Generator) -> tuple[Bank, ...]:
        """The real banks, each with one batch of its own training rows. The first is the victim."""
        batch, banks = self.experiment.batch_size, []
        for number, data in enumerate(self.dataset.banks, start=1):
            rows = rng.choice(len(data.train), size=batch, replace=False)
            bank = Bank(BankData(data.name, data.train.take(rows), data.test), number, self.experiment)
            bank.adopt(self.schema)
            banks.append(bank)
        return tuple(banks)


def open_scene(experiment: Experiment, largest_batch: int) -> Scene:
    """Load the data, agree on statistics. Raises `ConfigurationError` where a bank has too few rows."""
    dataset = open_dataset(experiment)
    fewest = min(len(bank.train) for bank in dataset.banks)
    if not 1 <= largest_batch <= fewest:
        raise ConfigurationError(
            f"a batch of {largest_batch} is refused; use 1 to {fewest}, the training rows of the smallest bank"
        )
    banks = tuple(Bank(data, number, experiment) for number, data in enumerate(dataset.banks, start=1))
    alone = {"holders": None, "quorum": None, "witnesses": 0}
    in_clear = changed(experiment, scheme="plaintext", bits=SECRET_BITS, **alone)  # all give the same statistics
    parameters = len(initial_weights(experiment.seed))
    standardization, _ = agree_on_statistics(SecureAggregation(in_clear, parameters + 64), banks)
    schema = FeatureSchema.create(dataset.banks[0].train.schema, standardization, dataset.key)
    population = np.concatenate([encode(bank.test, schema).features for bank in dataset.banks])
    return Scene(experiment, dataset, schema, population)


def changed(experiment: Experiment, **changes: Any) -> Experiment:
    """The experiment with some settings changed, validated again."""
    settings: Mapping[str, Any] = {**experiment.model_dump(exclude_none=True), **changes}
    return Experiment(**settings)
