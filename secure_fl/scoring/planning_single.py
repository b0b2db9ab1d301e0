"""The planner for one row at a time: low latency, by rotations (`rotations` has the layout).

Weights fill slots here, so encoding rounds them like inputs, by up to N / (pi 2**bits) in a slot instead of half a
unit; they need larger scales, and each product is rescaled before its square. How far each weight is off is known to
the model owner, who encodes it: the bound takes what it is. Rotations add their noise up, before the division by a
prime that makes it small.
"""

from __future__ import annotations

from functools import cache
from math import prod

import numpy as np

from secure_fl.scoring.error_bound import ENCODING_ROOM, Chain, Scales, Weighing, followed
from secure_fl.scoring.hazmat.objects import chain_of
from secure_fl.scoring.hazmat.public import encoding_error
from secure_fl.scoring.network import Matrix, Reach, SquareNetwork, Vector, reach
from secure_fl.scoring.noise import Noise
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.scoring.planning import best_scales, planned, refusal
from secure_fl.scoring.plans import PlannedModel
from secure_fl.scoring.rotations import RowLayout, largest_of_each, layout_of, padded_weights, spread_weights
from secure_fl.scoring.squares import CompiledModel

SINGLE = {
    0: (CkksParameters(4096, (56,), 50),),
    1: (CkksParameters(8192, (60, 40, 40), 60),),
    2: (CkksParameters(8192, (56, 30, 24, 30, 24), 50), CkksParameters(8192, (60, 28, 24, 28, 24), 50)),
}
"""By the number of squares: the prime that stays, then for each square, the last one first, one after it and one before
it; last the special prime."""
LARGEST_SLOTS = max(parameters.slots for choices in SINGLE.values() for parameters in choices)


def plan_single(model: CompiledModel, tolerance: float | None = None) -> PlannedModel:
    """The plan for single rows. Raises `ScoringError` and `PlanError` as `planning.plan_batched` does."""
    whole = reach(model.network, model.clip)
    layout_of(model.network, LARGEST_SLOTS)
    found = []
    for parameters in SINGLE[model.network.depth]:
        bounds = SingleRowBounds(model.network, parameters)
        best = best_scales(bounds.error, whole, model.usual, model.network.depth)
        if best is not None:
            found.append((best, bounds))
    if not found:
        raise refusal(model.network, whole)
    best, bounds = min(found, key=lambda one: one[0].usual_bound)
    return planned(model, bounds.parameters, best, whole, tolerance, bounds.layout)


class SingleRowBounds:
    """Bounds on the error of a logit for one network under some primes."""

    def __init__(self, network: SquareNetwork, parameters: CkksParameters) -> None:
        self.parameters = parameters
        self.chain: Chain = chain_of(parameters)
        self.layout: RowLayout = layout_of(network, parameters.slots)
        self._network = network
        self._weights = padded_weights(network, self.layout)
        spread = spread_weights(network, self.layout)

        def errors(place: int, bits: int) -> tuple[Matrix, float]:
            slots = [encoding_error(parameters, part, bits) for part in spread[place]]
            return largest_of_each(slots, self.layout, place), float(np.max(slots))

        self._errors = cache(errors)
        layers = network.depth + 1
        primes = len(parameters.data_bits)
        turns = sum(len(steps) for steps in self.layout.sums[:layers])
        keys = len(self.layout.rotations(layers)) + 1
        neurons = sum(len(matrix) for matrix in self._weights)
        self._noise = Noise(parameters.degree, 2 * neurons, keys * primes, turns + network.depth)

    def error(self, scales: Scales, reached: Reach) -> float | None:
        """The bound; None where a value can leave the modulus."""
        padded = self._padded(reached)
        if not self._encodable(scales):
            return None
        weighings = [self._weighing(place, bits, padded) for place, bits in enumerate(scales.weights)]
        return followed(weighings, self.chain, scales.inputs, padded, self._noise)

    def _encodable(self, scales: Scales) -> bool:
        """Whether weights keep away from the modulus: SEAL encodes no larger ones."""
        largest = [float(np.abs(matrix).max()) for matrix in self._weights]
        primes = self.chain.data
        under = (primes[: len(primes) - 2 * place] for place in range(len(largest)))
        pairs = zip(largest, scales.weights, under, strict=True)
        return all(number * 2.0**bits * ENCODING_ROOM <= prod(left) for number, bits, left in pairs)

    def _weighing(self, place: int, bits: int, reached: Reach) -> Weighing:
        difference, worst = self._errors(place, bits)
        before = reached.inputs if place == 0 else reached.neurons[place - 1] ** 2
        size = np.abs(self._weights[place]) + difference
        turns = 2 ** len(self.layout.sums[place]) - 1
        largest = float(reached.neurons[place].max())
        # Slots that nobody reads: in layer 2 parts of two neurons' sums, in layer 3 those, squared, times what encoding
        # leaves where weights are zero.
        idle = 2 * float((size @ before).max()) if place == 1 else 0.0
        if place == 2:
            within, _ = self._errors(1, bits)
            sums = (np.abs(self._weights[1]) + within) @ reached.neurons[0] ** 2
            idle = self.layout.second * worst * 4 * float(sums.max()) ** 2
        elsewhere = max(2.0, idle / largest + 1.0) if place else 1.0
        vanishes = bool(difference.max() >= np.abs(self._weights[place]).max())
        bias = float(np.abs(self._network.linears[place].bias).max())
        return Weighing(size, difference, bits, bias, vanishes, turns, elsewhere, rescaled=True)

    def _padded(self, reached: Reach) -> Reach:
        """With zeros for what the layout fills up."""
        sizes = [self._weights[0].shape[1], *(len(matrix) for matrix in self._weights)]
        inputs, *neurons = (
            _filled(values, size) for values, size in zip((reached.inputs, *reached.neurons), sizes, strict=True)
        )
        return Reach(inputs, tuple(neurons))


def _filled(values: Vector, size: int) -> Vector:
    filled = np.zeros(size)
    filled[: len(values)] = values
    return filled
