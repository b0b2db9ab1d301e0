"""The planner for answers that hide the weights, in batches: the same circuit, with room for the flood.

The flood is far larger than all that it drowns, by more than 2**41, and what it drowns grows with the scale of weights
but not with that of inputs: so inputs get scales of 80 bits and more, each square is divided by two primes, and the
answer keeps two or three. Numbers of the plan that are measured on the weights are rounded up to powers of two, after
the tolerance was checked.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

from secure_fl.errors import ScoringError
from secure_fl.scoring.error_bound import Deviations, Scales, batched_weighings, deviations
from secure_fl.scoring.flooding import SHARE_BITS, ceil_log2, flooding_bits, flooding_error
from secure_fl.scoring.hazmat.objects import chain_of
from secure_fl.scoring.network import Reach, SquareNetwork, reach
from secure_fl.scoring.noise import Noise
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.scoring.planning import best_scales, planned, refusal, result_scale
from secure_fl.scoring.plans import PlannedModel
from secure_fl.scoring.squares import CompiledModel

HIDDEN = {
    0: CkksParameters(8192, (56, 56), 20),
    1: CkksParameters(16384, (56, 56, 56, 56), 30),
    2: CkksParameters(16384, (50, 50, 50, 60, 60, 60, 60), 30),
}
"""By the number of squares that follow each other. SEAL keeps the last prime for keys, also where none are switched; it
can be small here, since two primes divide the noise of switched keys."""
DIVISIONS = 2
"""After each square: scales stay near 2**100 from the first layer to the last."""
INPUT_SCALES = range(38, 98, 6)


def plan_hidden(model: CompiledModel, tolerance: float | None = None) -> PlannedModel:
    """The plan of a compiled model whose weights are hidden. Raises what `plan_batched` does."""
    network = model.network
    parameters = HIDDEN.get(network.depth)
    if parameters is None:
        raise ScoringError(
            f"the model squares {network.depth} times in a row, and the largest ring has room for {max(HIDDEN)} and "
            "for noise that hides the weights; use fewer layers, or do not hide the model"
        )
    bounds = HiddenBounds(network, parameters, DIVISIONS, reach(network, model.clip))
    found = best_scales(bounds.error, bounds.whole, model.usual, network.depth, INPUT_SCALES)
    if found is None:
        raise refusal(network, bounds.whole)
    made = planned(model, parameters, found, bounds.whole, tolerance, divisions=DIVISIONS)
    bits = bounds.flooding_bits(found.scales)
    assert bits is not None
    plan = replace(
        made.plan,
        flooding_bits=bits,
        largest_logit=2.0 ** ceil_log2(made.plan.largest_logit),
        error_bound=2.0 ** ceil_log2(made.plan.error_bound),
        usual_error_bound=2.0 ** ceil_log2(made.plan.usual_error_bound),
    )
    return replace(made, plan=plan)


class HiddenBounds:
    """Bounds on the error of a logit for one network under some primes, flood included."""

    def __init__(self, network: SquareNetwork, parameters: CkksParameters, divisions: int, whole: Reach) -> None:
        self.whole = whole
        """How far neurons get in the clip range: what is drowned may be as large as that allows."""
        self._network = network
        self._chain, self._divisions = chain_of(parameters), divisions
        neurons, squares = sum(network.widths[1:]), network.depth
        # Two bounds for each neuron, and the flood; errors of keys, and the four parts of an encryption of zero.
        self._noise = Noise(
            parameters.degree, 2 * neurons + 1, squares * len(self._chain.data) + 4, neurons + 1, SHARE_BITS
        )
        self.flooding_bits = cache(self._flooding_bits)

    def error(self, scales: Scales, reached: Reach) -> float | None:
        """The bound; None where a value can leave the modulus."""
        found, bits = self._deviations(scales, reached), self.flooding_bits(scales)
        if found is None or bits is None:
            return None
        return found.plain + self._added(scales, bits)

    def _flooding_bits(self, scales: Scales) -> int | None:
        """Of the flood; None where it, or any other value, can leave the modulus."""
        found = self._deviations(scales, self.whole)
        if found is None:
            return None
        scale = self._scale(scales)
        drowned = math.sqrt(2) * (found.rounded * scale + self._noise.encrypted_zero)
        bits = flooding_bits(self._noise.degree, drowned)
        largest = self.whole.neurons[-1][0] + 2 * (found.plain + self._added(scales, bits))
        modulus = math.prod(self._chain.data[: len(self._chain.data) - self._network.depth * self._divisions])
        return bits if largest * scale < modulus / 2.01 else None

    def _deviations(self, scales: Scales, reached: Reach) -> Deviations | None:
        weighings = batched_weighings(self._network, scales, self._divisions)
        return deviations(weighings, self._chain, scales.inputs, reached, self._noise)

    def _added(self, scales: Scales, bits: int) -> float:
        """By hiding, to a logit."""
        return (self._noise.encrypted_zero + flooding_error(bits, self._noise)) / self._scale(scales)

    def _scale(self, scales: Scales) -> float:
        return result_scale(self._chain, scales, divisions=self._divisions)
