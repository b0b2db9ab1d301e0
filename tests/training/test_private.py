"""DP-SGD by its gradients: what was clipped, what was added, and which rows were in it, all recomputed."""

from __future__ import annotations

import hashlib
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
from secure_fl.settings import Steps
from secure_fl.training import Learner, NoiseSettings, grid, initial_weights, sample_rate, train_privately
from secure_fl.training import private as private_training
from secure_fl.training.grid import STEPS, GridOptimizer
from secure_fl.training.keystream import Keystream
from secure_fl.training.model import FlatWeights, FraudModel, flatten, restore
from secure_fl.training.private import KeyedDropout, with_keyed_dropout
from secure_fl.training.rows_apart import BLOCK, per_row_gradients

MakeExamples = Callable[..., Examples]
START = initial_weights(3)
SIZE = len(START)


@dataclass
class Step:
    """What one step of DP-SGD did."""

    weights: NDArray[np.float32]
    """Before it."""
    rows: list[int]
    sum: NDArray[np.int64]
    """Of the clipped gradients, in steps of the grid."""
    noise: NDArray[np.float64]
    """What was added to it, in the same unit."""
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
    """`record(examples)`: writes down every step of the trainings that follow. Rows are known by their features, and
    those that fill a block up by their gradient, which is zero."""
    recorder: list[Recorder] = []
    inputs: list[NDArray[np.float32]] = []
    rows: list[int] = []

    class Recording(GridOptimizer):
        def clip_and_accumulate(self) -> None:
            number = {row.tobytes(): n for n, row in enumerate(recorder[0].examples.features)}
            counts = self.grad_samples[-1].flatten(1).numpy().any(axis=1)
            rows.extend(number[row.tobytes()] for row in inputs.pop()[counts])
            assert inputs == [], "one pass, one sum"
            super().clip_and_accumulate()

        def add_noise(self) -> None:
            before = flat([p.detach().clone() for p in self.params])
            total = flat([p.summed_grad for p in self.params])
            super().add_noise()
            noisy = flat([p.grad for p in self.params]).astype(np.float64)
            noise = noisy * (STEPS / self.max_grad_norm) - total
            recorder[0].steps.append(Step(before, list(rows), total, noise, noisy))
            rows.clear()

    def watched(model: nn.Module) -> nn.Module:
        private = per_row_gradients(model)
        private.register_forward_pre_hook(lambda module, args: inputs.append(args[0].detach().numpy().copy()))
        return private

    monkeypatch.setattr(grid, "GridOptimizer", Recording)
    monkeypatch.setattr(private_training, "per_row_gradients", watched)

    def start(examples: Examples) -> Recorder:
        recorder[:] = [Recorder(examples)]
        return recorder[0]

    return start


def flat(tensors: list[torch.Tensor]) -> NDArray[Any]:
    return np.concatenate([tensor.numpy().ravel() for tensor in tensors])


def settings(**changes: Any) -> Steps:
    return Steps(**{"batch_size": 16, "dropout": 0.0, "positive_weight": 1.0, **changes})


def key(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def trained(
    examples: Examples,
    *,
    steps: int = 10,
    seed: int = 1,
    noise: NoiseSettings | None = None,
    secret: bytes | None = None,
    **changes: Any,
) -> FlatWeights:
    noise, secret = noise or NoiseSettings(1.5, 0.7), secret or key(seed)
    return train_privately(START, examples, settings(**changes), noise, steps=steps, key=secret)


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
    """The sum is the clipped gradients', each cut by less than a step of the grid: nothing else goes into it."""
    examples = toy(200)
    recorder = record(examples)
    noise = NoiseSettings(1e-6, 0.3)
    trained(examples, steps=4, noise=noise)
    clip = 0.3 * (1 - (SIZE + 16) / 2**24)  # what float32 may get wrong is kept in hand
    for step in recorder.steps:
        expected = clipped_gradients(step, examples, clip, 1.0).sum(axis=0)
        cut = len(step.rows) * 0.3 / STEPS
        assert np.abs(step.sum * (0.3 / STEPS) - expected).max() < cut + 1e-6
        assert np.abs(step.noisy_sum - expected).max() < cut + 1e-5
        assert np.linalg.norm(step.noisy_sum) <= 0.3 * len(step.rows) * (1 + 1e-3)


@pytest.mark.parametrize("rows", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_one_row_moves_the_sum_by_itself_and_nothing_else(
    record: Callable[[Examples], Recorder], toy: MakeExamples, rows: int
) -> None:
    """To the last bit: the sums with and without a row differ by the integers of that row alone, at most STEPS long."""
    examples = toy(rows)
    recorder = record(examples)
    noise = NoiseSettings(1.0, 0.1)
    trained(examples, steps=1, batch_size=rows, noise=noise)
    for row in (0, rows // 2, rows - 1):
        rest, alone = np.delete(np.arange(rows), row), np.array([row])
        for part in (rest, alone):
            trained(taken(examples, part), steps=1, batch_size=len(part), noise=noise)
        whole, without, single = recorder.steps[0], *recorder.steps[-2:]
        assert sorted(without.rows + single.rows) == sorted(whole.rows)
        assert np.array_equal(whole.sum - without.sum, single.sum)
        assert 0 < sum(int(step) ** 2 for step in single.sum) <= STEPS**2


def test_noise_and_sample_know_nothing_of_each_other(record: Callable[[Examples], Recorder], toy: MakeExamples) -> None:
    """Made of the same random numbers, the noise would show who is in the sample: at no shift may they correlate, also
    where a value of noise takes the numbers of two rows."""
    examples = toy(4_000)
    recorder = record(examples)
    largest = 0.0
    for seed in range(4):
        recorder.steps.clear()
        trained(examples, steps=2, seed=seed, noise=NoiseSettings(50.0, 1.0), batch_size=400)
        for sampled in recorder.steps:
            mask = np.zeros(4_000)
            mask[sampled.rows] = 1
            for every in (mask, mask[::2], mask[1::2]):
                for noisy in recorder.steps:
                    values = noisy.noisy_sum / 50.0  # the gradients' sum is small beside it
                    largest = max(largest, correlation(values, every), correlation(values**2, every))
    assert largest < 6.5


def correlation(values: NDArray[np.float64], mask: NDArray[np.float64]) -> float:
    """The largest z over all shifts of the mask along the values."""
    centred, aim = (values - values.mean()) / values.std(), (mask - mask.mean()) / mask.std()
    length = 2**15
    product = np.fft.rfft(centred, length) * np.conj(np.fft.rfft(aim, length))
    shifts = np.fft.irfft(product, length) / math.sqrt(len(mask))
    return float(np.abs(shifts[: SIZE - len(mask)]).max())


def taken(examples: Examples, rows: NDArray[np.intp]) -> Examples:
    return Examples(examples.features[rows], examples.fraud[rows], examples.pattern[rows])


# Poisson sampling


@pytest.mark.slow
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


def test_a_key_repeats_a_training_bit_for_bit(toy: MakeExamples) -> None:
    first, again, other = (trained(toy(), seed=seed, dropout=0.3) for seed in (5, 5, 6))
    assert first.tobytes() == again.tobytes()
    assert np.mean(first != other) > 0.99
    assert START.tobytes() == initial_weights(3).tobytes()


@pytest.mark.parametrize("bit", [0, 31, 32, 62, 63, 64, 127, 128, 255])
def test_every_bit_of_the_key_makes_another_noise_and_another_sample(
    record: Callable[[Examples], Recorder], toy: MakeExamples, bit: int
) -> None:
    """Keys that agree in their low 32, or 63, bits among them: nothing of the one's noise is left in the other's."""
    examples = toy(300)
    recorder = record(examples)
    changed = (int.from_bytes(key(1), "little") ^ (1 << bit)).to_bytes(32, "little")
    for secret in (key(1), changed):
        trained(examples, steps=1, secret=secret)
    one, other = recorder.steps
    assert abs(np.corrcoef(one.noise, other.noise)[0, 1]) < 5 / math.sqrt(SIZE)
    assert one.rows != other.rows


def test_dropout_comes_from_the_key_too(toy: MakeExamples) -> None:
    """torch's generator has no part in it, whatever state it is in."""
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        results.append(trained(toy(), dropout=0.5, steps=3))
    assert results[0].tobytes() == results[1].tobytes()


def test_dropout_drops_what_it_should() -> None:
    stream = Keystream(key(1), "dropout")
    model = with_keyed_dropout(FraudModel(0.3), stream).train()
    layers = [layer for layer in model.modules() if isinstance(layer, KeyedDropout)]
    assert len(layers) == 2
    assert not [layer for layer in model.modules() if isinstance(layer, nn.Dropout)]
    one, other = (layers[0](torch.full((2_000, 64), 7.0)) for _ in range(2))
    assert sorted(one.unique().tolist()) == pytest.approx([0.0, 10.0])
    assert (one == 0).double().mean() == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / one.numel()))
    assert ((one == 0) & (other == 0)).double().mean() == pytest.approx(0.09, abs=0.005), "masks are independent"
    assert torch.equal(layers[0].eval()(one), one)


def test_noise_is_the_same_whatever_else_is_drawn(record: Callable[[Examples], Recorder], toy: MakeExamples) -> None:
    """It tells nothing of the batch's size, of the rows or of dropout: whoever found one would not find the others."""
    noises = []
    for rows, changes in ((300, {}), (900, {"batch_size": 500}), (300, {"dropout": 0.5})):
        examples = toy(rows)
        recorder = record(examples)
        trained(examples, steps=3, **changes)
        noises.append([step.noise for step in recorder.steps])
    for other in noises[1:]:
        for mine, theirs in zip(noises[0], other, strict=True):
            assert np.abs(mine - theirs).max() <= 8, "steps of 2**-20: what float32 loses of the noisy sum"


def test_the_callers_randomness_and_threads_stay_as_they_are(toy: MakeExamples) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    trained(toy(), steps=2)
    assert torch.equal(state, torch.get_rng_state())
    assert threads == torch.get_num_threads()


@pytest.mark.slow
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


@pytest.mark.parametrize("value", [1e-7, 1e7])
def test_a_clip_norm_that_float32_cannot_square_is_refused(value: float) -> None:
    with pytest.raises(ConfigurationError, match=r"clip norm.*; use a number from 1e-06 to 1e\+06"):
        NoiseSettings(1.0, value)


def test_noise_beyond_the_grid_is_refused() -> None:
    NoiseSettings(1e4)
    with pytest.raises(ConfigurationError, match=r"noise multiplier.*; use .* up to 10000"):
        NoiseSettings(1.01e4)


class Mixing(FraudModel):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__(dropout)
        self.layers.insert(1, nn.BatchNorm1d(64))


def test_batch_normalization_is_refused(toy: MakeExamples, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="batch normalization"):
        per_row_gradients(Mixing().train())
    monkeypatch.setattr(private_training, "usual_learner", lambda settings: Learner(lambda: Mixing(settings.dropout)))
    with pytest.raises(ConfigurationError, match="batch normalization"):
        train_privately(Learner(Mixing).initial(1), toy(), settings(), NoiseSettings(1.0), steps=1, key=bytes(32))


def test_a_model_that_diverges_is_refused(toy: MakeExamples) -> None:
    with pytest.raises(TrainingError, match="learning rate"):
        trained(toy(), learning_rate=1e30, steps=20)


def test_what_comes_back_is_the_plain_models_weights(toy: MakeExamples) -> None:
    weights = trained(toy(), steps=1)
    assert weights.dtype == np.float32
    assert weights.shape == START.shape
    assert np.array_equal(flatten(restore(weights)), weights)
