"""The network on ciphertexts, in both layouts; reads like `network.SquareNetwork.logits`.

Batched: weights are constants, a neuron is a ciphertext, and each square is rescaled, once or twice; a logistic
regression takes two features in a ciphertext. One row: weights are slots, a layer is one ciphertext, products are
rescaled before and after the square. Scales are in the plan; no circuit chooses anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from secure_fl.scoring.error_bound import rounded
from secure_fl.scoring.hazmat.objects import SealObject
from secure_fl.scoring.hazmat.public import Encrypted, Evaluation
from secure_fl.scoring.pairs import pairs_of, rounded_pairs
from secure_fl.scoring.plans import PlannedModel
from secure_fl.scoring.rotations import layout_of, spread_biases, spread_weights


class BatchCircuit:
    """A slot is a row, a ciphertext a feature or a neuron."""

    def __init__(self, model: PlannedModel, evaluation: Evaluation) -> None:
        layers = zip(model.network.linears, model.scales.weights, strict=True)
        self._layers = [(rounded(layer, bits), layer.bias.tolist(), 2.0**bits) for layer, bits in layers]
        self._evaluation, self._divisions = evaluation, model.plan.divisions

    def logit(self, values: Sequence[Encrypted]) -> Encrypted:
        """Layer by layer: weighted sums, and a square of each but the last."""
        for place, (matrix, biases, scale) in enumerate(self._layers):
            values = [
                self._evaluation.weighted_sum(values, weights, scale, bias)
                for weights, bias in zip(matrix, biases, strict=True)
            ]
            for value in values if place < len(self._layers) - 1 else []:
                self._evaluation.square(value)
                for _ in range(self._divisions):
                    self._evaluation.rescale(value)
        return values[0]


class PairCircuit:
    """A slot is a row, a ciphertext two features; one layer. Weights are encoded once, when the first rows come."""

    def __init__(self, model: PlannedModel, evaluation: Evaluation) -> None:
        (layer,), (bits,) = model.network.linears, model.scales.weights
        pairs = pairs_of(rounded_pairs(layer.weights[0], bits)).conj()
        self._places = np.flatnonzero(pairs).tolist()
        self._weights, self._scale = pairs[self._places].tolist(), 2.0**bits
        self._bias = float(layer.bias[0])
        self._evaluation = evaluation
        self._encoded: list[SealObject] = []

    def logit(self, values: Sequence[Encrypted]) -> Encrypted:
        """The real part of each slot is a logit."""
        one, taken = self._evaluation, [values[place] for place in self._places]
        self._encoded = self._encoded or [one.encode_constant(pair, taken[0], self._scale) for pair in self._weights]
        total = one.inner_product(taken, self._encoded)
        one.add_constant(total, self._bias)
        return total


class RowCircuit:
    """All slots are one row's; weights are encoded once, when the first row comes."""

    def __init__(self, model: PlannedModel, evaluation: Evaluation) -> None:
        layout = layout_of(model.network, model.plan.parameters.slots)
        self._sums = layout.sums
        self._weights = spread_weights(model.network, layout)
        self._biases = spread_biases(model.network, layout)
        self._bits = model.scales.weights
        self._evaluation = evaluation
        self._encoded_weights: dict[int, list[SealObject]] = {}
        self._encoded_biases: dict[int, SealObject] = {}

    def logit(self, values: Sequence[Encrypted]) -> Encrypted:
        """Layer by layer: product, rotations, bias, square; slot 0 holds the logit."""
        one = self._evaluation
        for place in range(len(self._bits)):
            total = one.inner_product(values, self._weights_at(place, values[0]))
            one.add_rotated(total, self._sums[place])
            one.add_plain(total, self._bias_at(place, total))
            if place < len(self._bits) - 1:
                one.rescale(total)
                one.square(total)
                one.rescale(total)
            values = [total]
        return values[0]

    def _weights_at(self, place: int, like: Encrypted) -> list[SealObject]:
        if place not in self._encoded_weights:
            scale = 2.0 ** self._bits[place]
            self._encoded_weights[place] = [self._evaluation.encode(part, like, scale) for part in self._weights[place]]
        return self._encoded_weights[place]

    def _bias_at(self, place: int, total: Encrypted) -> SealObject:
        if place not in self._encoded_biases:
            self._encoded_biases[place] = self._evaluation.encode(self._biases[place], total, total.scale)
        return self._encoded_biases[place]
