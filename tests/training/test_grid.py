"""The integers of a noisy sum: no row longer than STEPS, sums exact, and no row's bad numbers in them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from secure_fl.errors import ConfigurationError
from secure_fl.training import initial_weights
from secure_fl.training.grid import MOST_ROWS, STEPS, GridOptimizer, exact_sum, row_factors, whole_steps
from secure_fl.training.keystream import Keystream
from secure_fl.training.model import restore
from secure_fl.training.rounded_gaussian import WORDS, rounded_gaussian
from secure_fl.training.rows_apart import BLOCK, per_row_gradients

KEY = hashlib.sha256(b"grid").digest()


def steps_of(gradients: list[torch.Tensor], clip: float) -> list[torch.Tensor]:
    factors = row_factors(gradients, clip)
    return [whole_steps(gradient.clone(), factors) for gradient in gradients]


def squared_norms(steps: list[torch.Tensor]) -> list[int]:
    """Exact."""
    rows = torch.cat([part.flatten(1) for part in steps], dim=1).numpy().astype(object)
    return [int(norm) for norm in (rows * rows).sum(axis=1)]


def gradients(seed: int, kind: str, scale: float) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    rows = {
        "normal": rng.normal(size=(4, 10_369)),
        "equal": np.ones((4, 10_369)),
        "wide": np.exp(rng.uniform(-60, 0, size=(4, 10_369))) * rng.choice([-1, 1], size=(4, 10_369)),
        "one": np.eye(4, 10_369),
        "sparse": rng.normal(size=(4, 10_369)) * (rng.random((4, 10_369)) < 0.001),
    }[kind]
    flat = torch.tensor(rows * scale / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-9), dtype=torch.float32)
    return [
        part.reshape(4, *shape)
        for part, shape in zip(torch.split(flat, [8192, 2177], 1), ((64, 128), (7, 311)), strict=True)
    ]


@pytest.mark.slow
@given(
    st.integers(0, 2**31),
    st.sampled_from(["normal", "equal", "wide", "one", "sparse"]),
    st.floats(-12, 12) | st.sampled_from([0.0, 1e-7, 1e-4, -1e-4]),
    st.sampled_from([1e-6, 0.05, 0.7, 1.0, 1e6]),
)
def test_no_row_is_longer_than_the_clip_norm(seed: int, kind: str, above: float, clip: float) -> None:
    """In integers, so exactly: rows from far below to far above the clip norm, and a hair on either side of it."""
    rows = gradients(seed, kind, clip * 2.0**above)
    norms = squared_norms(steps_of(rows, clip))
    assert max(norms) <= STEPS**2
    if above >= 0 and kind != "sparse":
        assert min(norms) > (0.99 * STEPS) ** 2, "clipped to the norm, not below it"


def test_a_norm_that_float32_gets_wrong_makes_no_row_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Added one by one, small squares are lost beside a large one: that much, and more, is kept in hand."""

    def one_by_one(rows: torch.Tensor, dim: int) -> torch.Tensor:
        return torch.from_numpy(np.sqrt(np.cumsum(rows.numpy() ** 2, axis=dim, dtype=np.float32).take(-1, axis=dim)))

    row = np.full((1, 10_369), 2.0**-12.51, dtype=np.float32)
    row[0, 0] = 1
    exact = float(np.linalg.norm(row.astype(np.float64)))
    assert exact > float(one_by_one(torch.from_numpy(row), 1)) * (1 + 1e-4)
    monkeypatch.setattr(torch.linalg, "vector_norm", one_by_one)
    assert squared_norms(steps_of([torch.from_numpy(3 * row)], 1.0))[0] <= STEPS**2


def test_short_rows_are_cut_towards_zero_by_less_than_a_step() -> None:
    rows = gradients(1, "normal", 0.4)
    for gradient, steps in zip(rows, steps_of(rows, 0.7), strict=True):
        exact = gradient.double() * (STEPS / 0.7)
        assert bool((steps.double().abs() <= exact.abs() * (1 + 2**-22)).all())
        assert float((exact - steps.double()).abs().max()) < 1.001


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_a_gradient_that_is_no_number_counts_as_none(bad: float) -> None:
    """A sum that it made infinite would tell that the row was there."""
    rows = gradients(2, "normal", 5.0)
    clean = steps_of(rows, 1.0)
    rows[0][2, 3, 4] = bad
    rows[0][2, 5, 6] = bad
    steps = steps_of(rows, 1.0)
    for before, after in zip(clean, steps, strict=True):
        assert not bool(after[2].any())
        assert torch.equal(before[[0, 1, 3]], after[[0, 1, 3]])


def test_sums_are_exact_in_any_order() -> None:
    """The worst case too: every row of a block at STEPS in one place."""
    rng = np.random.default_rng(3)
    rows = rng.integers(-STEPS, STEPS + 1, size=(MOST_ROWS, 50)).astype(np.int32)
    rows[:, 0], rows[:, 1] = STEPS, -STEPS
    expected = [sum(int(value) for value in column) for column in rows.T]
    for order in (np.arange(MOST_ROWS), rng.permutation(MOST_ROWS)):
        total = exact_sum(torch.from_numpy(rows[order]))
        assert total.dtype == torch.int64
        assert total.tolist() == expected
    assert BLOCK <= MOST_ROWS
    with pytest.raises(ConfigurationError, match=f"blocks of at most {MOST_ROWS}"):
        exact_sum(torch.zeros((MOST_ROWS + 1, 1), dtype=torch.int32))


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_sum_and_noise_are_integers() -> None:
    """What Adam sees is a whole number of steps, times a constant: also with the smallest noise, and next to it."""
    model = per_row_gradients(restore(initial_weights(1)))
    inner = torch.optim.SGD(model.parameters(), lr=1.0)
    options = {"noise_multiplier": 0.01, "max_grad_norm": 2.0, "expected_batch_size": 1}  # float32 holds these sums
    optimizer = GridOptimizer(inner, noise=Keystream(KEY, "noise"), **options)
    features = torch.from_numpy(np.random.default_rng(5).normal(size=(5, 128)).astype(np.float32))
    gradients_of(model, features, torch.zeros(5))
    optimizer.pre_step()
    for parameter in optimizer.params:
        assert parameter.summed_grad.dtype == torch.int64
        steps = parameter.grad.double() * (STEPS / 2.0)
        assert torch.equal(steps, steps.round())
        noise = (steps - parameter.summed_grad).abs()
        assert 0 < float(noise.max()) < 6 * 0.01 * STEPS


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch has no CUDA device here")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NO_GPU)])
def test_every_device_adds_the_noise_of_the_key(device: str) -> None:
    """In the order of the parameters, recomputed from the keystream."""
    parameters = [nn.Parameter(torch.zeros(shape, device=device)) for shape in ((64, 128), (64,), (1, 3))]
    options = {"noise_multiplier": 1.5, "max_grad_norm": 0.5, "expected_batch_size": 1}
    optimizer = GridOptimizer(torch.optim.SGD(parameters, lr=1.0), noise=Keystream(KEY, "noise"), **options)
    again = Keystream(KEY, "noise")
    for total in (0, 7):
        for parameter in parameters:
            parameter.summed_grad = torch.full(parameter.shape, total, device=device)  # type: ignore[attr-defined]
        optimizer.add_noise()
        expected = (rounded_gaussian(1.5 * STEPS, again.words(WORDS * 8259)) + total) * (0.5 / STEPS)
        added = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).cpu().numpy()
        assert np.array_equal(added, expected.astype(np.float32))


def gradients_of(model: nn.Module, features: torch.Tensor, fraud: torch.Tensor) -> torch.Tensor:
    for parameter in model.parameters():
        parameter.grad_sample = None  # type: ignore[attr-defined]
    torch.autograd.backward(nn.functional.binary_cross_entropy_with_logits(model(features), fraud, reduction="sum"))
    return torch.cat([p.grad_sample.flatten(1) for p in model.parameters()], dim=1)  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_a_rows_gradient_does_not_depend_on_its_place_or_its_neighbours() -> None:
    """Bit for bit in blocks of BLOCK rows. In batches of other sizes it does, on many processors: hence the blocks."""
    rng = np.random.default_rng(4)
    features = torch.from_numpy(rng.normal(size=(3 * BLOCK, 128)).astype(np.float32))
    fraud = torch.from_numpy((rng.random(3 * BLOCK) < 0.2).astype(np.float32))
    model = per_row_gradients(restore(initial_weights(1)))
    seen: dict[int, bytes] = {}
    for _ in range(20):
        rows = rng.permutation(3 * BLOCK)[:BLOCK]
        for row, gradient in zip(rows.tolist(), gradients_of(model, features[rows], fraud[rows]), strict=True):
            assert seen.setdefault(row, gradient.numpy().tobytes()) == gradient.numpy().tobytes()
    assert len(seen) > 2 * BLOCK
