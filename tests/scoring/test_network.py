"""Models become squares without changing, and reach bounds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import DataError, ScoringError
from secure_fl.scoring import Layer, Linear, Quadratic, Relu, compile_model, plain_logits
from secure_fl.scoring.network import check_layers, reach, reach_of
from secure_fl.scoring.relu import QUANTILES, cross_entropy, least_squares_relu, replace_relu
from tests.scoring.scene import CLIP, random_layers, random_rows, rows_at_the_edge

SHAPES = st.sampled_from([(5, 1), (6, 4, 1), (7, 5, 3, 1), (3, 4, 4, 2, 1)])


def _linear(outputs: int, inputs: int) -> Linear:
    return Linear(np.ones((outputs, inputs)), np.zeros(outputs))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), shape=SHAPES, flat=st.sampled_from([0.0, 1e-9, 1e-3, 1.0]))
def test_squares_compute_the_same_function(seed: int, shape: tuple[int, ...], flat: float) -> None:
    """Also where activations are nearly linear, and where neurons are constant or unread."""
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, shape)
    for layer in layers:
        if isinstance(layer, Quadratic):
            layer.square[0] *= flat
        elif isinstance(layer, Linear) and layer.weights.shape[0] > 1:
            layer.weights[-1] = 0.0
    rows = random_rows(rng, 200, shape[0])
    network = compile_model(layers, rows, CLIP).network
    wanted = plain_logits(layers, rows)
    assert np.allclose(network.logits(rows), wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())
    for z in network.activations(rows)[:-1]:
        assert np.allclose(np.abs(z).max(axis=0), 1.0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), shape=SHAPES)
def test_without_training_rows_the_function_is_the_same_and_neurons_fit_their_scale(
    seed: int, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, shape)
    model = compile_model(layers, None, CLIP)
    rows = rows_at_the_edge(rng, 200, shape[0])
    wanted = plain_logits(layers, rows)
    assert np.allclose(model.network.logits(rows), wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())
    assert (model.positions, model.must_be_zero) == (tuple(range(shape[0])), ())
    for z, most in zip(model.network.activations(rows), model.usual.neurons, strict=True):
        assert (np.abs(z) <= most * (1 + 1e-9)).all()
    for most in model.usual.neurons[:-1]:
        assert np.allclose(most, 1.0, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), shape=SHAPES)
def test_no_row_of_the_clip_range_gets_further_than_reach(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    network = compile_model(random_layers(rng, shape), random_rows(rng, 50, shape[0]), CLIP).network
    bound, reached = reach(network, CLIP), reach_of(network, rows_at_the_edge(rng, 2000, shape[0]))
    for most, got in zip(bound.neurons, reached.neurons, strict=True):
        assert (got <= most * (1 + 1e-9)).all()


def test_reach_of_one_layer_is_reached() -> None:
    network = compile_model([Linear(np.array([[1.0, -2.0]]), np.array([0.5]))], np.ones((3, 2)), CLIP).network
    assert reach(network, CLIP).neurons[0][0] == 3 * CLIP + 0.5


def test_the_polynomial_is_the_best_in_the_mean_square() -> None:
    points = np.linspace(-3, 3, 200_001)
    best = np.polynomial.polynomial.polyfit(points, np.maximum(points, 0), 2)
    ours = least_squares_relu(3.0, 1)
    assert np.allclose([ours.constant[0], ours.linear[0], ours.square[0]], best, atol=1e-4)


def test_the_quantile_is_the_best_one_on_held_out_rows_and_other_rows_play_no_part() -> None:
    rng = np.random.default_rng(3)
    layers = random_layers(rng, (6, 8, 1), relu=True)
    rows = rng.standard_t(2, (4000, 6)).clip(-CLIP, CLIP)
    fitted, replacement = replace_relu(layers, rows)
    assert replacement is not None
    held = rows[::5]
    wanted = plain_logits(layers, held)
    costs, ranges = {}, {}
    for quantile in QUANTILES:
        first = layers[0]
        assert isinstance(first, Linear)
        fit_on = np.delete(rows, np.arange(0, 4000, 5), axis=0)
        z = np.abs(fit_on @ first.weights.T + first.bias)
        ranges[quantile] = float(np.quantile(z, quantile))
        polynomial = least_squares_relu(ranges[quantile], 8)
        costs[quantile] = cross_entropy(wanted, plain_logits([first, polynomial, layers[2]], held))
    assert replacement.quantile == min(costs, key=lambda quantile: costs[quantile])
    assert replacement.ranges == (ranges[replacement.quantile],)
    assert replacement.largest_difference == np.abs(plain_logits(fitted, held) - wanted).max()


def test_a_later_range_is_of_what_the_polynomials_before_it_give() -> None:
    rng = np.random.default_rng(4)
    layers, rows = random_layers(rng, (6, 8, 4, 1), relu=True), random_rows(rng, 500, 6)
    _, replacement = replace_relu(layers, rows)
    assert replacement is not None
    first, _, second, *_ = layers
    assert isinstance(first, Linear)
    assert isinstance(second, Linear)
    squared = least_squares_relu(replacement.ranges[0], 8)(
        np.delete(rows, np.arange(0, 500, 5), axis=0) @ first.weights.T + first.bias
    )
    wanted = np.quantile(np.abs(squared @ second.weights.T + second.bias), replacement.quantile)
    assert replacement.ranges[1] == pytest.approx(wanted)


def test_features_that_no_row_has_are_not_taken_and_must_stay_zero() -> None:
    rows = np.array([[1.0, 0.0, 2.0], [2.0, 0.0, 1.0]])
    model = compile_model([Linear(np.array([[1.0, 3.0, 0.0]]), np.zeros(1))], rows, CLIP)
    assert (model.positions, model.must_be_zero) == ((0,), (1,))
    whole = compile_model([Linear(np.array([[1.0, 3.0, 0.0]]), np.zeros(1))], rows, CLIP, send_all=True)
    assert (whole.positions, whole.must_be_zero) == ((0, 1), ())


def test_a_relu_has_no_range_without_training_rows() -> None:
    with pytest.raises(ScoringError, match=r"give training rows .*, or train with squares"):
        compile_model([_linear(3, 2), Relu(), _linear(1, 3)], None, CLIP)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([_linear(1, 2), object()], "layer 2 is a object"),
        ([Relu(), _linear(1, 2)], "without a Linear before it"),
        ([_linear(3, 2), Relu(), Relu(), _linear(1, 3)], "layer 3 is an activation without"),
        ([Linear(np.array([[np.nan]]), np.zeros(1))], "not finite"),
        ([_linear(2, 2)], "does not end in a Linear with one output"),
        ([_linear(3, 2), Relu(), _linear(1, 4)], "takes 4 numbers but gets 3"),
        ([Linear(np.ones(2), np.zeros(1))], "layer 1 is no matrix"),
        ([Linear(np.ones((1, 2)), np.zeros((1, 1)))], "layer 1 is no matrix"),
        ([], "does not end"),
        ([_linear(3, 2), Relu()], "does not end"),
    ],
)
def test_other_models_are_refused_by_name(layers: list[Any], message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        check_layers(layers)


def test_copies_of_a_neuron_are_made_one() -> None:
    """Also a mirrored one and one of another size; the function stays."""
    first = Linear(np.array([[0.7, 0.1], [0.2, 0.3], [-0.7, -0.1], [1.4, 0.2]]), np.array([0.2, 0.1, -0.2, 0.4]))
    quadratic = Quadratic(np.ones(4), np.zeros(4), np.zeros(4))
    layers: list[Layer] = [first, quadratic, Linear(np.array([[1.0, 2.0, 3.0, 4.0]]), np.ones(1))]
    rows = random_rows(np.random.default_rng(0), 50, 2)
    network = compile_model(layers, rows, CLIP).network
    assert network.widths == (2, 2, 1)
    assert np.allclose(network.logits(rows), plain_logits(layers, rows))


@pytest.mark.parametrize("clip", [0.0, -1.0, float("nan"), float("inf")])
def test_a_clip_range_without_rows_is_refused(clip: float) -> None:
    with pytest.raises(ScoringError, match="holds no rows"):
        compile_model([_linear(1, 2)], None, clip)


def test_two_linear_layers_that_make_infinity_are_refused() -> None:
    huge = Linear(np.full((1, 1), 1e300), np.zeros(1))
    with pytest.raises(ScoringError, match="layer 2 has weights that are not finite"):
        compile_model([huge, huge], None, CLIP)


def test_two_linear_layers_are_one() -> None:
    rng = np.random.default_rng(0)
    first, second = (
        Linear(rng.normal(size=(3, 4)), rng.normal(size=3)),
        Linear(rng.normal(size=(1, 3)), rng.normal(size=1)),
    )
    rows = rng.normal(size=(5, 4))
    assert np.allclose(plain_logits(check_layers([first, second]), rows), plain_logits([first, second], rows))
    assert len(check_layers([first, second])) == 1


@pytest.mark.parametrize("rows", [np.zeros((0, 2)), np.ones((3, 3)), np.full((3, 2), 5.0), np.full((3, 2), np.nan)])
def test_training_rows_of_another_kind_are_refused(rows: Any) -> None:
    with pytest.raises(DataError):
        compile_model([_linear(1, 2)], rows, CLIP)


def test_a_model_that_says_the_same_of_every_row_is_refused() -> None:
    rows = np.ones((10, 2))
    with pytest.raises(ScoringError, match="no weight that counts"):
        compile_model([Linear(np.zeros((1, 2)), np.ones(1))], rows, CLIP)
    quadratic = Quadratic(np.ones(2), np.zeros(2), np.zeros(2))
    with pytest.raises(ScoringError, match="same for every row"):
        compile_model([_linear(2, 2), quadratic, Linear(np.zeros((1, 2)), np.ones(1))], rows, CLIP)


def test_weights_are_in_no_repr() -> None:
    model = compile_model([Linear(np.array([[0.12345, 0.5]]), np.zeros(1))], np.ones((3, 2)), CLIP)
    assert "1234" not in repr(model) + repr(model.network) + repr(model.network.linears)
