"""Whether a plan for scoring can be one: the data owner's check of what a model owner sent, before a key is drawn.

A plan that passes can be carried out: keys can be made, rows of the clip range can be encrypted and an answer opened.
Types are exact, since JSON's true is 1 for Python and a list of them chooses columns for numpy. Rotations are powers of
two, as the layout has them, so that no plan makes the data owner draw thousands of keys.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from secure_fl.scoring.parameters import CkksParameters

if TYPE_CHECKING:
    from secure_fl.scoring.plans import ScoringPlan

_ENCODING_BITS = 3
"""Above the largest number that is encoded, in bits of the modulus."""


def check_plan(plan: ScoringPlan) -> None:
    """Raises `ValueError` where a field is of another type, not finite, or contradicts the others."""
    for name, kind in get_type_hints(type(plan)).items():
        if not _is(getattr(plan, name), kind):
            raise ValueError(name)
    if not (_places_fit(plan) and _numbers_fit(plan) and _layout_fits(plan)):
        raise ValueError


def _is(value: Any, kind: Any) -> bool:
    """Whether a value read from JSON has the type of a field."""
    if kind is CkksParameters:
        return isinstance(value, CkksParameters)
    if get_origin(kind) is tuple:
        return type(value) is tuple and all(_is(each, get_args(kind)[0]) for each in value)
    if kind is float:
        return type(value) is float and math.isfinite(value)
    return type(value) is kind if isinstance(kind, type) else type(value) is str and value in get_args(kind)


def _places_fit(plan: ScoringPlan) -> bool:
    places = (*plan.positions, *plan.must_be_zero)
    return bool(plan.positions) and len(set(places)) == len(places) and all(0 <= at < plan.features for at in places)


def _numbers_fit(plan: ScoringPlan) -> bool:
    """Rows within the clip range can be encoded, and what is said of logits can be so."""
    if not 0 < plan.clip < 2**20 or not 0 < plan.input_scale_bits < 128 or plan.result_scale <= 0:
        return False
    if math.log2(plan.result_scale) >= sum(plan.parameters.data_bits):
        return False
    needed = plan.input_scale_bits + math.log2(max(plan.clip, 1.0)) + _ENCODING_BITS
    told = (plan.largest_logit, plan.error_bound, plan.usual_error_bound)
    return needed <= sum(plan.parameters.data_bits) and all(number >= 0 for number in told)


def _layout_fits(plan: ScoringPlan) -> bool:
    """Keys can be switched where they must be, and rotations are those of single rows."""
    steps, slots, primes = plan.rotations, plan.parameters.slots, plan.parameters.data_bits
    if plan.squares < 0 or plan.divisions < 1 or plan.squares * plan.divisions >= len(primes):
        return False
    if plan.parameters.special_bits is None and (len(primes) > 1 or steps):
        return False
    if not 0 <= plan.flooding_bits < sum(primes[: plan.answer_primes]) or not 0 < plan.block <= slots:
        return False
    if plan.layout == "batched":
        return plan.block == 1 and not steps and not (plan.paired and (plan.squares or plan.hides_model))
    if plan.paired or plan.hides_model:
        return False
    powers = all(0 < step < slots and step & (step - 1) == 0 for step in steps)
    return plan.block & (plan.block - 1) == 0 and powers and len(set(steps)) == len(steps)
