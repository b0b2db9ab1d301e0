"""The planner of encrypted training: ring, primes, scales and the bound on the weights' error, or a refusal.

Four products follow each other, each with a prime of its own. The primes are those of 8,192 and 16,384 that gave the
smallest bounds on a range of tasks. Scales of rows and weights are searched for: small ones lose digits, large ones
leave the modulus. The smallest ring whose best bound is within the tolerance is taken.
"""

from __future__ import annotations

import itertools
import json
import math

from secure_fl.errors import MessageError, PlanError
from secure_fl.scoring.descent.error_bound import DescentScales, gradient_error, weights_error
from secure_fl.scoring.descent.plans import VERSION, DescentPlan
from secure_fl.scoring.descent.task import DescentTask
from secure_fl.scoring.hazmat.objects import chain_of
from secure_fl.scoring.parameters import CkksParameters

RINGS = (
    CkksParameters(8192, (44, 34, 32, 32, 42), 30),
    CkksParameters(16384, (60, 50, 50, 50, 50), 60),
)


def plan_descent(
    features: int,
    rows: int,
    *,
    clip: float,
    rate: float,
    epochs: int,
    interval: float = 8.0,
    weight_decay: float = 0.0,
    mean_square: float = 1.25,
    tolerance: float = 1e-3,
) -> DescentPlan:
    """The plan for so many rows; what the numbers mean: `DescentTask`.

    Raises `PlanError` for numbers that make no sense, and where no ring keeps the weights within the tolerance.
    """
    task = DescentTask(features, rows, clip, rate, epochs, interval, weight_decay, mean_square, tolerance)
    best = math.inf
    for parameters in RINGS:
        plan = _best(task, parameters)
        if plan is not None and plan.error_bound <= tolerance and plan.reach > 0:
            return plan
        best = min(best, math.inf if plan is None else plan.error_bound)
    raise PlanError(
        f"weights could be off by {best:.3g} after {epochs} epochs, and {tolerance:.3g} is allowed; allow more, or "
        "plan a lower rate, fewer epochs or a narrower clip range"
    )


def _best(task: DescentTask, parameters: CkksParameters) -> DescentPlan | None:
    """The scales with the smallest bound; None if none fit."""
    chain = chain_of(parameters)
    found = []
    for numbers in itertools.product(range(16, 48), range(16, 60)):
        error = gradient_error(task, chain, DescentScales(*numbers))
        if error is not None:
            found.append((error, numbers))
    if not found:
        return None
    error, numbers = min(found)
    return DescentPlan(task, parameters, DescentScales(*numbers), error, weights_error(task, error))


def read_plan(data: bytes) -> DescentPlan:
    """Inverse of `DescentPlan.to_json`. Raises `MessageError`, or `PlanError` for a task that cannot be planned."""
    try:
        document = json.loads(data)
        if document.pop("version") != VERSION:
            raise ValueError
        plan = plan_descent(document.pop("features"), document.pop("rows"), **document)
        if plan.to_json() != bytes(data):  # so that people who look at it see what is meant
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MessageError("a plan for training cannot be read; ask for it again") from None
    return plan
