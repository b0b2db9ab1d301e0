"""What banks could have without federation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment, Result
from secure_fl.data import Examples, FeatureSchema, Standardization, encode, moments
from secure_fl.data.datasets import open_dataset
from secure_fl.errors import TrainingError
from secure_fl.federation import baselines
from secure_fl.federation.bank import Bank
from secure_fl.federation.baselines import train_baselines
from secure_fl.settings import Steps
from secure_fl.training import FlatWeights, evaluate, examine, fraud_learner, initial_weights, train

Small = Callable[..., Experiment]


@pytest.fixture(scope="module")
def federation(small: Small) -> tuple[Experiment, tuple[Bank, ...], Examples, dict[str, int]]:
    experiment = small(rounds=2, local_epochs=2)
    dataset = open_dataset(experiment)
    banks = tuple(Bank(data, number, experiment) for number, data in enumerate(dataset.banks, start=1))
    first = dataset.banks[0].train
    standardization = Standardization.from_moments(moments(first.numeric))
    schema = FeatureSchema.create(first.schema, standardization, dataset.key)
    for bank in banks:
        bank.adopt(schema)
    test = Examples.pooled([encode(data.test, schema) for data in dataset.banks])
    return experiment, banks, test, dataset.test_rows


@pytest.mark.slow
def test_they_are_scored_after_every_round_with_the_federations_number_of_epochs(
    federation: tuple[Experiment, tuple[Bank, ...], Examples, dict[str, int]],
) -> None:
    experiment, banks, test, rows = federation
    advanced: list[int] = []
    learner = fraud_learner(experiment.dropout)
    local, central = train_baselines(experiment, learner, banks, test, rows, advanced.append)
    assert advanced == [0, 1, 2, 3, 4]
    assert [baseline.trained_on for baseline in local] == ["bank-1", "bank-2", "bank-3"]

    assert [*rows] == [bank.name for bank in banks]
    assert sum(rows.values()) == len(test)
    everything = Examples.pooled([bank.examples for bank in banks])
    for baseline, examples in zip([*local, central], [*(bank.examples for bank in banks), everything], strict=True):
        start = initial_weights(experiment.seed)
        epochs = list(train(start, examples, experiment.only(Steps), epochs=4, seed=experiment.seed))
        assert baseline.final == evaluate(epochs[-1], test)
        assert baseline.auprc_by_round == (evaluate(epochs[1], test).auprc, baseline.final.auprc)
        assert baseline.on_test == examine(epochs[-1], test, rows)


def test_each_bank_alone_learns_from_its_own_rows_only(run_small: Callable[..., Result]) -> None:
    result = run_small()
    scores = [baseline.final for baseline in (*result.local, result.central)]
    assert len(set(scores)) == 4


def test_training_settings_are_those_of_the_experiment(small: Small) -> None:
    settings = small(batch_size=7, learning_rate=0.5, dropout=0.125, positive_weight="balanced").only(Steps)
    assert (settings.batch_size, settings.learning_rate, settings.dropout) == (7, 0.5, 0.125)
    assert (settings.positive_weight, settings.device) == ("balanced", "cpu")


@pytest.mark.slow
def test_pooling_helps_on_simulated_payments(run_small: Callable[..., Result]) -> None:
    result = run_small(transactions=20_000, rounds=3)
    assert result.central.final.auprc > np.median([baseline.final.auprc for baseline in result.local])


@pytest.mark.parametrize("stops_after", [0, 3])
def test_one_that_diverges_costs_no_result(
    federation: tuple[Experiment, tuple[Bank, ...], Examples, dict[str, int]],
    monkeypatch: pytest.MonkeyPatch,
    stops_after: int,
) -> None:
    experiment, banks, test, rows = federation
    learner, second = fraud_learner(experiment.dropout), banks[1].examples

    def diverging(weights: FlatWeights, examples: Examples, *rest: Any, **options: Any) -> Iterator[FlatWeights]:
        for epoch, trained in enumerate(train(weights, examples, *rest, **options)):
            if examples is second and epoch == stops_after:
                raise TrainingError("the model diverged; lower the learning rate")
            yield trained

    monkeypatch.setattr(baselines, "train", diverging)
    local, central = train_baselines(experiment, learner, banks, test, rows, lambda _: None)
    start = initial_weights(experiment.seed)
    epochs = list(train(start, second, experiment.only(Steps), epochs=4, seed=experiment.seed))
    last = epochs[1] if stops_after else start  # two epochs a round: the first round is whole
    assert local[1].final == evaluate(last, test)
    assert local[1].auprc_by_round == (local[1].final.auprc,) * 2
    assert local[1].on_test == examine(last, test, rows)
    assert [model.diverged_in for model in (*local, central)] == [None, 2 if stops_after else 1, None, None]
