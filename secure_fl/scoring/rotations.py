"""One row in all slots: how features, weights and neurons lie, so that a layer is one product and a few rotations.

Slots are blocks of `block` slots, as many as the first layer has neurons (up to a power of two). A feature fills a
block, and the weight of neuron k for it lies in the block's slot k. Layers alternate between two directions
(rotate-and-sum after Halevi and Shoup, "Algorithms in HElib", CRYPTO 2014; in turns as in Brutzkus, Elisha,
Gilad-Bachrach, "Low Latency Privacy Preserving Inference", ICML 2019):

    layer 1   slot (j, k) = W_1[k, j] x_j; summed over blocks: each block holds all z_1
    layer 2   slot (o, k) = W_2[o, k] h_1[k]; summed within blocks: slot (o, 0) holds z_2[o], the others sums of no use
    layer 3   slot (o, 0) = W_3[o] h_2[o], 0 elsewhere; summed over blocks: slot (0, 0) holds the logit

Sums over 2**m blocks or slots take m rotations. Where features fill fewer blocks than there are, they repeat. More
features than blocks go into further ciphertexts, added up before the rotations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from secure_fl.errors import PlanError
from secure_fl.scoring.network import Matrix, SquareNetwork, Vector

MOST_SQUARES = 2


@dataclass(frozen=True)
class RowLayout:
    """Sizes, all powers of two."""

    slots: int
    block: int
    """Slots of a block."""
    repeat: int
    """Blocks of features until they repeat."""
    second: int
    """Neurons of the second layer."""

    @property
    def sums(self) -> tuple[tuple[int, ...], ...]:
        """Rotations of layers 1, 2 and 3."""
        return (
            _powers(self.block, self.repeat),
            _powers(1, self.block),
            _powers(self.block, self.second),
        )

    def rotations(self, layers: int) -> tuple[int, ...]:
        """Every step that is needed, once."""
        return tuple(sorted({step for steps in self.sums[:layers] for step in steps}))


def layout_of(network: SquareNetwork, slots: int) -> RowLayout:
    """Raises `PlanError` where a row does not fit."""
    widths = [_power_of_two(width) for width in network.widths]
    block = widths[1] if network.depth else 1
    second = widths[2] if network.depth else 1
    if network.depth > MOST_SQUARES or block * second > slots:
        raise PlanError(
            f"single rows have room for {MOST_SQUARES} squares in a row and {slots} weights between layers, and the "
            f"model has {network.depth} and {block * second}; score in batches, or use a smaller model"
        )
    return RowLayout(slots, block, min(widths[0], slots // block), second)


def spread_row(features: Vector, block: int, slots: int) -> list[Vector]:
    """What the data owner encrypts of one row: float64 [slots], one or more times."""
    blocks = slots // block
    repeat = min(_power_of_two(len(features)), blocks)
    padded = np.zeros(-(-len(features) // repeat) * repeat)
    padded[: len(features)] = features
    return [np.tile(np.repeat(part, block), blocks // repeat) for part in padded.reshape(-1, repeat)]


def spread_weights(network: SquareNetwork, layout: RowLayout) -> list[list[Vector]]:
    """Of each layer, float64 [slots] for each ciphertext that it takes."""
    spread = []
    for place, matrix in enumerate(padded_weights(network, layout)):
        match place:
            case 0:
                parts = np.split(matrix, matrix.shape[1] // layout.repeat, axis=1)
                spread.append([np.tile(part.T.ravel(), _times(layout, layout.repeat)) for part in parts])
            case 1:
                spread.append([np.tile(matrix.ravel(), _times(layout, layout.second))])
            case _:
                blocks = np.zeros((layout.second, layout.block))
                blocks[:, 0] = matrix[0]
                spread.append([np.tile(blocks.ravel(), _times(layout, layout.second))])
    return spread


def spread_biases(network: SquareNetwork, layout: RowLayout) -> list[Vector]:
    """Of each layer, float64 [slots], where its z lie."""
    spread = []
    for place, (layer, matrix) in enumerate(zip(network.linears, padded_weights(network, layout), strict=True)):
        bias = np.zeros(len(matrix))
        bias[: len(layer.bias)] = layer.bias
        if place == 1:
            blocks = np.zeros((layout.second, layout.block))
            blocks[:, 0] = bias
            spread.append(np.tile(blocks.ravel(), _times(layout, layout.second)))
        else:
            spread.append(np.tile(bias, layout.slots // len(bias)))
    return spread


def padded_weights(network: SquareNetwork, layout: RowLayout) -> list[Matrix]:
    """With zeros up to the sizes of the layout."""
    inputs = -(-network.widths[0] // layout.repeat) * layout.repeat
    sizes = [inputs, layout.block, layout.second, 1][: network.depth + 1]
    found = []
    for place, layer in enumerate(network.linears):
        outputs = sizes[place + 1] if place < network.depth else 1
        matrix = np.zeros((outputs, sizes[place]))
        matrix[: layer.weights.shape[0], : layer.weights.shape[1]] = layer.weights
        found.append(matrix)
    return found


def largest_of_each(slots: list[Vector], layout: RowLayout, place: int) -> Matrix:
    """The largest value that belongs to each weight of a layer, in the shape of `padded_weights`, over repetitions."""
    stacked = np.stack(slots)
    match place:
        case 0:
            parts = stacked.reshape(len(slots), -1, layout.repeat, layout.block).max(axis=1)
            return np.concatenate([part.T for part in parts], axis=1)
        case 1:
            whole: Matrix = stacked.reshape(-1, layout.second, layout.block).max(axis=0)
            return whole
        case _:
            first: Matrix = stacked.reshape(-1, layout.second, layout.block).max(axis=0)[:, :1].T
            return first


def _times(layout: RowLayout, blocks: int) -> int:
    return layout.slots // (layout.block * blocks)


def _powers(step: int, count: int) -> tuple[int, ...]:
    return tuple(step << power for power in range(count.bit_length() - 1))


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
