"""The planner: what a secure sum costs, and whether it can be exact, decided before anything runs.

An update is a vector of `parameters` integers in [0, 2**bits). The sum over `banks` of them needs

    field_bits = bit length of banks x (2**bits - 1)

and a sum that fits its field cannot overflow into the next one. `planning.plan` chooses everything else for a scheme,
or raises `PlanError` with the number that must change. `plans` holds what all plans share; `he` and `ring` the schemes'
own; `noise` the width that values need when every bank adds its share of a noise, for `planning.plan_with_noise`.
"""

from secure_fl.secagg.budget.bfv import BfvPlan
from secure_fl.secagg.budget.ckks import CkksPlan
from secure_fl.secagg.budget.committee import Committee
from secure_fl.secagg.budget.he import HeParameters, HePlan, KeyParameters, RlweParameters, SealPlan
from secure_fl.secagg.budget.noise import NoisePlan
from secure_fl.secagg.budget.plans import FLOAT32, MAX_BITS, MIN_BITS, Plan
from secure_fl.secagg.budget.ring import AdditivePlan, MaskedPlan, RingPlan
from secure_fl.secagg.budget.rlwe import RlwePlan

MIN_BANKS = 3
MAX_BANKS = 10_000
MAX_PARAMETERS = 100_000_000

__all__ = [
    "FLOAT32",
    "MAX_BANKS",
    "MAX_BITS",
    "MAX_PARAMETERS",
    "MIN_BANKS",
    "MIN_BITS",
    "AdditivePlan",
    "BfvPlan",
    "CkksPlan",
    "Committee",
    "HeParameters",
    "HePlan",
    "KeyParameters",
    "MaskedPlan",
    "NoisePlan",
    "Plan",
    "RingPlan",
    "RlweParameters",
    "RlwePlan",
    "SealPlan",
]
