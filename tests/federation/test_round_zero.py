"""Round 0 under differential privacy: the noise is really in the sum, and has the planned size."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment, round_zero
from secure_fl.data import BINS, Standardization, from_histogram, magnitudes
from secure_fl.data.datasets import Dataset, open_dataset
from secure_fl.errors import DataError, TrainingError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.bank import Bank
from secure_fl.federation.round_zero import agree_on_statistics, private_length
from secure_fl.federation.run import _prepare
from secure_fl.privacy.federation import STATISTICS_NOISE, FederationPrivacy

EXPERIMENT = Experiment(
    transactions=5_000, fraud_share=0.04, batch_size=512, scheme="plaintext", noise_multiplier=2.0, delta=1e-5
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return open_dataset(EXPERIMENT)


def private_banks(dataset: Dataset, experiment: Experiment = EXPERIMENT) -> tuple[FederationPrivacy, tuple[Bank, ...]]:
    privacy = FederationPrivacy.open(experiment, None, dataset, None, False)
    banks = tuple(
        Bank(data, number, experiment, privacy.rows[data.name]) for number, data in enumerate(dataset.banks, start=1)
    )
    return privacy, banks


Agreed = tuple[np.ndarray, float, Standardization, float]


@pytest.fixture
def agree(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Agreed]:
    """The noisy counts that came out of the secure sum, the noise that was expected in them, and what was agreed."""

    def run(**changes: Any) -> Agreed:
        experiment = EXPERIMENT.model_copy(update=changes)
        seen: list[tuple[np.ndarray, float]] = []
        original = from_histogram

        def watched(counts: np.ndarray, deviation: float) -> Standardization:
            seen.append((counts, deviation))
            return original(counts, deviation)

        with monkeypatch.context() as patch:
            patch.setattr(round_zero, "from_histogram", watched)
            _, banks = private_banks(dataset, experiment)
            agreed, mean = agree_on_statistics(_prepare(experiment, 10_369), banks)
        return *seen[0], agreed, mean

    return run


@pytest.mark.parametrize(
    "changes", [{}, {"bits": 4}, {"bits": "float32"}, {"scheme": "masked"}, {"scheme": "ckks"}], ids=str
)
def test_the_noise_in_the_sum_is_three_banks_worth(
    agree: Callable[..., Agreed], dataset: Dataset, changes: dict[str, Any]
) -> None:
    """2,328 counts, so that the deviation is known to 1.5 %."""
    noisy, deviation, _, mean = agree(**changes)
    exact = sum(magnitudes(bank.train.numeric) for bank in dataset.banks)
    features = dataset.banks[0].train.numeric.shape[1]
    assert noisy.shape == (features, BINS)
    noise = noisy - exact
    assert deviation == pytest.approx(math.sqrt(3) * STATISTICS_NOISE * math.sqrt(features))
    assert noise.std() == pytest.approx(deviation, rel=0.07)
    assert abs(noise.mean()) < 5 * deviation / math.sqrt(noise.size)
    assert (noise == np.rint(noise)).all()
    assert mean == sum(len(bank.train) for bank in dataset.banks) / 3


def test_what_is_agreed_is_near_the_exact_scale(agree: Callable[..., Agreed], dataset: Dataset) -> None:
    *_, agreed, _ = agree()
    pooled = np.concatenate([bank.train.numeric for bank in dataset.banks])
    ratio = np.array(agreed.std) / np.where(pooled.std(axis=0) > 0, pooled.std(axis=0), 1)
    assert (ratio < 3).all()
    assert np.median(ratio) > 0.3


def test_each_bank_adds_its_own_noise_and_charges_it_first(dataset: Dataset) -> None:
    privacy, banks = private_banks(dataset)
    noises = []
    for bank, data in zip(banks, dataset.banks, strict=True):
        count, *counts = bank.private_statistics()
        assert count == len(data.train)
        noises.append(np.array(counts) - magnitudes(data.train.numeric).ravel())
    assert all(noise.std() == pytest.approx(STATISTICS_NOISE * math.sqrt(24), rel=0.07) for noise in noises)
    assert np.abs(np.corrcoef(noises) - np.eye(3)).max() < 0.12
    for ledger in privacy.ledgers:
        (event,) = ledger.events
        assert (event.noise_multiplier, event.sample_rate, event.steps) == (STATISTICS_NOISE, 1.0, 1)


def test_a_second_look_is_charged_and_has_fresh_noise(dataset: Dataset) -> None:
    privacy, (bank, *_) = private_banks(dataset)
    first, second = bank.private_statistics(), bank.private_statistics()
    assert (first != second).mean() > 0.9
    assert len(privacy.ledgers[0].events) == 2


def test_the_vector_has_the_length_that_was_planned(dataset: Dataset) -> None:
    features = dataset.banks[0].train.numeric.shape[1]
    for bits in (4, 8, 16, 24):
        assert private_length(bits) >= (1 + features * BINS) * math.ceil(40 / bits)
        assert _prepare(EXPERIMENT.model_copy(update={"bits": bits}), 10).plan.parameters == private_length(bits)


def test_too_few_rows_are_refused_by_name() -> None:
    tiny = EXPERIMENT.model_copy(update={"transactions": 1_000, "batch_size": 64})
    few = open_dataset(tiny)
    _, banks = private_banks(few, tiny)
    with pytest.raises(DataError, match="noise hides the distribution"):
        agree_on_statistics(SecureAggregation(tiny, private_length(16)), banks)


@pytest.mark.parametrize("each", [1, round_zero.LARGEST_BANK])
def test_the_fewest_and_the_most_rows_that_banks_can_have_are_accepted(each: int) -> None:
    assert round_zero._mean_examples(3.0 * each, 3) == each
    beyond = 3.0 * each + (-1 if each == 1 else 1)
    with pytest.raises(TrainingError, match="sends a wrong number"):
        round_zero._mean_examples(beyond, 3)
