"""Training at one bank: what it computes, that it repeats, and what it must not touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl.data import Examples
from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.settings import Steps
from secure_fl.training import Learner, initial_weights, local, model_bytes, predict, train, usable_device
from secure_fl.training.model import restore

MakeExamples = Callable[..., Examples]
START = initial_weights(3)


def last(
    examples: Examples, epochs: int = 1, seed: int = 1, learner: Learner | None = None, **settings: Any
) -> NDArray[np.float32]:
    *_, weights = train(START, examples, Steps(**settings), epochs=epochs, seed=seed, learner=learner)
    return weights


def test_a_seed_repeats_a_run_bit_for_bit(toy: MakeExamples) -> None:
    assert np.array_equal(last(toy(), epochs=3, seed=5), last(toy(), epochs=3, seed=5))
    assert not np.array_equal(last(toy(), epochs=3, seed=5), last(toy(), epochs=3, seed=6))


def test_it_yields_the_weights_after_each_epoch(toy: MakeExamples) -> None:
    epochs = list(train(START, toy(), Steps(), epochs=3, seed=1))
    assert [np.array_equal(weights, last(toy(), epochs=n)) for n, weights in enumerate(epochs, 1)] == [True] * 3


def test_the_weights_it_starts_from_are_not_changed(toy: MakeExamples) -> None:
    last(toy())
    assert np.array_equal(START, initial_weights(3))


def test_it_learns_a_separable_problem(toy: MakeExamples) -> None:
    weights = last(toy(1_000), epochs=10, batch_size=64)
    fresh = toy(1_000, seed=2)
    assert np.mean((predict(weights, fresh.features) > 0.5) == fresh.fraud) > 0.99


# The caller's torch


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_callers_threads_are_untouched_between_epochs_and_after_a_failure(
    two_threads: None, toy: MakeExamples
) -> None:
    for _ in train(START, toy(), Steps(), epochs=2, seed=1):
        assert torch.get_num_threads() == 2
    with pytest.raises(TrainingError):
        last(toy(), learning_rate=1e30, batch_size=10)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("work", ["train", "predict", "model_bytes"])
def test_the_callers_draws_are_untouched(work: str, toy: MakeExamples) -> None:
    works: dict[str, Callable[[], object]] = {
        "train": lambda: last(toy()),
        "predict": lambda: predict(START, toy().features),
        "model_bytes": lambda: model_bytes(START, {}),
    }
    state = torch.get_rng_state()
    works[work]()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_callers_own_draws_do_not_change_the_result(toy: MakeExamples) -> None:
    drawn_between = [(weights, torch.randn(100))[0] for weights in train(START, toy(), Steps(), epochs=3, seed=1)]
    assert np.array_equal(drawn_between[-1], last(toy(), epochs=3))


# What it computes


def adam_by_hand(examples: Examples, steps: int, rate: float, positive_weight: float) -> NDArray[np.float64]:
    """Adam (Kingma and Ba 2015, algorithm 1) on the whole table at once, in float64, with gradients by hand."""
    flat = START.astype(np.float64)
    x, y = examples.features.astype(np.float64), examples.fraud.astype(np.float64)
    m = v = np.zeros_like(flat)
    for t in range(1, steps + 1):
        W1, b1, W2, b2, W3, b3 = np.split(flat, np.cumsum([128 * 64, 64, 64 * 32, 32, 32]))
        W1, W2 = W1.reshape(64, 128), W2.reshape(32, 64)
        h1 = np.maximum(x @ W1.T + b1, 0)
        h2 = np.maximum(h1 @ W2.T + b2, 0)
        p = 1 / (1 + np.exp(-(h2 @ W3 + b3)))
        dz = ((1 - y) * p - positive_weight * y * (1 - p)) / len(y)
        d2 = np.outer(dz, W3) * (h2 > 0)
        d1 = d2 @ W2 * (h1 > 0)
        gradient = np.concatenate(
            [(d1.T @ x).ravel(), d1.sum(0), (d2.T @ h1).ravel(), d2.sum(0), h2.T @ dz, [dz.sum()]]
        )
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        flat = flat - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-3)
    return flat


@pytest.mark.parametrize("positive_weight", [1.0, 10.0])
@pytest.mark.parametrize("steps", [1, 3])
def test_it_is_adam_on_the_weighted_cross_entropy(toy: MakeExamples, steps: int, positive_weight: float) -> None:
    examples, rate = toy(), 1e-3
    trained = last(
        examples, epochs=steps, dropout=0.0, batch_size=300, learning_rate=rate, positive_weight=positive_weight
    )
    expected = adam_by_hand(examples, steps, rate, positive_weight)
    assert np.abs(trained - START).max() > 0.9 * rate
    assert np.abs(trained - expected).max() < 0.01 * rate


class Watched(nn.Module):
    """A model that tells which rows it saw in training, by their first feature."""

    def __init__(self, model: nn.Module, tell: Callable[[list[int]], None]) -> None:
        super().__init__()
        self.model, self.tell = model, tell

    def forward(self, features: torch.Tensor) -> Any:
        if self.training:
            self.tell([int(row) for row in features[:, 0]])
        return self.model(features)


def test_every_epoch_sees_all_rows_once_in_an_order_of_its_own() -> None:
    features = np.zeros((103, 128), dtype=np.float32)
    features[:, 0] = np.arange(103)
    fraud = np.arange(103) < 50
    seen: list[list[int]] = []
    learner = Learner(lambda: Watched(restore(START), lambda rows: seen.append(rows)))
    examples = Examples(features, fraud, fraud.astype(np.int8))
    last(examples, epochs=3, batch_size=20, learning_rate=1e-6, learner=learner)
    assert [len(batch) for batch in seen] == 3 * [20, 20, 20, 20, 20, 3]
    orders = [sum(seen[start : start + 6], []) for start in (0, 6, 12)]  # noqa: RUF017
    for order in orders:
        assert sorted(order) == list(range(103))
    assert len({tuple(order) for order in [*orders, list(range(103))]}) == 4


def test_what_a_bank_trains_with_unless_it_says_otherwise() -> None:
    """Documented figures (README, docs) were measured with these."""
    assert Steps() == Steps(batch_size=512, learning_rate=2e-3, dropout=0.3, positive_weight=10.0, device="cpu")


def test_neither_seed_nor_epoch_stands_for_the_other() -> None:
    """Epoch 1 of seed 1 has other draws than epoch 0 of seed 2."""
    draws = set()
    for seed, epoch in ((1, 1), (2, 0), (0, 2), (1, 0), (0, 1)):
        with local.repeatable(seed, epoch, torch.device("cpu")) as shuffle:
            draws.add((int(torch.randint(2**40, (1,))), int(torch.randint(2**40, (1,), generator=shuffle))))
    assert len(draws) == 5


def test_dropout_changes_the_gradients(toy: MakeExamples) -> None:
    assert not np.array_equal(last(toy(), dropout=0.0), last(toy(), dropout=0.3))


def test_the_seed_decides_what_drops_out() -> None:
    """All rows are alike and one batch, so that their order does not matter."""
    alike = Examples(np.ones((50, 128), dtype=np.float32), np.full(50, True), np.ones(50, dtype=np.int8))
    assert np.array_equal(last(alike, seed=1, dropout=0.0), last(alike, seed=2, dropout=0.0))
    assert not np.array_equal(last(alike, seed=1), last(alike, seed=2))


@pytest.mark.slow
@pytest.mark.parametrize("positive_weight", [0.25, 1.0, 4.0])
def test_the_weight_of_fraud_multiplies_the_odds_that_the_model_learns(positive_weight: float) -> None:
    """Without features, the best answer is the same for all rows: odds = weight x fraud rows / honest rows."""
    fraud = np.arange(100) < 20
    blank = Examples(np.zeros((100, 128), dtype=np.float32), fraud, fraud.astype(np.int8))
    weights = last(blank, epochs=150, dropout=0.0, batch_size=100, learning_rate=0.02, positive_weight=positive_weight)
    answer = predict(weights, blank.features[:1])[0]
    assert answer / (1 - answer) == pytest.approx(positive_weight * 20 / 80, rel=0.02)


def test_balanced_weighs_fraud_by_honest_rows_over_fraud_rows(toy: MakeExamples) -> None:
    examples = toy(rows=500, share=0.1)
    balanced = last(examples, positive_weight="balanced")
    assert np.array_equal(balanced, last(examples, positive_weight=9.0))
    assert not np.array_equal(balanced, last(examples, positive_weight=8.0))


# What it refuses


def test_without_fraud_its_weight_does_not_matter(toy: MakeExamples) -> None:
    examples = toy(share=0.0)
    balanced = last(examples, positive_weight="balanced")
    assert np.isfinite(balanced).all()
    assert np.array_equal(balanced, last(examples, positive_weight=7.0))


def test_a_model_that_diverges_is_an_error(toy: MakeExamples) -> None:
    with pytest.raises(TrainingError, match="lower the learning rate"):
        last(toy(), learning_rate=1e30, batch_size=10)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_weight_that_is_not_finite_is_enough(
    value: float, monkeypatch: pytest.MonkeyPatch, toy: MakeExamples
) -> None:
    spoilt = START.copy()
    spoilt[-1] = value
    monkeypatch.setattr(local, "flatten", lambda _model: spoilt)
    with pytest.raises(TrainingError, match="no longer finite"):
        last(toy())


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, toy: MakeExamples) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match="use --device cpu"):
        usable_device("cuda")
    with pytest.raises(ConfigurationError, match="use --device cpu"):
        last(toy(), device="cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'tpu'"):
        usable_device("tpu")


def test_read_only_features_are_enough(toy: MakeExamples) -> None:
    examples = toy()
    frozen = examples.features.copy()
    frozen.setflags(write=False)
    assert np.array_equal(last(Examples(frozen, examples.fraud, examples.pattern)), last(examples))
