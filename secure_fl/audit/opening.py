"""What is audited: a model, and the banks whose later rows it is audited on.

Each bank's test rows are audited, which the model was not trained on. Training rows are only what attributions are
relative to. Nothing of a row leaves a bank but through `SecureSums`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import Examples, FeatureSchema, RawFeatures, Transactions, encode
from secure_fl.data.datasets import Dataset, given_dataset, open_dataset
from secure_fl.data.given import read_given
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.federation.results import Result
from secure_fl.report.outputs import models_of, rounds_kept
from secure_fl.report.scores import RunModel
from secure_fl.settings import Experiment
from secure_fl.training import FlatWeights, Learner

EXPERIMENT, MODEL = "experiment.toml", "model.safetensors"
COMPARED = 5
"""Rounds whose models are compared, the last one included, at most."""


@dataclass(frozen=True, repr=False, eq=False)
class AuditedBank:
    """One bank with its rows. Never leaves the bank."""

    name: str
    background: RawFeatures
    """Training rows."""
    raw: RawFeatures
    """Test rows."""
    table: Transactions
    """The same rows as they came."""
    examples: Examples
    """The same rows as the model takes them."""
    past: Examples
    """The training rows as the model takes them."""

    def __repr__(self) -> str:
        return f"AuditedBank({self.name!r}, {len(self.raw)} rows)"


@dataclass(frozen=True)
class EarlierModel:
    """What the model was after a round."""

    round: int
    weights: FlatWeights = field(repr=False)


@dataclass(frozen=True)
class Subject:
    """A model and the banks that audit it."""

    experiment: Experiment
    learner: Learner
    weights: FlatWeights = field(repr=False)
    schema: FeatureSchema = field(repr=False)
    banks: tuple[AuditedBank, ...]
    earlier: tuple[EarlierModel, ...] = ()
    """Of some rounds before the last, where the run kept them."""

    @classmethod
    def of_run(cls, directory: Path) -> Subject:
        """The model of a run directory, and its rows again. Raises `ConfigurationError` or `DataError`."""
        experiment, model = read_run(directory)
        dataset = open_dataset(experiment, tables=True)
        banks = _banks(dataset, model.schema)
        earlier = _read_earlier(directory, experiment.rounds, model)
        return cls(experiment, model.stored.learner, model.stored.weights, model.schema, banks, earlier)

    @classmethod
    def of_result(cls, result: Result, banks: Mapping[str, Any], test: Any = None) -> Subject:
        """The model of a run from Python, with any module, on the rows that it was given (`run_federation`)."""
        experiment = Experiment(**result.experiment)
        dataset = given_dataset(experiment, read_given(experiment, banks, test), tables=True)
        schema = FeatureSchema.from_dict(result.model.feature_schema)
        chosen = spread([record.round for record in result.rounds])
        earlier = tuple(EarlierModel(number, weights) for number, weights in models_of(result) if number in chosen)
        return cls(experiment, result.model.learner, result.model.weights, schema, _banks(dataset, schema), earlier)

    @property
    def rows(self) -> int:
        return sum(len(bank.raw) for bank in self.banks)

    @property
    def features(self) -> tuple[str, ...]:
        """What a score is explained by: the numeric features, then each text column as a whole."""
        return (*self.schema.numeric, *self.schema.hashed)


def spread(rounds: Sequence[int]) -> tuple[int, ...]:
    """Those of some rounds that are compared with the last of them: the first, and as far apart as can be."""
    places = np.rint(np.linspace(0, len(rounds) - 1, min(len(rounds), COMPARED))).astype(int)
    return tuple(rounds[place] for place in places[:-1])


def _read_earlier(directory: Path, rounds: int, last: RunModel) -> tuple[EarlierModel, ...]:
    """Raises `DataError` where a model is damaged, or of another run."""
    kept, earlier = rounds_kept(directory), []
    for number in spread([*(number for number in kept if number < rounds), rounds]):
        model = RunModel.read(kept[number])
        if model.schema.to_dict() != last.schema.to_dict() or model.stored.weights.shape != last.stored.weights.shape:
            raise DataError(f"{kept[number]} is a model of another run; put back the one of this run, or delete it")
        earlier.append(EarlierModel(number, model.stored.weights))
    return tuple(earlier)


def read_run(directory: Path) -> tuple[Experiment, RunModel]:
    """Settings and model of a run directory. Raises `ConfigurationError` or `DataError`."""
    require_run(directory)
    return Experiment.from_toml(directory / EXPERIMENT), RunModel.read(directory / MODEL)


def require_run(directory: Path) -> None:
    """Raises `ConfigurationError` where it is no run directory."""
    for name in (EXPERIMENT, MODEL):
        if not (directory / name).is_file():
            raise ConfigurationError(
                f"{directory} has no {name}; give the folder of a finished run, as secure-fl run writes it"
            )


def _banks(dataset: Dataset, schema: FeatureSchema) -> tuple[AuditedBank, ...]:
    """Raises `DataError` where the rows are not the model's, `ConfigurationError` where banks have no test rows."""
    if dataset.common_test is not None:
        raise ConfigurationError(
            "all banks share one test, and an audit needs rows of each bank's own; give test rows by bank"
        )
    banks = []
    for bank in dataset.banks:
        assert bank.test_table is not None, "opened with tables"
        examples, past = encode(bank.test, schema), encode(bank.train, schema)
        banks.append(AuditedBank(bank.name, bank.train, bank.test, bank.test_table, examples, past))
    return tuple(banks)


def sample(count: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of at most `most` of `count` rows, drawn without replacement, in rising order."""
    return np.sort(rng.choice(count, size=min(count, most), replace=False)).astype(np.int64)
