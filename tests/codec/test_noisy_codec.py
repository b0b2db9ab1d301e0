"""What a bank sends is bounded, right on average, and noisy; what cannot be encoded is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from secure_fl.codec.noisy import clipped_to_norm, rounded_within
from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.privacy.distributed import NoisyCodec

pytestmark = pytest.mark.slow

Make = Callable[..., Any]


@given(
    update=st.integers(1, 60).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(-1e308, 1e308))),
    bits=st.integers(4, 12),
    seed=st.integers(0, 2**32),
)
def test_the_norm_bound_always_holds(update: Any, bits: int, seed: int, make_codec: Make, contribute: Make) -> None:
    codec = make_codec(parameters=len(update), bits=bits)
    rounded = codec.rounded(contribute(update), np.random.default_rng(seed))
    assert sum(value**2 for value in rounded.tolist()) <= codec.noise.norm_bound_squared
    assert np.abs(rounded).max() <= codec.noise.radius
    values = codec.encode(contribute(update), np.random.default_rng(seed))
    assert values.dtype == np.int64
    assert values.min() >= 0
    assert values.max() < 2**codec.noise.value_bits


@given(
    update=st.integers(1, 60).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(-1e308, 1e308))),
    norm=st.floats(1e-20, 1e20),
)
def test_clipping_shortens_and_never_turns(update: Any, norm: float) -> None:
    clipped = clipped_to_norm(update, norm)
    scale = max(np.abs(update).max(), 1e-300)
    length = float(np.linalg.norm(update / scale)) * scale if scale < 1e300 else math.inf
    assert np.linalg.norm(clipped / norm) <= 1 + 1e-12
    if length <= norm:
        np.testing.assert_allclose(clipped, update, atol=1e-300)
    elif length < 1e290:
        np.testing.assert_allclose(clipped, update * (norm / length), atol=1e-12 * norm)


def test_every_seed_is_another_rotation(make_codec: Make, contribute: Make, random_update: Make) -> None:
    codec, update = make_codec(parameters=200, bits=12), random_update(200, norm=0.5)
    other = replace(codec, rotation_seed=b"another model")
    rounded = [one.rounded(contribute(update), np.random.default_rng(1)) for one in (codec, codec, other)]
    assert (rounded[0] == rounded[1]).all()
    assert abs(np.corrcoef(rounded[0], rounded[2])[0, 1]) < 0.5


def test_rounding_is_right_on_average(random_update: Make) -> None:
    vector = random_update(400, norm=30.0)
    rng = np.random.default_rng(1)
    limit = int(np.ceil(30.0**2 + 400 / 4 + 30 + 20 / 2))
    draws = np.array([rounded_within(vector, limit, rng) for _ in range(4_000)])
    error = draws.mean(axis=0) - vector
    assert np.abs(draws - vector).max() < 1
    assert np.abs(error).max() < 6 * 0.5 / np.sqrt(4_000)


def test_rounding_goes_on_until_the_vector_is_short_enough() -> None:
    """Of the 2**10 equally likely roundings, only the 1 + 10 + 45 with at most two ones may be sent."""
    halves = np.full(10, 0.5)
    rng = np.random.default_rng(1)
    lengths = np.bincount([int(rounded_within(halves, 2, rng).sum()) for _ in range(5_600)], minlength=3)
    assert len(lengths) == 3
    np.testing.assert_allclose(lengths / 100, [1, 10, 45], atol=3)


def test_a_vector_that_no_rounding_makes_short_enough_is_refused() -> None:
    with pytest.raises(TrainingError, match="cannot be rounded to a squared norm of 3; clip it first"):
        rounded_within(np.full(4, 1.0), 3, np.random.default_rng(1))


def test_the_update_comes_back_with_the_plans_noise(make_codec: Make, contribute: Make, random_update: Make) -> None:
    codec = make_codec(parameters=10_000)
    update = random_update(10_000, norm=0.4)
    values = codec.encode(contribute(update), np.random.default_rng(1))
    mean = codec.decode(values, contributors=1)
    assert mean.step == codec.unit
    noise = (mean.update - update) / codec.unit
    assert abs(noise.mean()) < 6 * codec.noise.deviation / 100
    assert noise.std() == pytest.approx(codec.noise.deviation, rel=0.06)


def test_noise_does_not_come_from_the_generator_of_the_experiment(
    make_codec: Make, contribute: Make, random_update: Make
) -> None:
    codec = make_codec()
    contribution = contribute(random_update(1_000))
    rounded = codec.rounded(contribution, np.random.default_rng(7))
    np.testing.assert_array_equal(rounded, codec.rounded(contribution, np.random.default_rng(7)))
    noises = [codec.encode(contribution, np.random.default_rng(7)) - codec.noise.offset - rounded for _ in range(2)]
    assert abs(np.corrcoef(*noises)[0, 1]) < 0.2
    assert abs(np.corrcoef(noises[0], rounded)[0, 1]) < 0.2


def test_a_long_update_weighs_no_more_than_a_short_one(make_codec: Make, contribute: Make, random_update: Make) -> None:
    codec = make_codec()
    direction = random_update(1_000)
    draws = [codec.rounded(contribute(norm * direction), np.random.default_rng(1)) for norm in (0.5, 5e10)]
    np.testing.assert_array_equal(*draws)


def test_an_update_of_zero_is_sent_as_noise_alone(make_codec: Make, contribute: Make) -> None:
    codec = make_codec()
    assert not codec.rounded(contribute(np.zeros(1_000)), np.random.default_rng(1)).any()


@pytest.mark.parametrize("norm", [0.0, -1.0, math.inf, math.nan, 1e31, 1e-31])
def test_a_clip_norm_that_means_nothing_is_refused(norm: float, make_codec: Make) -> None:
    with pytest.raises(ConfigurationError, match=r"a maximal update norm of .* is refused; use 1e-30 to 1e\+30"):
        NoisyCodec(make_codec().noise, norm, b"")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_an_update_that_is_not_finite_is_refused(value: float, make_codec: Make, contribute: Make) -> None:
    with pytest.raises(TrainingError, match="not finite: local training diverged; lower the learning rate"):
        make_codec(parameters=3).encode(contribute([0.1, value, 0.2]), np.random.default_rng(1))


@pytest.mark.parametrize(("noise", "sent"), [(10**12, -1), (-(10**12), 0)])
def test_noise_beyond_its_tail_is_clamped(
    noise: int, sent: int, make_codec: Make, contribute: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = make_codec(parameters=5)
    monkeypatch.setattr("secure_fl.codec.noisy.discrete_gaussian", lambda deviation, count: np.full(count, noise))
    values = codec.encode(contribute(np.ones(5)), np.random.default_rng(1))
    assert values.tolist() == [sent % 2**codec.noise.value_bits] * 5
