"""The planner of encrypted scoring: primes, scales and the bound on a logit's error, or a refusal.

Batched. Each square uses up one prime, so their number decides ring and primes; a logistic regression needs one prime
and no keys. Primes are as large as 214 bits (N = 8192) and 1,500 bytes for a row of 32 features allow. Scales are
searched for: small ones lose digits, large ones leave the modulus. Each square doubles what it gets, so

    scale_1 = inputs + weights_1,   scale_(l+1) = 2 scale_l - prime + weights_(l+1)

and the last must leave room for the largest logit of the clip range in the first prime. The search goes over all of
them: every row of the clip range must fit, and of those that do it takes the scales with the smallest error bound for
rows like the training rows. A logistic regression takes two features in a slot, as real and imaginary part: half the
ciphertexts, and no more noise than with one in each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from secure_fl.errors import PlanError, ScoringError
from secure_fl.scoring.error_bound import Chain, Scales, logit_error
from secure_fl.scoring.hazmat.objects import chain_of
from secure_fl.scoring.network import Reach, SquareNetwork, reach
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.scoring.plans import PlannedModel, ScoringPlan, check_tolerance
from secure_fl.scoring.rotations import RowLayout
from secure_fl.scoring.squares import CompiledModel

BATCHED = {
    0: CkksParameters(4096, (57,)),
    1: CkksParameters(8192, (60, 57), 60),
    2: CkksParameters(8192, (60, 56, 56), 42),
    3: CkksParameters(16384, (60, 60, 60, 60), 60),
    4: CkksParameters(16384, (60, 60, 60, 60, 60), 60),
    5: CkksParameters(16384, (60, 60, 60, 60, 60, 60), 60),
}
"""By the number of squares that follow each other."""
INPUT_SCALES = range(14, 46, 5)
ErrorBound = Callable[[Scales, Reach], float | None]
"""The bound on a logit's error at these scales for rows that reach so far; None where they do not fit."""


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
    chain, whole, paired = chain_of(parameters), reach(network, model.clip), network.depth == 0

    def error(scales: Scales, reached: Reach) -> float | None:
        return logit_error(network, chain, scales, reached, paired)

    found = best_scales(error, whole, model.usual, network.depth)
    if found is None:
        raise refusal(network, whole)
    return planned(model, parameters, found, whole, tolerance, paired=paired)


def planned(
    model: CompiledModel,
    parameters: CkksParameters,
    found: Found,
    whole: Reach,
    tolerance: float | None,
    row: RowLayout | None = None,
    divisions: int = 1,
    paired: bool = False,
) -> PlannedModel:
    """The model under the scales that were found; `row`: the layout of single rows. Raises `PlanError`."""
    plan = ScoringPlan(
        layout="batched" if row is None else "single",
        parameters=parameters,
        features=model.features,
        positions=model.positions,
        must_be_zero=model.must_be_zero,
        clip=model.clip,
        input_scale_bits=found.scales.inputs,
        result_scale=result_scale(chain_of(parameters), found.scales, rescaled=row is not None, divisions=divisions),
        squares=model.network.depth,
        paired=paired,
        divisions=divisions,
        largest_logit=float(whole.neurons[-1][0]),
        error_bound=found.bound,
        usual_error_bound=found.usual_bound,
        block=1 if row is None else row.block,
        rotations=() if row is None else row.rotations(model.network.depth + 1),
    )
    return PlannedModel(check_tolerance(plan, tolerance), model.network, found.scales)


def result_scale(chain: Chain, scales: Scales, *, rescaled: bool = False, divisions: int = 1) -> float:
    """What a logit is multiplied by when it is decrypted.

    `rescaled`: whether a prime goes before each square, too; `divisions`: how many go after it.
    """
    scale, primes = 2.0**scales.inputs, list(chain.data)
    for place, bits in enumerate(scales.weights):
        scale *= 2.0**bits
        if place < len(scales.weights) - 1:
            scale = scale / primes.pop() if rescaled else scale
            scale = scale**2
            for _ in range(divisions):
                scale /= primes.pop()
    return scale


class Found(NamedTuple):
    """Scales, and what a logit can be off by under them."""

    scales: Scales
    bound: float
    """For all rows of the clip range."""
    usual_bound: float
    """For rows like the training rows."""


def best_scales(
    error: ErrorBound, whole: Reach, usual: Reach, squares: int, inputs: Sequence[int] = INPUT_SCALES
) -> Found | None:
    """Scales that fit the whole clip range, with the smallest bound for usual rows, and both bounds; None if none fit.

    First a coarse grid, with `inputs` for that of inputs; from its best place steps in one or two scales at once, until
    none makes the bound smaller.
    """

    def usual_error(numbers: tuple[int, ...]) -> float:
        scales = Scales(numbers[0], numbers[1:])
        fits = min(numbers) > 0 and error(scales, whole) is not None
        bound = error(scales, usual) if fits else None
        return math.inf if bound is None else bound

    starts = itertools.product(inputs, *[range(6, 34, 5)] * squares, range(2, 42, 6))
    alike = (start for start in starts if len(set(start[1:-1])) < 2)
    bound, best = min((usual_error(start), start) for start in alike)
    moves = _moves(len(best))
    while bound < math.inf:
        tried = [tuple(map(sum, zip(best, move, strict=True))) for move in moves]
        smallest, place = min((usual_error(numbers), numbers) for numbers in tried)
        if smallest >= bound * (1 - 1e-9):
            scales = Scales(best[0], best[1:])
            return Found(scales, _known(error(scales, whole)), bound)
        bound, best = smallest, place
    return None


def _moves(count: int) -> list[tuple[int, ...]]:
    """All changes by up to 2 of one number, or of two."""
    pairs = itertools.combinations(range(count), 2) if count > 1 else [(0, 0)]
    changes = {
        tuple(up if place == first else down if place == second else 0 for place in range(count))
        for first, second in pairs
        for up, down in itertools.product((-2, -1, 0, 1, 2), repeat=2)
    }
    return sorted(changes - {(0,) * count})


def _known(bound: float | None) -> float:
    assert bound is not None
    return bound


def refusal(network: SquareNetwork, whole: Reach) -> PlanError | ScoringError:
    """Why no scales fit."""
    if not all(np.isfinite(z).all() for z in whole.neurons):
        return PlanError(
            "layers leave the range of float64 within the clip range; narrow the clip range, or train with more weight "
            "decay"
        )
    smallest = min(float(np.abs(layer.weights).max(axis=1).min()) for layer in network.linears)
    if smallest < 2.0**-40:
        return ScoringError("a neuron's weights all round to zero at every scale that fits; train the model again")
    bits = math.ceil(math.log2(float(whole.neurons[-1][0]) + 1))
    return PlanError(
        f"logits reach 2**{bits} within the clip range, and no scales keep all layers inside the modulus; narrow the "
        "clip range, use fewer layers, or train with more weight decay"
    )
