"""The planner of encrypted scoring: primes, scales and the bound on a logit's error, or a refusal.

Batched. Each square uses up one prime, so their number decides ring and primes; a logistic regression needs one prime
and no keys. Primes are as large as 214 bits (N = 8192) and 1,500 bytes for a row of 32 features allow. Scales are
searched for: small ones lose digits, large ones leave the modulus. Each square doubles what it gets, so

    scale_1 = inputs + weights_1,   scale_(l+1) = 2 scale_l - prime + weights_(l+1)

and the last must leave room for the largest logit of the clip range in the first prime. The search goes over all of
them, with the error bound itself as its aim.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from secure_fl.errors import PlanError, ScoringError
from secure_fl.scoring.error_bound import Chain, Scales, logit_error
from secure_fl.scoring.hazmat.objects import chain_of
from secure_fl.scoring.network import Reach, SquareNetwork, reach, reach_of
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.scoring.plans import PlannedModel, ScoringPlan, check_tolerance
from secure_fl.scoring.squares import CompiledModel

BATCHED = {
    0: CkksParameters(4096, (57,)),
    1: CkksParameters(8192, (60, 57), 60),
    2: CkksParameters(8192, (60, 57, 57), 40),
    3: CkksParameters(16384, (60, 60, 60, 60), 60),
    4: CkksParameters(16384, (60, 60, 60, 60, 60), 60),
    5: CkksParameters(16384, (60, 60, 60, 60, 60, 60), 60),
}
"""By the number of squares that follow each other."""
RELATIVE_TOLERANCE = 0.01
"""Of the largest logit: fewer than two digits of a score are refused, unless a tolerance is given."""
LargestError = Callable[[Scales], float | None]


def plan_batched(model: CompiledModel, tolerance: float | None = None) -> PlannedModel:
    """The plan of a compiled model; `tolerance`: the largest error of a logit that is allowed.

    Raises `ScoringError` for a model that is too deep or has no weight that counts, and `PlanError` where no scales
    keep the logit within its modulus and its error within the tolerance.
    """
    network = model.network
    parameters = BATCHED.get(network.depth)
    if parameters is None:
        raise ScoringError(
            f"the model squares {network.depth} times in a row, and the largest ring planned for bears {max(BATCHED)}; "
            "use fewer layers"
        )
    chain, whole = chain_of(parameters), reach(network, model.clip)
    scales, bound = _best_scales(network, chain, whole)
    usual = logit_error(network, chain, scales, reach_of(network, model.rows))
    assert usual is not None
    plan = ScoringPlan(
        layout="batched",
        parameters=parameters,
        features=model.features,
        positions=model.positions,
        must_be_zero=model.must_be_zero,
        clip=model.clip,
        input_scale_bits=scales.inputs,
        result_scale=result_scale(chain, scales),
        squares=network.depth,
        largest_logit=float(whole.neurons[-1][0]),
        error_bound=bound,
        usual_error_bound=min(usual, bound),
    )
    allowed = RELATIVE_TOLERANCE * plan.largest_logit if tolerance is None else tolerance
    return PlannedModel(check_tolerance(plan, allowed), network, scales)


def result_scale(chain: Chain, scales: Scales) -> float:
    """What a logit is multiplied by when it is decrypted."""
    scale, primes = 2.0**scales.inputs, list(chain.data)
    for place, bits in enumerate(scales.weights):
        scale *= 2.0**bits
        if place < len(scales.weights) - 1:
            scale = scale**2 / primes.pop()
    return scale


def _best_scales(network: SquareNetwork, chain: Chain, whole: Reach) -> tuple[Scales, float]:
    """Scales with the smallest bound over the clip range. Raises `PlanError` or `ScoringError`."""

    def error(scales: Scales) -> float | None:
        return logit_error(network, chain, scales, whole)

    starts = (
        Scales(inputs, (weights,) * network.depth + (last,))
        for inputs in range(12, 48, 4)
        for weights in range(4, 36, 4)
        for last in range(2, 42, 4)
    )
    found = [(bound, scales) for scales in starts if (bound := error(scales)) is not None]
    if not found:
        raise _refusal(network, whole)
    bound, scales = min(found, key=lambda one: one[0])
    return _descended(error, scales, bound)


def _descended(error: LargestError, scales: Scales, bound: float) -> tuple[Scales, float]:
    """Steps in one or two scales at once, until none makes the bound smaller."""
    numbers = [scales.inputs, *scales.weights]
    steps = [
        (first, second, up, down)
        for first, second in itertools.product(range(len(numbers)), repeat=2)
        for up, down in itertools.product((-2, -1, 0, 1, 2), repeat=2)
    ]
    moved = True
    while moved:
        moved = False
        for first, second, up, down in steps:
            tried = list(numbers)
            tried[first] += up
            tried[second] += down
            better = error(Scales(tried[0], tuple(tried[1:]))) if min(tried) > 0 and tried != numbers else None
            if better is not None and better < bound * (1 - 1e-9):
                numbers, bound, moved = tried, better, True
    return Scales(numbers[0], tuple(numbers[1:])), bound


def _refusal(network: SquareNetwork, whole: Reach) -> PlanError | ScoringError:
    """Why no scales fit."""
    smallest = min(float(np.abs(layer.weights).max(axis=1).min()) for layer in network.linears)
    if smallest < 2.0**-40:
        return ScoringError("a neuron's weights all round to zero at every scale that fits; train the model again")
    bits = math.ceil(math.log2(float(whole.neurons[-1][0]) + 1))
    return PlanError(
        f"logits reach 2**{bits} within the clip range, and no scales keep all layers inside the modulus; narrow the "
        "clip range, use fewer layers, or train with more weight decay"
    )
