"""DP-SGD by its gradients: what was clipped, what was added, and which rows were in it, all recomputed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl.data import Examples
from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.training import NoiseSettings, TrainingSettings, initial_weights, sample_rate, train_privately
from secure_fl.training import private as private_training
from secure_fl.training.model import FlatWeights, FraudModel, flatten, restore
from secure_fl.training.private import per_row_gradients

MakeExamples = Callable[..., Examples]
START = initial_weights(3)
SIZE = len(START)


@dataclass
class Step:
    """What one step of DP-SGD did."""

    weights: NDArray[np.float32]
    """Before it."""
    rows: list[int]
    noisy_sum: NDArray[np.float64]
    """The gradient that Adam saw, times the expected batch size."""


@dataclass
class Recorder:
    examples: Examples
    steps: list[Step] = field(default_factory=list)

    def batches(self) -> list[list[int]]:
        return [step.rows for step in self.steps]


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Callable[[Examples], Recorder]:
    """`record(examples)`: writes down every step of the trainings that follow. Rows are known by their features."""
    import opacus.optimizers

    recorder: list[Recorder] = []
    inputs: list[NDArray[np.float32]] = []
    original = opacus.optimizers.DPOptimizer

    class Recording(original):  # type: ignore[misc, valid-type]
        def pre_step(self, closure: Any = None) -> Any:
            before = np.concatenate([p.detach().numpy().ravel().copy() for p in self.params])
            done = super().pre_step(closure)
            gradient = np.concatenate([p.grad.numpy().ravel() for p in self.params]).astype(np.float64)
            features = inputs.pop()
            assert inputs == [], "one pass a step"
            number = {row.tobytes(): n for n, row in enumerate(recorder[0].examples.features)}
            rows = [number[row.tobytes()] for row in features]
            recorder[0].steps.append(Step(before, rows, gradient * self.expected_batch_size))
            return done

    def watched(model: nn.Module) -> nn.Module:
        private = per_row_gradients(model)
        private.register_forward_pre_hook(lambda module, args: inputs.append(args[0].detach().numpy().copy()))
        return private

    monkeypatch.setattr(opacus.optimizers, "DPOptimizer", Recording)
    monkeypatch.setattr(private_training, "per_row_gradients", watched)

    def start(examples: Examples) -> Recorder:
        recorder[:] = [Recorder(examples)]
        return recorder[0]

    return start


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings(**{"batch_size": 16, "dropout": 0.0, "positive_weight": 1.0, **changes})


def trained(
    examples: Examples, *, steps: int = 10, seed: int = 1, noise: NoiseSettings | None = None, **changes: Any
) -> FlatWeights:
    return train_privately(
        START, examples, settings(**changes), noise or NoiseSettings(1.5, 0.7), steps=steps, seed=seed
    )


def clipped_gradients(step: Step, examples: Examples, clip: float, positive_weight: float) -> NDArray[np.float64]:
    """[rows, parameters]: plain autograd in float64, row by row."""
    model = restore(step.weights).double()
    gradients = np.zeros((len(step.rows), SIZE))
    for place, row in enumerate(step.rows):
        logit = model(torch.tensor(examples.features[row : row + 1]).double())[0]
        softplus = nn.functional.softplus
        loss = positive_weight * softplus(-logit) if examples.fraud[row] else softplus(logit)
        gradients[place] = np.concatenate(
            [g.numpy().ravel() for g in torch.autograd.grad(loss, list(model.parameters()))]
        )
        gradients[place] *= min(1.0, clip / float(np.linalg.norm(gradients[place])))
    return gradients


# The noise, from the gradients


@pytest.mark.parametrize(
    ("noise", "positive_weight"), [(NoiseSettings(1.5, 0.7), 1.0), (NoiseSettings(0.4, 0.05), 10.0)], ids=str
)
def test_adam_sees_clipped_gradients_plus_noise_of_the_promised_size(
    record: Callable[[Examples], Recorder], toy: MakeExamples, noise: NoiseSettings, positive_weight: float
) -> None:
    """Variance within 2 % of (sigma C)**2: 124,428 values, whose relative standard error is 0.4 %."""
    examples = toy(400)
    recorder = record(examples)
    trained(examples, steps=12, noise=noise, positive_weight=positive_weight)
    deviation = noise.noise_multiplier * noise.max_grad_norm
    added, norms = [], []
    for step in recorder.steps:
        gradients = clipped_gradients(step, examples, noise.max_grad_norm, positive_weight)
        norms += np.linalg.norm(gradients, axis=1).tolist()
        added.append(step.noisy_sum - gradients.sum(axis=0))
    values = np.array(added) / deviation
    assert values.shape == (12, SIZE)
    assert values.var() == pytest.approx(1, rel=0.02)
    assert all(step.var() == pytest.approx(1, rel=0.07) for step in values)
    assert abs(values.mean()) < 5 / math.sqrt(values.size)
    assert np.mean(values**4) == pytest.approx(3, rel=0.05)
    assert np.abs(np.corrcoef(values) - np.eye(12)).max() < 6 / math.sqrt(SIZE), "steps share no noise"
    assert max(norms) <= noise.max_grad_norm * (1 + 1e-6)
    assert sum(norm > 0.999 * noise.max_grad_norm for norm in norms) > 10, "clipping was at work"


def test_every_rows_gradient_is_clipped_by_itself(
    record: Callable[[Examples], Recorder], toy: MakeExamples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With next to no noise the sum is the clipped gradients' to float32, so nothing else goes into it."""
    examples = toy(200)
    recorder = record(examples)
    noise = NoiseSettings(1e-6, 0.3)
    trained(examples, steps=4, noise=noise)
    for step in recorder.steps:
        expected = clipped_gradients(step, examples, 0.3, 1.0).sum(axis=0)
        assert np.abs(step.noisy_sum - expected).max() < 1e-4 * np.abs(expected).max()
        assert np.linalg.norm(step.noisy_sum) <= 0.3 * len(step.rows) * (1 + 1e-3)


def test_noise_and_sample_know_nothing_of_each_other(record: Callable[[Examples], Recorder], toy: MakeExamples) -> None:
    """Made of the same random numbers, the noise would show who is in the sample: at no shift may they correlate."""
    examples = toy(4_000)
    recorder = record(examples)
    length = 2**15
    largest = 0.0
    for seed in range(4):
        recorder.steps.clear()
        trained(examples, steps=2, seed=seed, noise=NoiseSettings(50.0, 1.0), batch_size=400)
        for sampled in recorder.steps:
            mask = np.zeros(4_000)
            mask[sampled.rows] = 1
            mask = (mask - mask.mean()) / mask.std()
            for noisy in recorder.steps:
                values = noisy.noisy_sum / 50.0  # the gradients' sum is small beside it
                for feature in (values, values**2):
                    centred = (feature - feature.mean()) / feature.std()
                    product = np.fft.rfft(centred, length) * np.conj(np.fft.rfft(mask, length))
                    shifts = np.fft.irfft(product, length) / math.sqrt(len(mask))
                    largest = max(largest, float(np.abs(shifts[: SIZE - len(mask)]).max()))
    assert largest < 6.5


# Poisson sampling


def test_batches_are_poisson_samples(record: Callable[[Examples], Recorder], toy: MakeExamples) -> None:
    """Sizes binomial, rows independent of each other, and every step a fresh draw."""
    examples, steps, rate = toy(500), 300, 40 / 500
    recorder = record(examples)
    trained(examples, steps=steps, batch_size=40)
    member = np.zeros((steps, 500))
    for number, rows in enumerate(recorder.batches()):
        assert len(set(rows)) == len(rows), "no row twice in a step"
        member[number, rows] = 1
    sizes = member.sum(axis=1)
    assert len(sizes) == steps
    assert sizes.mean() == pytest.approx(40, abs=5 * math.sqrt(500 * rate * (1 - rate) / steps))
    assert sizes.var() == pytest.approx(500 * rate * (1 - rate), rel=5 * math.sqrt(2 / steps))
    often = member.sum(axis=0)
    spread = steps * rate * (1 - rate)
    assert np.abs(often - steps * rate).max() < 5 * math.sqrt(spread), "no row more often than another"
    assert often.var() == pytest.approx(spread, rel=5 * math.sqrt(2 / 500))
    between_rows, between_steps = np.corrcoef(member.T), np.corrcoef(member)
    assert np.abs(between_rows - np.eye(500)).max() < 7 / math.sqrt(steps)
    assert np.abs(between_steps - np.eye(steps)).max() < 7 / math.sqrt(500)


def test_the_same_rows_are_not_drawn_again(record: Callable[[Examples], Recorder], toy: MakeExamples) -> None:
    examples = toy(300)
    recorder = record(examples)
    for seed in (1, 2):
        trained(examples, steps=5, seed=seed)
    assert len({tuple(rows) for rows in recorder.batches()}) == 10


def test_an_empty_batch_is_a_step_of_noise_alone(record: Callable[[Examples], Recorder], toy: MakeExamples) -> None:
    examples = toy(300)
    recorder = record(examples)
    weights = trained(examples, steps=8, batch_size=1, noise=NoiseSettings(2.0, 0.5))
    empty = [step for step in recorder.steps if not step.rows]
    assert len(recorder.steps) == 8
    assert len(empty) >= 1, "choose another seed"
    for step in empty:
        assert step.noisy_sum.std() == pytest.approx(1.0, rel=0.05)
    after = [step.weights for step in recorder.steps[1:]] + [weights]
    for step, later in zip(recorder.steps, after, strict=True):
        assert np.mean(step.weights != later) > 0.99, "every step moves the weights"


def test_a_batch_as_large_as_the_bank_is_all_of_it(record: Callable[[Examples], Recorder], toy: MakeExamples) -> None:
    examples = toy(32)
    recorder = record(examples)
    trained(examples, steps=3, batch_size=32)
    assert [sorted(rows) for rows in recorder.batches()] == [list(range(32))] * 3


@pytest.mark.parametrize(("rows", "batch", "rate"), [(100, 25, 0.25), (100, 100, 1.0)])
def test_the_sample_rate_is_the_batch_over_the_rows(rows: int, batch: int, rate: float) -> None:
    assert sample_rate(rows, settings(batch_size=batch)) == rate


# Repeating


def test_a_seed_repeats_a_training_bit_for_bit(toy: MakeExamples) -> None:
    first, again, other = (trained(toy(), seed=seed, dropout=0.3) for seed in (5, 5, 6))
    assert first.tobytes() == again.tobytes()
    assert np.mean(first != other) > 0.99
    assert START.tobytes() == initial_weights(3).tobytes()


def test_seeds_that_differ_in_their_high_bits_are_different_seeds(toy: MakeExamples) -> None:
    low, high = trained(toy(), seed=5), trained(toy(), seed=5 + 2**40)
    assert np.mean(low != high) > 0.99


def test_the_callers_randomness_and_threads_stay_as_they_are(toy: MakeExamples) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    trained(toy(), steps=2)
    assert torch.equal(state, torch.get_rng_state())
    assert threads == torch.get_num_threads()


def test_it_learns_under_noise(toy: MakeExamples) -> None:
    from secure_fl.training import predict

    weights = trained(toy(2_000), steps=150, batch_size=200, learning_rate=0.02, noise=NoiseSettings(1.0))
    fresh = toy(1_000, seed=2)
    assert np.mean((predict(weights, fresh.features) > 0.5) == fresh.fraud) > 0.95


# What it refuses


def test_a_bank_smaller_than_a_batch_is_refused(toy: MakeExamples) -> None:
    with pytest.raises(ConfigurationError, match="300 training rows is smaller than a batch of 301") as caught:
        trained(toy(300), batch_size=301)
    assert "; " in str(caught.value)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_clip_norm_or_noise_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ConfigurationError, match="clip norm"):
        NoiseSettings(1.0, value)
    with pytest.raises(ConfigurationError, match="noise multiplier"):
        NoiseSettings(value, 1.0)


class Mixing(FraudModel):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__(dropout)
        self.layers.insert(1, nn.BatchNorm1d(64))


def test_batch_normalization_is_refused(toy: MakeExamples, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="batch normalization"):
        per_row_gradients(Mixing().train())
    monkeypatch.setattr(private_training, "restore", lambda weights, dropout: Mixing(dropout))
    with pytest.raises(ConfigurationError, match="batch normalization"):
        trained(toy())


def test_a_model_that_diverges_is_refused(toy: MakeExamples) -> None:
    with pytest.raises(TrainingError, match="learning rate"):
        trained(toy(), learning_rate=1e30, steps=20)


def test_what_comes_back_is_the_plain_models_weights(toy: MakeExamples) -> None:
    weights = trained(toy(), steps=1)
    assert weights.dtype == np.float32
    assert weights.shape == START.shape
    assert np.array_equal(flatten(restore(weights)), weights)
