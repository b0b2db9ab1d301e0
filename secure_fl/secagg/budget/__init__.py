"""The planner: what a secure sum costs, and whether it can be exact, decided before anything runs.

An update is a vector of `parameters` integers in [0, 2**bits). The sum over `banks` of them needs

    field_bits = bits + ceil(log2(banks))

and a sum that fits its field cannot overflow into the next one. `plan` chooses everything else for a scheme, or raises
`PlanError` with the number that must change. `plans` holds what all plans share; `he` and `ring` the schemes' own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import SupportsIndex

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.he import BfvPlan, CkksPlan, HeParameters, HePlan, plan_bfv, plan_ckks
from secure_fl.secagg.budget.plans import FLOAT32, Plan
from secure_fl.secagg.budget.ring import AdditivePlan, MaskedPlan, RingPlan, plan_additive, plan_masked

__all__ = [
    "FLOAT32",
    "AdditivePlan",
    "BfvPlan",
    "CkksPlan",
    "HeParameters",
    "HePlan",
    "MaskedPlan",
    "Plan",
    "RingPlan",
    "plan",
]

MIN_BANKS = 3
MAX_BANKS = 10_000
MIN_BITS, MAX_BITS = 4, 24
MAX_PARAMETERS = 100_000_000


def plan(scheme: str, banks: int, parameters: int, bits: float | str = 8, threshold: int | None = None) -> Plan:
    """The plan for a secure sum, or `PlanError` with what to change.

    `bits` is 4..24 or "float32" (plaintext only). `threshold` defaults to a majority of the banks.
    """
    if scheme not in _PLANNERS:
        raise PlanError(f"there is no scheme {scheme!r}; choose one of {', '.join(sorted(_PLANNERS))}")
    banks, parameters = _whole("banks", banks), _whole("parameters", parameters)
    if not MIN_BANKS <= banks <= MAX_BANKS:
        raise PlanError(
            f"a secure sum over {banks} banks is refused; use {MIN_BANKS} to {MAX_BANKS} banks "
            "(with two, each could subtract its own update from the sum)"
        )
    if not 1 <= parameters <= MAX_PARAMETERS:
        raise PlanError(f"{parameters} parameters cannot be planned; use 1 to {MAX_PARAMETERS}")
    threshold = banks // 2 + 1 if threshold is None else _whole("threshold", threshold)
    if not banks // 2 < threshold <= banks:
        raise PlanError(f"a threshold of {threshold} is refused; use {banks // 2 + 1} to {banks} for {banks} banks")
    return _PLANNERS[scheme](banks, parameters, _bits(scheme, bits), threshold)


def _bits(scheme: str, bits: float | str) -> int | None:
    if bits == FLOAT32:
        if scheme != "plaintext":
            raise PlanError(f"{scheme} sums integers, not float32; use {MIN_BITS} to {MAX_BITS} bits or plaintext")
        return None
    width = _whole("bits", bits)
    if not MIN_BITS <= width <= MAX_BITS:
        raise PlanError(f"{bits} bits cannot be planned; use {MIN_BITS} to {MAX_BITS}, or float32 with plaintext")
    return width


def _whole(name: str, value: object) -> int:
    """A Python int from anything that counts, numpy's integers included."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise PlanError(f"{name} is {value!r}, which is not a whole number; change {name}")
    return operator.index(value)


def _plan_plaintext(banks: int, parameters: int, bits: int | None, threshold: int) -> Plan:
    return Plan(scheme="plaintext", banks=banks, parameters=parameters, bits=bits, threshold=threshold)


_PLANNERS: Mapping[str, Callable[[int, int, int | None, int], Plan]] = {
    "plaintext": _plan_plaintext,
    "additive": plan_additive,
    "masked": plan_masked,
    "ckks": plan_ckks,
    "bfv": plan_bfv,
}
