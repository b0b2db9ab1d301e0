"""`secure_mean` and `secure_sum`: the bound that a mean states holds, for whatever arrays it was given."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import secure_fl
from secure_fl import SecureMean, secure_mean, secure_sum
from secure_fl.averaging.arrays import LARGEST
from secure_fl.averaging.encoding import Range
from secure_fl.errors import ConfigurationError, DropoutError, PlanError, RequestError
from secure_fl.secagg import SCHEMES, simulate

every_scheme = pytest.mark.parametrize("scheme", SCHEMES)
SEEDS = st.integers(0, 2**32 - 1)
DTYPES = ["float16", "bfloat16", "float32", "float64"]
ROUNDING = {
    "float16": (2.0**-11, Fraction(1, 2**25)),
    "bfloat16": (2.0**-8, Fraction(1, 2**134)),
    "float32": (2.0**-24, Fraction(1, 2**150)),
    "float64": (2.0**-53, Fraction(1, 2**1073)),
}
"""What rounding to a type is off by at most: relative to a number, and in all below its normal numbers."""


def numbers(array: Any) -> list[Fraction]:
    """Every number of an array, exactly."""
    values = array.double() if isinstance(array, torch.Tensor) and array.is_floating_point() else array
    return [Fraction(number) for number in np.asarray(values).ravel().tolist()]


def exact_mean(arrays: list[Any], weights: list[float]) -> list[Fraction]:
    total = sum(map(Fraction, weights))
    columns = zip(*map(numbers, arrays), strict=True)
    return [
        sum((Fraction(w) * x for w, x in zip(weights, column, strict=True)), Fraction(0)) / total for column in columns
    ]


def worst_error(value: Any, arrays: list[Any], weights: list[float] | None = None) -> Fraction:
    exact = exact_mean(arrays, weights or [1.0] * len(arrays))
    return max((abs(got - mean) for got, mean in zip(numbers(value), exact, strict=True)), default=Fraction(0))


def of_type(values: list[float], dtype: str) -> Any:
    if dtype == "bfloat16":
        return torch.tensor(values, dtype=torch.bfloat16)
    return np.array(values, dtype=dtype)


@st.composite
def float_arrays(draw: st.DrawFn, banks: int) -> list[Any]:
    """Arrays of one type, a bank each, of numbers that lie anywhere in its range, zeros and subnormals included."""
    dtype, size = draw(st.sampled_from(DTYPES)), draw(st.integers(1, 4))
    largest = LARGEST[dtype]
    anywhere = st.floats(-largest, largest)
    scale = draw(st.sampled_from([largest, 1.0, 1e-3, 1e-40, 5e-324]))
    alike = st.floats(-1, 1).map(lambda x: x * scale)
    one = anywhere if draw(st.booleans()) else alike | st.sampled_from([0.0, -0.0, scale, -scale])
    return [of_type(draw(st.lists(one, min_size=size, max_size=size)), dtype) for _ in range(banks)]


@st.composite
def weights_for(draw: st.DrawFn, banks: int) -> list[float]:
    one = st.integers(1, 10**6).map(float) | st.floats(1e-3, 1e3) | st.just(0.0)
    return draw(st.lists(one, min_size=banks, max_size=banks).filter(any))


# --- the bound ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=250)
@given(banks=st.integers(3, 6), bits=st.integers(4, 24), seed=SEEDS, data=st.data())
def test_every_number_is_within_the_bound_and_the_bound_is_a_few_steps(
    banks: int, bits: int, seed: int, data: st.DataObject
) -> None:
    leaves = [data.draw(float_arrays(banks)) for _ in range(data.draw(st.integers(1, 3)))]
    weights = data.draw(st.none() | weights_for(banks))
    updates = [[leaf[bank] for leaf in leaves] for bank in range(banks)]
    scheme = data.draw(st.sampled_from(["plaintext", "additive"]))
    mean = secure_mean(updates, weights=weights, scheme=scheme, bits=bits, seed=seed)
    counted = weights or [1.0] * banks
    for leaf, value, bound in zip(leaves, mean.value, mean.error_bounds, strict=True):
        assert bound <= mean.error_bound
        if math.isinf(bound):  # little weight is left of numbers near the end of float64: nothing is known, and said
            continue
        assert worst_error(value, leaf, weights) <= Fraction(bound)
        dtype = str(leaf[0].dtype).removeprefix("torch.")
        weighted = [Fraction(w) * max(map(abs, numbers(array))) for w, array in zip(counted, leaf, strict=True)]
        # A range is at most twice the largest weighted number, so that a step is at most four times it over 2**bits.
        steps = 4 * max(weighted) / (2**bits - 1) * banks / sum(map(Fraction, counted))
        largest = max(abs(number) for array in leaf for number in numbers(array))
        relative, smallest = ROUNDING[dtype]
        rounding = Fraction(relative) * (largest + steps) + smallest
        beyond = max(Fraction(0), largest + steps - Fraction(LARGEST[dtype]))  # what lies there is moved to the largest
        assert Fraction(bound) <= (steps + rounding + beyond) * Fraction(1 + 2**-20) + smallest


@settings(max_examples=60)
@given(seed=SEEDS, bits=st.integers(4, 16), clip=st.floats(1e-3, 10), data=st.data())
def test_with_a_clip_range_the_bound_is_towards_the_clipped_updates(
    seed: int, bits: int, clip: float, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    updates = [rng.normal(scale=3, size=6) for _ in range(4)]
    weights = data.draw(st.none() | weights_for(4))
    mean = secure_mean(updates, weights=weights, scheme="plaintext", bits=bits, clip=clip, seed=seed)
    clipped = [np.clip(update, -clip, clip) for update in updates]
    assert worst_error(mean.value, clipped, weights) <= Fraction(mean.error_bound)
    assert mean.error_bound <= 2 * clip / (2**bits - 1) * 4 * (max(weights or [1]) * 2) / sum(weights or [1] * 4)
    counted = [update for update, weight in zip(updates, weights or [1] * 4, strict=True) if weight]
    beyond = sum(int(np.count_nonzero(np.abs(update) > clip)) for update in counted)
    assert mean.notes[-1].endswith(f"Numbers that were clipped: {beyond}.")


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [4.0, 1.0, 0.5]])
def test_a_bound_that_were_half_as_large_would_be_wrong(weights: list[float]) -> None:
    """Stochastic rounding does use its whole step: the bound is no pious exaggeration."""
    step = 0.5 * 2 / 255
    weighted = 50.1 * step - 0.5  # is rounded up at every tenth draw, by nearly a step
    updates = [np.full(10_000, weighted / weight) for weight in weights]
    mean = secure_mean(updates, weights, scheme="plaintext", bits=8, seed=1)
    assert 0.5 * mean.error_bound < float(worst_error(mean.value, updates, weights)) <= mean.error_bound


def test_each_array_has_a_range_of_its_own() -> None:
    rng = np.random.default_rng(1)
    updates = [{"small": rng.normal(scale=1e-3, size=50), "large": rng.normal(scale=1e3, size=50)} for _ in range(3)]
    mean = secure_mean(updates, scheme="plaintext", bits=8)
    assert mean.error_bounds["small"] < 1e-4 < 1 < mean.error_bounds["large"] == mean.error_bound
    assert worst_error(mean.value["small"], [update["small"] for update in updates]) <= mean.error_bounds["small"]


def test_a_bound_covers_the_rounding_to_a_short_type() -> None:
    """At 24 bits the step is much finer than what bfloat16 can hold."""
    updates = [torch.full((3,), number, dtype=torch.bfloat16) for number in (1.0, 1.0, 1.0078125)]
    mean = secure_mean(updates, scheme="plaintext", bits=24)
    assert 0.002 < worst_error(mean.value, updates) <= mean.error_bound < 0.004


def test_a_bank_without_weight_has_no_say_whatever_it_holds() -> None:
    updates = [np.array([1.7e308]), *(np.array([number * 1e-300]) for number in (1, 2, 3))]
    mean = secure_mean(updates, [0, 1, 1, 1], "plaintext")
    assert worst_error(mean.value, updates[1:]) <= Fraction(mean.error_bound) < Fraction(1e-303)


def test_zeros_stay_zeros() -> None:
    mean = secure_mean([{"a": np.zeros(5), "b": np.full(2, -0.0)}] * 3, scheme="plaintext", bits=4)
    assert mean.error_bound == 0
    assert not np.signbit(np.concatenate([mean.value["a"], mean.value["b"]])).any()


@pytest.mark.parametrize(
    ("largest", "weight", "exponent"),
    [(1.0, 1.0, 0), (1.5, 1.0, 1), (0.75, 0.5, -1), (5e-324, 1.0, -1074), (5e-324, 0.25, -1076), (1.7e308, 1.0, 1024)],
)
def test_a_range_is_the_smallest_power_of_two_that_holds_all(largest: float, weight: float, exponent: int) -> None:
    assert Range.around(largest, weight) == Range(1.0, exponent)


# --- models, schemes, dropouts ------------------------------------------------------------------------------------


@cache
def network(seed: int) -> torch.nn.Module:
    """A small network that saw some batches of its own, more of them the higher the seed."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    for _ in range(seed + 1):
        model(40 * torch.randn(32, 6) + seed)
    return model


@every_scheme
@pytest.mark.parametrize("weights", [None, [1000, 250, 4000]])
def test_three_lines_average_three_networks(scheme: str, weights: list[float] | None) -> None:
    states: list[Any] = [network(seed).state_dict() for seed in range(3)]
    before = [{key: tensor.clone() for key, tensor in state.items()} for state in states]
    mean = secure_mean(states, weights=weights, scheme=scheme)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    model.load_state_dict(mean.value)

    assert type(mean.value) is type(states[0])
    assert mean.value._metadata == states[0]._metadata
    assert list(mean.value) == list(states[0])
    for key, value in mean.value.items():
        arrays = [state[key] for state in states]
        assert (value.dtype, value.shape, value.requires_grad) == (arrays[0].dtype, arrays[0].shape, False)
        assert float(worst_error(value, arrays, weights)) <= mean.error_bounds[key] <= mean.error_bound
        assert torch.equal(model.state_dict()[key], value)
    assert mean.value["1.num_batches_tracked"].item() == (2 if weights is None else 3)
    assert mean.notes == (
        "Integers have their exact mean, rounded, halves to the even one: ['1.num_batches_tracked'].",
    )
    assert (mean.plan.scheme, mean.custody, mean.contributors) == (
        scheme,
        SCHEMES[scheme].custody,
        frozenset({0, 1, 2}),
    )
    assert min(mean.upload_bytes.values()) > mean.plan.parameters  # 16 bits are two bytes, and no scheme packs tighter
    sent = [d.nbytes for d in mean.transcript if d.recipient == "aggregator" and d.sender.startswith("bank")]
    assert sum(mean.upload_bytes.values()) == sum(sent)
    for state, old in zip(states, before, strict=True):
        assert all(torch.equal(state[key], tensor) for key, tensor in old.items())


@every_scheme
def test_a_bank_that_drops_out_is_not_in_the_mean(scheme: str) -> None:
    rng = np.random.default_rng(3)
    updates = [rng.normal(size=(2, 3)) for _ in range(5)]
    weights = [5.0, 1.0, 2.0, 7.0, 3.0]
    mean = secure_mean(updates, weights, scheme, drop={3: SCHEMES[scheme].input_stage})
    left = [0, 1, 2, 4]
    assert mean.contributors == set(left)
    assert mean.upload_bytes[3] < mean.upload_bytes[0]
    error = worst_error(mean.value, [updates[bank] for bank in left], [weights[bank] for bank in left])
    assert error <= Fraction(mean.error_bound)


def test_every_scheme_gives_the_same_mean() -> None:
    updates = [np.random.default_rng(bank).normal(size=100) for bank in range(4)]
    means = [secure_mean(updates, [1, 2, 3, 4], scheme, seed=5).value.tolist() for scheme in SCHEMES]
    assert means == means[:1] * len(means)


def test_the_same_seed_repeats_the_rounding_and_none_does_not() -> None:
    updates = [np.random.default_rng(bank).normal(size=100) for bank in range(3)]
    first, again, other = (secure_mean(updates, scheme="plaintext", bits=4, seed=seed) for seed in (1, 1, None))
    assert first.value.tolist() == again.value.tolist() != other.value.tolist()


def test_the_scale_of_weights_is_of_no_account() -> None:
    updates = [np.random.default_rng(bank).normal(size=10) for bank in range(3)]
    one, other = (
        secure_mean(updates, [scale * w for w in (1, 2, 5)], "plaintext", seed=1) for scale in (2.0**-1000, 2.0**900)
    )
    assert one.value.tolist() == other.value.tolist()


def test_below_the_threshold_there_is_no_mean() -> None:
    updates = [np.ones(2)] * 4
    with pytest.raises(DropoutError, match="the threshold is 4"):
        secure_mean(updates, scheme="plaintext", threshold=4, drop={0: "upload"})


def test_contributors_without_weight_have_no_mean() -> None:
    with pytest.raises(DropoutError, match="weight of zero"):
        secure_mean([np.ones(2)] * 4, [1, 0, 0, 0], "plaintext", drop={0: "upload"})


@pytest.mark.parametrize(
    ("weights", "drop", "problem"),
    [
        (None, {0: "upload"}, "each can subtract its own part"),
        ([1, 0, 1], {}, "each can subtract its own part"),
        ([0, 0, 1], {}, "this is its update"),
    ],
)
def test_a_mean_that_hides_nothing_says_so(weights: Any, drop: dict[int, str], problem: str) -> None:
    (note,) = secure_mean([np.ones(2)] * 3, weights, "plaintext", drop=drop).notes
    assert problem in note


# --- structures and types -----------------------------------------------------------------------------------------


class Layer(NamedTuple):
    weight: NDArray[np.float32]
    bias: NDArray[np.float64]


def layer(bank: int) -> Layer:
    return Layer(np.full((2, 2), bank, np.float32), np.full(3, bank / 4))


@pytest.mark.parametrize(
    "make",
    [
        lambda bank: layer(bank),
        lambda bank: [layer(bank), (np.ones(1),)],
        lambda bank: {"body": [layer(bank)], 5: {"head": np.full((), bank / 2)}},
        lambda bank: OrderedDict(b=np.ones(2), a=np.float32(bank)),
        lambda bank: np.full((3, 0, 2), 1.0) if bank < 0 else [np.full((3, 0, 2), 1.0), np.ones(1)],
        lambda bank: np.asfortranarray(np.arange(12.0).reshape(3, 4))[::2, ::-1],
        lambda bank: torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
        lambda bank: torch.nn.Parameter(torch.tensor(float(bank))),
        lambda bank: [np.ones(2, ">f4"), torch.ones(2, dtype=torch.bfloat16)],
        lambda bank: torch.tensor([1 + 2j, 3 - 1j]).conj().imag,
    ],
    ids=[
        "namedtuple",
        "list",
        "nested",
        "ordered",
        "empty",
        "strided",
        "permuted",
        "parameter",
        "two kinds",
        "negated",
    ],
)
def test_the_mean_has_the_structure_and_types_of_the_updates(make: Callable[[int], Any]) -> None:
    updates = [make(bank) for bank in range(3)]
    mean = secure_mean(updates, scheme="plaintext", seed=1)

    def compare(value: Any, bound: Any, parts: list[Any]) -> None:
        first = parts[0]
        if isinstance(first, dict):
            assert (type(value), list(value)) == (type(first), list(first))
            for key in first:
                compare(value[key], bound[key], [part[key] for part in parts])
        elif isinstance(first, (list, tuple)):
            assert type(value) is type(first)
            for index in range(len(first)):
                compare(value[index], bound[index], [part[index] for part in parts])
        else:
            kind = torch.Tensor if isinstance(first, torch.Tensor) else type(first)
            assert type(value) is kind
            assert (value.dtype, value.shape) == (first.dtype, first.shape)
            arrays = [part.detach().resolve_neg() if isinstance(part, torch.Tensor) else part for part in parts]
            assert worst_error(value, arrays) <= bound <= mean.error_bound

    compare(mean.value, mean.error_bounds, updates)


def test_keys_may_stand_in_any_order() -> None:
    orders = ["abc", "cab", "bca"]
    updates = [{key: np.full(2, float(ord(key) - 96)) for key in order} for order in orders]
    mean = secure_mean(updates, scheme="plaintext")
    assert list(mean.value) == list("abc")
    assert [float(mean.value[key].mean()) for key in "abc"] == pytest.approx([1, 2, 3], abs=1e-3)


def test_a_read_only_mapping_comes_back_as_a_dict() -> None:
    mean = secure_mean([MappingProxyType({"a": np.ones(2)})] * 3, scheme="plaintext")
    assert type(mean.value) is dict


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_mean_shares_no_memory_with_the_updates(library: str) -> None:
    shared = np.arange(4.0)
    updates = [shared if library == "numpy" else torch.from_numpy(shared)] * 3
    value = secure_mean(updates, scheme="plaintext", bits=24).value
    assert not np.shares_memory(np.asarray(value), shared)
    value[:] = -1
    assert shared.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("updates", [np.arange(6.0).reshape(3, 2), torch.arange(6.0).reshape(3, 2)])
def test_rows_of_one_array_are_updates(updates: Any) -> None:
    value = secure_mean(updates, scheme="plaintext", bits=24).value
    assert type(value) is type(updates)
    assert value.tolist() == pytest.approx([2, 3], abs=1e-5)


def test_a_generator_of_updates_will_do() -> None:
    assert secure_mean((np.ones(2) for _ in range(3)), scheme="plaintext").value.tolist() == pytest.approx([1, 1])


def test_arrays_of_other_libraries_come_back_as_numpy_and_that_is_said() -> None:
    class Foreign:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
            return np.ones(2, dtype or np.float32)

    mean = secure_mean([{"x": Foreign()}] * 3, scheme="plaintext")
    assert type(mean.value["x"]) is np.ndarray
    assert mean.value["x"].dtype == np.float32
    assert mean.notes == ("Arrays came back as numpy: ['x'].",)


def test_a_half_that_would_overflow_ends_at_the_largest_one() -> None:
    updates = [np.full(50, np.finfo(np.float16).max)] * 3
    value = secure_mean(updates, scheme="plaintext", bits=4, seed=1).value
    assert np.isfinite(value).all()


@settings(max_examples=40)
@given(
    dtype=st.sampled_from(["bool", "int8", "uint8", "int32", "int64", "uint64"]),
    library=st.sampled_from(["numpy", "torch"]),
    bits=st.sampled_from([4, 8, 16, 24]),
    data=st.data(),
)
def test_integers_have_their_exact_mean_rounded(dtype: str, library: str, bits: int, data: st.DataObject) -> None:
    low, high = (0, 1) if dtype == "bool" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    one = st.integers(low, high) | st.sampled_from([low, high])
    rows = [data.draw(st.lists(one, min_size=3, max_size=3)) for _ in range(4)]
    arrays: list[Any] = [np.array(row, dtype=dtype) for row in rows]
    if library == "torch":
        arrays = [torch.from_numpy(array) for array in arrays]
    weights = data.draw(st.none() | weights_for(4))
    updates = [{"count": array, "x": np.zeros(2)} for array in arrays]
    mean = secure_mean(updates, weights, "plaintext", bits)
    value = mean.value["count"]
    assert (type(value), value.dtype) == (type(arrays[0]), arrays[0].dtype)
    exact = exact_mean(arrays, weights or [1.0] * 4)
    assert [int(number) for number in value.tolist()] == [round(number) for number in exact]  # halves to the even one
    errors = max(abs(round(number) - number) for number in exact)
    assert errors <= mean.error_bounds["count"] <= float(errors) + 1e-15


def test_a_counter_that_all_share_is_kept_exactly_at_any_bits() -> None:
    mean = secure_mean([[np.array(123_456_789), np.ones(1)]] * 3, [1, 7, 0.3], "plaintext", bits=4)
    assert mean.value[0] == 123_456_789
    assert mean.error_bounds[0] == 0


# --- refusals -----------------------------------------------------------------------------------------------------


def one_bad(bad: Any) -> list[Any]:
    return [{"w": np.ones(2), "b": np.ones(1)}, {"w": np.ones(2), "b": bad}, {"w": np.ones(2), "b": np.ones(1)}]


@pytest.mark.filterwarnings("ignore:Sparse", "ignore:.*quantiz")
@pytest.mark.parametrize(
    ("updates", "problem"),
    [
        (one_bad(np.array([math.nan])), r"updates\[1\]\['b'\] holds NaN or infinity; leave that bank out"),
        (one_bad(np.array([-math.inf])), r"updates\[1\]\['b'\] holds NaN or infinity"),
        (one_bad(torch.tensor([math.nan], dtype=torch.float64)), r"updates\[1\]\['b'\] holds NaN"),
        (one_bad(np.ones(2)), r"updates\[1\]\['b'\] is float64 \[2\] and updates\[0\]\['b'\] is float64 \[1\]"),
        (one_bad(np.ones(1, np.float32)), "of the same shapes and types"),
        (one_bad(np.ones(1, complex)), "of type complex128; convert it"),
        (one_bad(np.ones(1, np.longdouble)), "convert it"),
        (one_bad(np.array([None])), "of type object"),
        (one_bad(np.array(["a"])), "of type str"),
        (one_bad(None), r"updates\[1\]\['b'\] is of type NoneType; give an array"),
        (one_bad(0.5), "plain number of type float; make arrays"),
        (one_bad(np.ma.masked_array([1.0], [True])), "masked array.*fill it"),
        (one_bad(torch.eye(1).to_sparse()), "to_dense"),
        (one_bad(torch.empty(1, device="meta")), "device meta"),
        (one_bad(torch.ones(1).to(torch.float8_e4m3fn)), "float8"),
        (one_bad(torch.ones(1, dtype=torch.complex64)), "complex64"),
        (one_bad(torch.nn.Linear(1, 1)), r"a Linear; give its weights \(.state_dict\(\)\)"),
        (one_bad(iter([1.0])), "of type list_iterator"),
        ([{"b": np.ones(1)}, {}, {}], r"updates\[1\] lacks \['b'\], unlike updates\[0\]"),
        ([{}, {k: np.ones(1) for k in "abcde"}, {}], r"has \['a'\], \['b'\], \['c'\] and 2 more"),
        ([[np.ones(1)], np.ones(1), np.ones(1)], r"updates\[1\] lacks \[0\]"),
        ([{"a": {}}] * 3, "hold no numbers"),
        ([np.ones((0, 3))] * 3, "hold no numbers"),
        ([np.ones(2, int)] * 3, "integers only.*secure_sum"),
        ([1.0, 2.0, 3.0], "plain number"),
        ({"a": np.ones(2)}, "updates is one mapping; give a list"),
        (None, "updates is of type NoneType; give a list"),
        (np.array(1.0), "give a list"),
        ("abc", "of type str"),
    ],
)  # fmt: skip
def test_what_has_no_mean_is_refused_by_the_name_of_its_place(updates: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refusal:
        secure_mean(updates, scheme="plaintext")
    message = str(refusal.value)
    assert "\n" not in message
    assert message.count("; ") == 1


def test_a_table_is_refused() -> None:
    class Table:
        columns = ("amount",)

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
            return np.ones((2, 1))

    with pytest.raises(ConfigurationError, match="a table, whose columns"):
        secure_mean([Table()] * 3)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"weights": [1, 2]}, r"shape \[2\] do not fit 3 updates"),
        ({"weights": [[1], [2], [3]]}, "one for each bank"),
        ({"weights": [0, 0, 0]}, "all weights are zero"),
        ({"weights": [1, -1, 1]}, r"weights\[1\] is negative"),
        ({"weights": [1, 1, math.nan]}, r"weights\[2\]"),
        ({"weights": [1, 1, math.inf]}, r"weights\[2\]"),
        ({"weights": [1, "x", 1]}, "plain numbers"),
        ({"weights": [1, 10**400, 1]}, "plain numbers"),
        ({"weights": [1, 1, 1e-13]}, "would not be felt"),
        ({"clip": 0}, "clip range of 0"),
        ({"clip": -1.0}, "clip range"),
        ({"clip": math.nan}, "clip range"),
        ({"clip": "1"}, "clip range of type str"),
        ({"clip": True}, "clip range of type bool"),
        ({"bits": 3}, "4 to 24"),
        ({"bits": 8.0}, "whole number"),
        ({"bits": "float32"}, "whole number"),
        ({"scheme": "rot13"}, "no scheme 'rot13'"),
        ({"threshold": 1}, "threshold of 1"),
        ({"drop": {3: "upload"}}, "use 0 to 2"),
        ({"drop": {0: "nothing"}}, "no stage 'nothing'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        secure_mean([np.ones(2)] * 3, **{"scheme": "plaintext", **settings})


@pytest.mark.parametrize("banks", [0, 1, 2])
def test_fewer_than_three_banks_are_refused(banks: int) -> None:
    with pytest.raises(PlanError, match="3 to 10000 banks"):
        secure_mean([np.ones(2)] * banks)
    with pytest.raises(PlanError, match="3 to 10000 banks"):
        secure_sum(np.ones((banks, 2), dtype=int))


def test_bits_that_a_scheme_cannot_sum_are_refused() -> None:
    with pytest.raises(PlanError, match="use at most 22 bits"):
        secure_mean([np.ones(1)] * 1_000, scheme="masked", bits=24)


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(PlanError, match="use 1 to 100000000"):
        secure_mean([np.broadcast_to(0.0, (10**6, 10**6))] * 3)


# --- secure_sum ---------------------------------------------------------------------------------------------------


@every_scheme
@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (2, 1, 3, 2)])
@pytest.mark.parametrize("bits", [4, 8, 24])
def test_a_sum_is_numpys_in_every_shape(scheme: str, shape: tuple[int, ...], bits: int) -> None:
    integers = np.random.default_rng(bits).integers(0, 2**bits, size=(4, *shape))
    integers[0] = 2**bits - 1
    total = secure_sum(integers, scheme, bits)
    assert total.total.dtype == np.int64
    assert total.total.shape == shape
    assert np.array_equal(total.total, integers.sum(axis=0))
    assert (total.contributors, total.plan.scheme, total.custody.scheme) == (frozenset(range(4)), scheme, scheme)
    assert set(total.upload_bytes) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "integers",
    [
        [[1, 2], [3, 4], [5, 6]],
        ((1, 2), (3, 4), (5, 6)),
        np.array([[1, 3, 5], [2, 4, 6]], dtype=np.uint8).T,
        [np.array([1, 2]), np.array([3, 4], np.uint64), np.array([5, 6], np.int8)],
        torch.tensor([[1, 2], [3, 4], [5, 6]], dtype=torch.int16),
        (torch.tensor(row) for row in ([1, 2], [3, 4], [5, 6])),
    ],
)
def test_integers_come_in_many_guises(integers: Any) -> None:
    assert secure_sum(integers).total.tolist() == [9, 12]


def test_a_sum_without_who_dropped_out() -> None:
    total = secure_sum([1, 2, 4], drop={1: "masked_input"})
    assert (int(total.total), total.contributors) == (5, frozenset({0, 2}))
    assert "each can subtract its own part" in total.notes[0]


@pytest.mark.parametrize(
    ("integers", "problem"),
    [
        (np.ones((3, 2)), r"integers\[0\] is float64 \[2\]; use secure_mean"),
        (np.ones((3, 2), dtype=bool), "booleans; convert"),
        ([[0], [-1], [0]], r"integers\[1\] holds negative numbers; add an offset"),
        ([[0], [0], [256]], r"integers\[2\] holds numbers from 2\*\*8 on; use more bits"),
        ([[0], [0, 1], [0]], r"integers\[1\] has the shape \[2\]"),
        ([[[0], [0, 1]]] * 3, "several lengths"),
        (np.ones((3, 0), dtype=int), "empty"),
        ([{"a": np.ones(1)}] * 3, "is a mapping"),
        ({"a": 1}, "one mapping"),
        (7, "give a list"),
        ([["a"]] * 3, "of type str"),
    ],
)
def test_integers_that_cannot_be_added_are_refused(integers: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        secure_sum(integers)


# --- manners ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mean() -> SecureMean:
    return secure_mean([{"<b>": np.ones(3), "n": np.array(2)}] * 4, drop={1: "upload"})


def test_a_result_is_shown_in_a_line(mean: SecureMean) -> None:
    text = repr(mean)
    assert text.startswith("SecureMean(scheme: ckks, banks: 3 of 4, parameters: 4 x 16 bits, upload: ")
    assert "error: at most 3.1e-05" in text
    assert "\n" not in text
    assert "error: none" in repr(secure_sum([1, 2, 3]))


def test_a_notebook_shows_a_table_with_who_can_decrypt(mean: SecureMean) -> None:
    page = mean._repr_html_()
    assert page.startswith("<table>")
    assert page.count("<tr>") == page.count("</tr>") == 5 + len(mean.custody.can_decrypt) + len(mean.notes)
    assert "key-authority can read" in page
    assert "&#x27;n&#x27;" in page


def test_names_complete_before_anything_is_imported() -> None:
    assert {"secure_mean", "secure_sum", "SecureMean", "SecureTotal"} <= set(dir(secure_fl)) == set(secure_fl.__all__)
    shown = {name for name in dir(SecureMean) if not name.startswith("_")}
    assert {"contributors", "custody", "plan", "transcript", "upload_bytes"} <= shown


def test_a_simulation_counts_what_each_bank_sent() -> None:
    sent = simulate("plaintext", np.ones((3, 5), dtype=np.int64), drop={1: "upload"}).upload_bytes
    assert sent[0] == sent[2] > sent[1] == 0
