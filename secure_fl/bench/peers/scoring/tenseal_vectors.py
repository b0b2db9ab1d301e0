"""TenSEAL with a row in a `ckks_vector`, as its tutorials 1 (logistic regression) and 4 (network) do it.

The owner of the rows keeps the context with the secret key; the other party loads the public one, with Galois and
relinearisation keys. One thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

from secure_fl.bench.measured import Clock
from secure_fl.bench.scoring.measured import MeasuredBatch, Steps
from secure_fl.scoring.network import SquareNetwork

Evaluate: TypeAlias = Callable[[Any], Any]
"""From an encrypted row to its encrypted logit, in the first slot."""


@dataclass(frozen=True)
class Parameters:
    """Of a context."""

    degree: int
    coeff_mod_bit_sizes: tuple[int, ...]
    scale_bits: int


TUTORIAL_1 = Parameters(4096, (40, 20, 40), 20)
TUTORIAL_4 = Parameters(8192, (31, 26, 26, 26, 26, 26, 26, 31), 26)
EXACT_DOT = Parameters(8192, (60, 40, 40, 60), 40)
EXACT_NETWORK = Parameters(16384, (60, 40, 40, 40, 40, 40, 60), 40)


class VectorSubject:
    """Both parties; `constant`: whether a 1 is sent behind each row."""

    rows_per_batch = 1

    def __init__(self, parameters: Parameters, evaluate: Evaluate, clock: Clock, constant: bool = False) -> None:
        self._evaluate, self._clock, self._constant = evaluate, clock, constant
        self.degree, self.coeff_mod_bit_sizes = parameters.degree, parameters.coeff_mod_bit_sizes
        bits = list(parameters.coeff_mod_bit_sizes)
        self._context = ts.context(ts.SCHEME_TYPE.CKKS, parameters.degree, coeff_mod_bit_sizes=bits, n_threads=1)
        self._context.global_scale = 2**parameters.scale_bits
        self._context.generate_galois_keys()
        keys = self._context.serialize(save_public_key=True, save_secret_key=False)
        self.key_bytes = len(keys)
        self._public = ts.context_from(keys, n_threads=1)

    def score(self, rows: NDArray[np.float64]) -> MeasuredBatch:
        steps = Steps(self._clock)
        values = [*rows[0].tolist(), 1.0] if self._constant else rows[0].tolist()
        with steps("encrypt"):
            request = ts.ckks_vector(self._context, values).serialize()
        with steps("score"):
            reply = self._evaluate(ts.ckks_vector_from(self._public, request)).serialize()
        with steps("open"):
            logit = ts.ckks_vector_from(self._context, reply).decrypt()[0]
        return steps.measured([logit], len(request), len(reply))


def tutorial_dot(network: SquareNetwork, clock: Clock) -> VectorSubject:
    return VectorSubject(TUTORIAL_1, _dot(network), clock)


def exact_dot(network: SquareNetwork, clock: Clock) -> VectorSubject:
    return VectorSubject(EXACT_DOT, _dot(network), clock)


def tutorial_mm(network: SquareNetwork, clock: Clock) -> VectorSubject:
    return VectorSubject(TUTORIAL_4, _biased(network), clock)


def biased_mm(network: SquareNetwork, clock: Clock) -> VectorSubject:
    return VectorSubject(EXACT_NETWORK, _biased(network), clock)


def augmented_mm(network: SquareNetwork, clock: Clock) -> VectorSubject:
    return VectorSubject(EXACT_NETWORK, _augmented(network), clock, constant=True)


def _dot(network: SquareNetwork) -> Evaluate:
    (layer,) = network.linears
    weights, bias = layer.weights[0].tolist(), layer.bias.tolist()
    return lambda row: row.dot(weights) + bias


def _biased(network: SquareNetwork) -> Evaluate:
    """Layer by layer: product, bias, square."""
    layers = [(layer.weights.T.tolist(), layer.bias.tolist()) for layer in network.linears]

    def evaluate(values: Any) -> Any:
        for place, (weights, bias) in enumerate(layers):
            values = values.mm(weights) + bias
            if place < network.depth:
                values.square_()
        return values

    return evaluate


def _augmented(network: SquareNetwork) -> Evaluate:
    """The bias as the weight of a neuron that is always 1, and stays 1 when it is squared."""
    layers = []
    for place, layer in enumerate(network.linears):
        matrix = np.column_stack([layer.weights, layer.bias])
        if place < network.depth:
            matrix = np.vstack([matrix, np.eye(1, matrix.shape[1], matrix.shape[1] - 1)])
        layers.append(matrix.T.tolist())

    def evaluate(values: Any) -> Any:
        for place, matrix in enumerate(layers):
            values = values.mm(matrix)
            if place < network.depth:
                values.square_()
        return values

    return evaluate
