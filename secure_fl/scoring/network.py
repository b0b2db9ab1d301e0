"""What is computed on ciphertexts: layers of weights with squares between them, and nothing else.

A *model* comes as layers, each a type of its own here: `Linear`, `Relu`, `Quadratic`. `squares.compile_model` turns it
into a `SquareNetwork`

    z_1 = W_1 x + b_1,   h_1 = z_1**2,   z_2 = W_2 h_1 + b_2,   ...,   logit = W_d h_(d-1) + b_d

whose activations are squares only, the cheapest product of ciphertexts there is (Gilad-Bachrach, Dowlin, Laine, Lauter,
Naehrig, Wernsing, "CryptoNets", ICML 2016). `reach` bounds every z over all inputs of the clip range.

Rules: float64 throughout, rows first. Weights are the model owner's secret: no repr shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ScoringError

Vector: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = NDArray[np.float64]
ComplexVector: TypeAlias = NDArray[np.complex128]


@dataclass(frozen=True, eq=False, repr=False)
class Linear:
    """x -> W x + b."""

    weights: Matrix
    """float64 [out, in]."""
    bias: Vector
    """float64 [out]."""

    def __repr__(self) -> str:
        return f"Linear({self.weights.shape[1]} -> {self.weights.shape[0]})"


@dataclass(frozen=True)
class Relu:
    """z -> max(z, 0): not a polynomial, so one takes its place (`relu`)."""


@dataclass(frozen=True, eq=False, repr=False)
class Quadratic:
    """z -> a z**2 + b z + c, neuron by neuron."""

    square: Vector
    """a, float64 [n]."""
    linear: Vector
    """b, float64 [n]."""
    constant: Vector
    """c, float64 [n]."""

    def __call__(self, z: Matrix) -> Matrix:
        return self.square * z * z + self.linear * z + self.constant

    def __repr__(self) -> str:
        return f"Quadratic({len(self.square)})"


Layer: TypeAlias = Linear | Relu | Quadratic


@dataclass(frozen=True, eq=False, repr=False)
class SquareNetwork:
    """Linear layers with a square between each two of them, and one logit at the end."""

    linears: tuple[Linear, ...]

    @property
    def depth(self) -> int:
        """How many squares follow each other."""
        return len(self.linears) - 1

    @property
    def widths(self) -> tuple[int, ...]:
        """Inputs, neurons of each layer, 1."""
        return (self.linears[0].weights.shape[1], *(len(layer.bias) for layer in self.linears))

    def logits(self, rows: Matrix) -> Vector:
        """In plain, float64 [n]; rows: float64 [n, inputs]."""
        values = rows
        for layer in self.linears[:-1]:
            values = (values @ layer.weights.T + layer.bias) ** 2
        last = self.linears[-1]
        logits: Vector = (values @ last.weights.T + last.bias)[:, 0]
        return logits

    def activations(self, rows: Matrix) -> list[Matrix]:
        """Z of every layer, each float64 [n, neurons]; the last holds the logits."""
        values, found = rows, []
        for layer in self.linears:
            found.append(values @ layer.weights.T + layer.bias)
            values = found[-1] ** 2
        return found

    def __repr__(self) -> str:
        return f"SquareNetwork({' -> '.join(map(str, self.widths))})"


def plain_logits(layers: Sequence[Layer], rows: Matrix) -> Vector:
    """The model as it came, in float64; float64 [n]."""
    values = rows
    for layer in layers:
        match layer:
            case Linear():
                values = values @ layer.weights.T + layer.bias
            case Relu():
                values = np.maximum(values, 0.0)
            case Quadratic():
                values = layer(values)
    logits: Vector = values[:, 0]
    return logits


def alike(neurons: Matrix) -> Matrix:
    """Which neurons have equal squares: for each a 1 in the column of those like it, float64 [n, different].

    Neurons: weights and bias, float64 [n, inputs + 1]; equal up to the sign of all of it.
    """
    first = (neurons != 0).argmax(axis=1)
    signs = np.where(neurons[np.arange(len(neurons)), first] < 0, -1.0, 1.0)
    _, places = np.unique(neurons * signs[:, None] + 0.0, axis=0, return_inverse=True)
    found: Matrix = np.eye(places.max() + 1)[places.ravel()]
    return found


def check_layers(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers, Linear and activation in turn, with two Linear in a row made one. Raises `ScoringError`."""
    found: list[Layer] = []
    for place, layer in enumerate(layers, start=1):
        before = found[-1] if found else None
        match layer:
            case Linear():
                _check_numbers(place, layer.weights, layer.bias)
                _check_shape(place, layer)
                if isinstance(before, Linear):
                    _check_fit(place, layer.weights.shape[1], len(before.bias))
                    found[-1] = _composed(place, before, layer)
                    continue
            case Relu() | Quadratic():
                if not isinstance(before, Linear):
                    raise ScoringError(f"layer {place} is an activation without a Linear before it; put one before it")
                if isinstance(layer, Quadratic):
                    _check_numbers(place, layer.square, layer.linear, layer.constant)
            case _:
                raise ScoringError(
                    f"layer {place} is a {type(layer).__name__}, which cannot be computed on ciphertexts; use Linear, "
                    "Relu and Quadratic"
                )
        found.append(layer)
    _check_widths(found)
    return tuple(found)


def _composed(place: int, first: Linear, second: Linear) -> Linear:
    with np.errstate(over="ignore", invalid="ignore"):
        made = Linear(second.weights @ first.weights, second.weights @ first.bias + second.bias)
    _check_numbers(place, made.weights, made.bias)
    return made


def _check_numbers(place: int, *arrays: NDArray[np.float64]) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ScoringError(f"layer {place} has weights that are not finite; train the model again")


def _check_shape(place: int, layer: Linear) -> None:
    if layer.weights.ndim != 2 or layer.bias.ndim != 1:
        raise ScoringError(f"layer {place} is no matrix with a bias for each row; give weights [out, in], bias [out]")


def _check_fit(place: int, inputs: int, outputs: int) -> None:
    if inputs != outputs:
        raise ScoringError(f"layer {place} takes {inputs} numbers but gets {outputs}; give the layers of one model")


def _check_widths(layers: Sequence[Layer]) -> None:
    """Each layer takes what the one before it gives, and the last is a Linear with one output."""
    width: int | None = None
    for place, layer in enumerate(layers, start=1):
        if isinstance(layer, Linear):
            _check_fit(place, layer.weights.shape[1], layer.weights.shape[1] if width is None else width)
            _check_fit(place, len(layer.bias), layer.weights.shape[0])
            width = len(layer.bias)
        elif isinstance(layer, Quadratic) and width is not None:
            _check_fit(place, len(layer.square), width)
    if not layers or not isinstance(layers[-1], Linear) or len(layers[-1].bias) != 1:
        raise ScoringError("the model does not end in a Linear with one output; give one that answers with a logit")


@dataclass(frozen=True, eq=False, repr=False)
class Reach:
    """How far z gets: of each layer, the largest absolute value of each neuron."""

    inputs: Vector
    """float64 [inputs]."""
    neurons: tuple[Vector, ...]
    """float64 [neurons] for each layer; the last has one, the logit."""


def reach(network: SquareNetwork, clip: float) -> Reach:
    """A bound on every |z| for all rows in [-clip, clip]: interval arithmetic, layer by layer.

    In the second layer a neuron is a quadratic form of the inputs, and the sum of its coefficients' absolute values is
    a bound as well; the smaller of both counts.
    """
    inputs = np.full(network.widths[0], float(clip))
    low, high = -inputs, inputs
    found = []
    for place, layer in enumerate(network.linears):
        weights = layer.weights
        lowest = layer.bias + np.minimum(weights * low, weights * high).sum(axis=1)
        highest = layer.bias + np.maximum(weights * low, weights * high).sum(axis=1)
        if place == 1:
            form = _quadratic_form_bound(network, inputs)
            lowest, highest = np.maximum(lowest, -form), np.minimum(highest, form)
        largest = np.maximum(np.abs(lowest), np.abs(highest))
        found.append(largest)
        low = np.where((lowest < 0) & (highest > 0), 0.0, np.minimum(lowest**2, highest**2))
        high = largest**2
    return Reach(inputs, tuple(found))


def _quadratic_form_bound(network: SquareNetwork, inputs: Vector) -> Vector:
    """Of z_2 = x' Q x + l' x + c: sum |Q| |x| |x| + sum |l| |x| + |c|."""
    (first, second) = network.linears[:2]
    form = np.einsum("ok,ki,kj->oij", second.weights, first.weights, first.weights, optimize=True)
    linear = 2 * (second.weights * first.bias) @ first.weights
    constant = second.bias + second.weights @ first.bias**2
    bound: Vector = np.abs(form) @ inputs @ inputs + np.abs(linear) @ inputs + np.abs(constant)
    return bound * (1 + 1e-9)


def reach_of(network: SquareNetwork, rows: Matrix) -> Reach:
    """How far these rows get; float64 [n, inputs]."""
    return Reach(np.abs(rows).max(axis=0), tuple(np.abs(z).max(axis=0) for z in network.activations(rows)))
