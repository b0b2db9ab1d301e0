"""Round 0 under differential privacy: the noise is really in the sum, and has the planned size."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.data import BINS, DIMENSION, Standardization, from_histogram, magnitudes
from secure_fl.data.datasets import Dataset, open_dataset
from secure_fl.errors import DataError, ProtocolError, TrainingError
from secure_fl.federation import round_zero
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.bank import Bank
from secure_fl.federation.opening import prepare
from secure_fl.federation.round_zero import agree_on_statistics, statistics_of
from secure_fl.privacy import rows
from secure_fl.privacy.federation import FederationPrivacy
from secure_fl.privacy.rows import STATISTICS_NOISE

EXPERIMENT = Experiment(
    transactions=5_000, fraud_share=0.04, batch_size=512, scheme="plaintext", noise_multiplier=2.0, delta=1e-5
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return open_dataset(EXPERIMENT)


def private_banks(dataset: Dataset, experiment: Experiment = EXPERIMENT) -> tuple[FederationPrivacy, tuple[Bank, ...]]:
    privacy = FederationPrivacy.open(experiment, None, dataset.banks, None, False)
    banks = tuple(
        Bank(data, number, experiment, privacy.rows[data.name]) for number, data in enumerate(dataset.banks, start=1)
    )
    return privacy, banks


def either_banks(dataset: Dataset, private: bool) -> tuple[Experiment, tuple[Bank, ...]]:
    """Banks whose rows are private, or not, and their experiment."""
    if private:
        return EXPERIMENT, private_banks(dataset)[1]
    experiment = Experiment(scheme="plaintext")
    return experiment, tuple(Bank(data, number, experiment) for number, data in enumerate(dataset.banks, start=1))


Agreed = tuple[np.ndarray, float, Standardization, float]


@pytest.fixture
def agree(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Agreed]:
    """The noisy counts that came out of the secure sum, the noise that was expected in them, and what was agreed."""

    def run(**changes: Any) -> Agreed:
        experiment = EXPERIMENT.with_(**changes)
        seen: list[tuple[np.ndarray, float]] = []
        original = from_histogram

        def watched(counts: np.ndarray, deviation: float) -> Standardization:
            seen.append((counts, deviation))
            return original(counts, deviation)

        with monkeypatch.context() as patch:
            patch.setattr(round_zero, "from_histogram", watched)
            _, banks = private_banks(dataset, experiment)
            agreed, mean = agree_on_statistics(prepare(experiment, 10_369).statistics, banks, privately=True)
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


def test_what_is_agreed_is_near_the_exact_scale(
    agree: Callable[..., Agreed], dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under one draw of the noise: in about one run of twenty, a bin of noise counts for one of the features."""
    rng = np.random.default_rng(1)
    monkeypatch.setattr(
        rows, "discrete_gaussian", lambda deviation, n: np.rint(rng.normal(0, deviation, n)).astype(int)
    )
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
        planned = statistics_of(DIMENSION, bits, privately=True).length
        assert planned >= (1 + features * BINS) * math.ceil(40 / bits)
        assert prepare(EXPERIMENT.with_(bits=bits), 10).statistics.plan.parameters == planned
        exact = statistics_of(500, bits, privately=False).length
        assert exact >= 1001 * math.ceil(160 / bits)
        assert prepare(Experiment(scheme="plaintext", bits=bits), 10, features=500).statistics.plan.parameters == exact


def test_too_few_rows_are_refused_by_name() -> None:
    tiny = EXPERIMENT.with_(transactions=1_000, batch_size=64)
    few = open_dataset(tiny)
    _, banks = private_banks(few, tiny)
    with pytest.raises(DataError, match="noise hides the distribution"):
        agree_on_statistics(
            SecureAggregation(tiny, statistics_of(DIMENSION, 16, privately=True).length), banks, privately=True
        )


@pytest.mark.parametrize("each", [1, round_zero.LARGEST_BANK])
def test_the_fewest_and_the_most_rows_that_banks_can_have_are_accepted(each: int) -> None:
    assert round_zero._mean_examples(3.0 * each, 3) == each
    beyond = 3.0 * each + (-1 if each == 1 else 1)
    with pytest.raises(TrainingError, match="sends a wrong number"):
        round_zero._mean_examples(beyond, 3)


def test_who_is_wrong_is_told_what_can_be() -> None:
    with pytest.raises(TrainingError, match=rf"have 2 training rows together, and 3 banks have 3 to {3 << 32}; "):
        round_zero._mean_examples(2.0, 3)


@pytest.mark.parametrize("private", [False, True])
def test_what_was_agreed_is_broadcast_in_round_0_and_every_message_is_bound_to_it(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    """Of means and deviations; and nothing that was meant for another sum can be replayed into this one."""
    contexts: list[tuple[int, bytes]] = []
    broadcasts: list[bytes] = []
    attempt, broadcast = SecureAggregation.attempt, SecureAggregation.broadcast

    def watched_sum(self: SecureAggregation, cohort: Any, *rest: Any) -> Any:
        contexts.append((cohort.round, cohort.context))
        return attempt(self, cohort, *rest)

    def watched_broadcast(self: SecureAggregation, cohort: Any, payload: bytes) -> Any:
        contexts.append((cohort.round, cohort.context))
        broadcasts.append(payload)
        return broadcast(self, cohort, payload)

    monkeypatch.setattr(SecureAggregation, "attempt", watched_sum)
    monkeypatch.setattr(SecureAggregation, "broadcast", watched_broadcast)
    experiment, banks = either_banks(dataset, private)
    agreed, _ = agree_on_statistics(prepare(experiment, 10_369).statistics, banks, privately=private)
    assert contexts == [(0, b"statistics")] * 2
    assert broadcasts == [np.array([*agreed.mean, *agreed.std], dtype="<f8").tobytes()]


@pytest.mark.parametrize("private", [False, True])
def test_a_bank_that_does_not_answer_counts_for_nothing_in_what_is_agreed(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    client = SecureAggregation.client

    class Silent:
        def respond(self, request: bytes) -> bytes:
            raise ProtocolError("bank-2 says nothing; ask the others")

    def around(self: SecureAggregation, cohort: Any, bank: str, values: Any) -> Any:
        return Silent() if bank == "bank-2" else client(self, cohort, bank, values)

    monkeypatch.setattr(SecureAggregation, "client", around)
    experiment, banks = either_banks(dataset, private)
    agreed, mean = agree_on_statistics(prepare(experiment, 10_369).statistics, banks, privately=private)
    first, _, third = (bank.train.numeric for bank in dataset.banks)
    assert mean == (len(first) + len(third)) / 2
    if not private:
        assert agreed.mean == pytest.approx(np.concatenate([first, third]).mean(axis=0), rel=1e-9, abs=1e-11)
