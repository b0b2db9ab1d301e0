"""What quantization promises: bounded integers, no bias, a mean within one step, counts that are exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secure_fl.codec.digits import to_digits
from secure_fl.codec.quantization import (
    Contribution,
    Float32Codec,
    MeanUpdate,
    QuantizedCodec,
    make_codec,
    next_clip,
)
from secure_fl.errors import ConfigurationError, TrainingError

BITS = st.integers(4, 24)
CLIPS = st.floats(1e-9, 1e6)
SEEDS = st.integers(0, 2**32 - 1)
PARAMETERS = 7


def exact_mean(contributions: list[Contribution], mean_examples: float) -> NDArray[np.float64]:
    weighted = [c.update * (c.num_examples / mean_examples) for c in contributions]
    mean: NDArray[np.float64] = np.sum(weighted, axis=0) / len(contributions)
    return mean


def through_the_sum(codec: QuantizedCodec | Float32Codec, contributions: list[Contribution], seed: int) -> MeanUpdate:
    rng = np.random.default_rng(seed)
    vectors = [codec.encode(c, rng) for c in contributions]
    assert all(len(vector) == codec.length for vector in vectors)
    total: NDArray[np.float64] = np.sum(vectors, axis=0, dtype=np.float64)
    return codec.decode(total, len(contributions))


@st.composite
def weighted_within(draw: st.DrawFn, clip: float, mean_examples: float, banks: int) -> list[Contribution]:
    """Contributions whose weighted update lies within +-clip, often at its very edge."""
    edge = st.sampled_from([-1.0, 0.0, 1.0]) | st.floats(-1, 1)
    contributions = []
    for _ in range(banks):
        examples = draw(st.integers(1, 10**7))
        relative = np.array(draw(st.lists(edge, min_size=PARAMETERS, max_size=PARAMETERS)))
        # A hair inside, so that dividing and multiplying by the weight again cannot round across the edge.
        contributions.append(Contribution(relative * clip * (1 - 1e-14) * mean_examples / examples, examples))
    return contributions


@given(bits=BITS, clip=CLIPS, banks=st.integers(3, 20), mean_examples=st.floats(1, 1e6), seed=SEEDS, data=st.data())
@pytest.mark.slow
def test_the_mean_is_within_one_step_and_nothing_is_clipped(
    bits: int, clip: float, banks: int, mean_examples: float, seed: int, data: st.DataObject
) -> None:
    contributions = data.draw(weighted_within(clip, mean_examples, banks))
    mean = through_the_sum(QuantizedCodec(PARAMETERS, bits, clip, mean_examples), contributions, seed)
    assert mean.step is not None
    assert np.abs(mean.update - exact_mean(contributions, mean_examples)).max() <= mean.step * (1 + 1e-6)
    assert mean.clipped == 0


@given(bits=BITS, banks=st.integers(3, 20))
def test_a_step_is_what_one_more_in_the_sum_changes(bits: int, banks: int) -> None:
    codec = QuantizedCodec(PARAMETERS, bits, clip=0.5, mean_examples=30.0)
    rng = np.random.default_rng(1)
    total = np.sum([codec.encode(Contribution(np.zeros(PARAMETERS), 30), rng) for _ in range(banks)], axis=0)
    more = total.copy()
    more[:PARAMETERS] += 1
    change = codec.decode(more, banks).update - codec.decode(total, banks).update
    step = codec.decode(total, banks).step
    # `step` is banks times that: each of them is off by less than one unit.
    assert change == pytest.approx(np.full(PARAMETERS, step) / banks, rel=1e-6)


@given(bits=BITS, clip=CLIPS, examples=st.integers(1, 2**40 - 1), seed=SEEDS, data=st.data())
def test_encoded_values_are_always_within_their_bits(
    bits: int, clip: float, examples: int, seed: int, data: st.DataObject
) -> None:
    update = np.array(data.draw(st.lists(st.floats(-1e100, 1e100), min_size=PARAMETERS, max_size=PARAMETERS)))
    codec = QuantizedCodec(PARAMETERS, bits, clip, mean_examples=1_000.0)
    encoded = codec.encode(Contribution(update, examples), np.random.default_rng(seed))
    assert encoded.dtype == np.int64
    assert encoded.min() >= 0
    assert encoded.max() < 2**bits


@given(bits=BITS, clip=CLIPS, seed=SEEDS)
def test_the_edges_of_the_clip_range_are_the_smallest_and_the_largest_integer(
    bits: int, clip: float, seed: int
) -> None:
    update = np.array([-clip, clip, -2 * clip, 1e300])
    codec = QuantizedCodec(4, bits, clip, mean_examples=10.0)
    encoded = codec.encode(Contribution(update, 10), np.random.default_rng(seed))[:4]
    assert encoded[[1, 3]].tolist() == [2**bits - 1] * 2
    assert encoded[[0, 2]].tolist() == [0, 0]


@pytest.mark.parametrize("bits", [4, 8, 16, 24])
def test_stochastic_rounding_is_unbiased(bits: int) -> None:
    draws = 200_000
    codec = QuantizedCodec(draws, bits, clip=1.0, mean_examples=1.0)
    rng = np.random.default_rng(bits)
    for value in rng.uniform(-1, 1, 5):
        encoded = codec.encode(Contribution(np.full(draws, value), 1), rng)[:draws]
        position = (value + 1) * (2**bits - 1) / 2
        fraction = position - math.floor(position)
        assert set(np.unique(encoded).tolist()) <= {math.floor(position), math.floor(position) + 1}
        deviation = math.sqrt(fraction * (1 - fraction) / draws)
        assert abs(encoded.mean() - position) < 5 * deviation + 1e-9


@given(bits=BITS, seed=SEEDS, outside=st.lists(st.integers(0, 40), min_size=3, max_size=10))
def test_the_number_of_clipped_values_is_exact(bits: int, seed: int, outside: list[int]) -> None:
    rng = np.random.default_rng(seed)
    codec = QuantizedCodec(40, bits, clip=0.25, mean_examples=100.0)
    contributions = []
    for count in outside:
        examples = int(rng.integers(1, 1_000))
        relative = rng.uniform(-0.99, 0.99, 40)
        relative[rng.permutation(40)[:count]] *= 0
        relative[relative == 0] = rng.choice([-1.01, 1.5, 1e9])
        contributions.append(Contribution(relative * 0.25 * 100 / examples, examples))
    assert through_the_sum(codec, contributions, seed).clipped == sum(outside)


def test_a_clipped_value_counts_as_the_edge() -> None:
    codec = QuantizedCodec(1, 16, clip=0.5, mean_examples=10.0)
    mean = through_the_sum(codec, [Contribution(np.array([value]), 10) for value in (7.0, 0.5, 0.5)], seed=1)
    assert mean.update == pytest.approx([0.5])
    assert mean.clipped == 1


@given(seed=SEEDS, banks=st.integers(3, 20), scale=st.floats(1e-6, 1e6))
def test_float32_gives_the_float64_mean_but_for_rounding(seed: int, banks: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    contributions = [
        Contribution(rng.normal(scale=scale, size=PARAMETERS), int(rng.integers(1, 2**34))) for _ in range(banks)
    ]
    mean = through_the_sum(Float32Codec(PARAMETERS, mean_examples=2.0**33), contributions, seed)
    largest = max(np.abs(c.update * c.num_examples).max() for c in contributions)
    exact = exact_mean(contributions, mean_examples=2.0**33)
    assert np.abs(mean.update - exact).max() <= largest / 2**33 * 2**-23
    assert (mean.clipped, mean.step) == (0, None)


@given(seed=SEEDS)
def test_the_same_draws_give_the_same_integers(seed: int) -> None:
    codec = QuantizedCodec(100, 8, clip=1.0, mean_examples=5.0)
    contribution = Contribution(np.random.default_rng(seed).uniform(-1, 1, 100), 5)
    first, again = (codec.encode(contribution, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, codec.encode(contribution, np.random.default_rng(seed + 1)))


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_update_that_is_not_finite_is_refused(bits: int | None, bad: float) -> None:
    codec = make_codec(3, bits, clip=1.0, mean_examples=10.0)
    with pytest.raises(TrainingError, match="diverged"):
        codec.encode(Contribution(np.array([0.0, bad, 0.0]), 10), np.random.default_rng(1))


@pytest.mark.parametrize("value", [1e39, -1e39])
def test_an_update_beyond_float32_is_refused(value: float) -> None:
    with pytest.raises(TrainingError):
        Float32Codec(1, mean_examples=1.0).encode(Contribution(np.array([value]), 1), np.random.default_rng(1))


@pytest.mark.parametrize("clip", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_clip_range_that_is_not_positive_is_refused(clip: float) -> None:
    with pytest.raises(ConfigurationError, match="clip range"):
        QuantizedCodec(3, 8, clip, mean_examples=1.0)


@pytest.mark.parametrize("clip", [1e-320, 1e308])
def test_a_clip_range_without_a_usable_step_is_refused(clip: float) -> None:
    with pytest.raises(ConfigurationError):
        QuantizedCodec(1, 16, clip, mean_examples=1.0).encode(
            Contribution(np.array([clip]), 1), np.random.default_rng(1)
        )


@pytest.mark.parametrize("bits", [None, 4, 8, 24])
def test_nothing_that_travels_depends_on_the_number_of_examples_but_the_weighted_update(bits: int | None) -> None:
    codec = make_codec(3, bits, clip=1.0, mean_examples=10.0)
    one, many = (
        codec.encode(Contribution(np.array([0.5, -0.25, 0.0]) / weight, 10 * weight), np.random.default_rng(1))
        for weight in (1, 1000)
    )
    assert one.tolist() == many.tolist()


@pytest.mark.parametrize(("clipped", "possible"), [(0, True), (6, True), (7, False), (2**40 - 1, False)])
def test_an_impossible_count_of_clipped_values_is_refused(clipped: int, possible: bool) -> None:
    codec = QuantizedCodec(3, 8, clip=1.0, mean_examples=10.0)
    total = np.sum([codec.encode(Contribution(np.zeros(3), 10), np.random.default_rng(1)) for _ in range(2)], axis=0)
    total[3:] = to_digits(clipped, 40, 8)
    if possible:
        assert codec.decode(total, 2).clipped == clipped
    else:
        with pytest.raises(TrainingError, match="sends a wrong count"):
            codec.decode(total, 2)


@given(bits=BITS, seed=SEEDS)
def test_one_bank_moves_the_mean_by_its_clip_range_at_most(bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codec = QuantizedCodec(PARAMETERS, bits, clip=0.5, mean_examples=10.0)
    honest = [codec.encode(Contribution(rng.uniform(-0.4, 0.4, PARAMETERS), 10), rng) for _ in range(4)]
    lie = rng.integers(0, 2**bits, codec.length)
    lie[PARAMETERS:] = 0
    quiet = codec.encode(Contribution(np.zeros(PARAMETERS), 10), rng)
    moved = (
        codec.decode(np.sum([*honest, lie], axis=0), 5).update
        - codec.decode(np.sum([*honest, quiet], axis=0), 5).update
    )
    assert np.abs(moved).max() <= (0.5 + codec.unit) / 5


@given(seed=SEEDS, clip=CLIPS)
def test_the_next_clip_range_follows_the_mean_and_leaves_room(seed: int, clip: float) -> None:
    mean = np.random.default_rng(seed).normal(size=50)
    following = next_clip(mean, clip, clipped=0)
    assert following > np.abs(mean).max()
    assert next_clip(-2 * mean, clip, clipped=0) == pytest.approx(2 * following)


@given(clip=CLIPS, clipped=st.integers(1))
def test_the_clip_range_doubles_after_clipping_whatever_the_mean(clip: float, clipped: int) -> None:
    assert next_clip(np.zeros(3), clip, clipped) == next_clip(np.full(3, 1e-3 * clip), clip, clipped) == 2 * clip


def test_a_mean_of_zero_keeps_the_clip_range() -> None:
    assert next_clip(np.zeros(5), 0.125, clipped=0) == 0.125


def test_the_next_clip_range_is_three_times_the_largest_mean_of_either_sign() -> None:
    for mean in ([0.5, -0.25], [0.25, -0.5], [-0.5, 0.1]):
        assert next_clip(np.array(mean), 9.0, 0) == 1.5
        assert next_clip(np.array(mean) * 1e-9, 9.0, 0) == pytest.approx(1.5e-9)
        assert next_clip(np.array(mean), 9.0, 1) == 18.0
        assert next_clip(np.array(mean), 9.0, None) == 9.0


@pytest.mark.parametrize("clip", [1e-30, 1e30])
def test_the_least_and_the_largest_clip_range_are_allowed_and_nothing_beyond(clip: float) -> None:
    assert make_codec(1, 8, clip, 1.0) == QuantizedCodec(1, 8, clip, 1.0)
    with pytest.raises(ConfigurationError, match="clip range"):
        make_codec(1, 8, math.nextafter(clip, math.inf if clip > 1 else 0), 1.0)
