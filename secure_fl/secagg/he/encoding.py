"""How a vector of small integers becomes ciphertexts, and summed ciphertexts the exact integer sum.

Slots carry `fields_per_slot` values side by side (see `budget.he`). For CKKS every bank subtracts the same constant
from each slot, so that the sum is centred on zero and uses the whole modulus; the key authority adds it back as often
as there are contributors. Rounding to integers takes CKKS's approximation error away before anything is released: that
error depends on the secret key, and publishing it can give the key away (Li, Micciancio, EUROCRYPT 2021). Rounding
makes the released value independent of it, except with the planner's failure probability; it is not a proof of
IND-CPA-D security. BFV is exact by itself, with such a probability.

No field of a sum can exceed what its contributors can have put in, and a sum in which one does is not released. Under
another key all fields are random, and of thousands some leaves its range almost surely; of a few hardly any does
(`budget.he`, SPARE_DIGITS). Where noise is what makes a sum wrong, a slot is off by one, and that seldom shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ProtocolError
from secure_fl.secagg.budget import HePlan, SealPlan
from secure_fl.secagg.packing import IntVector, pack_fields, unpack_fields


def encode_slots(plan: SealPlan, values: IntVector) -> IntVector:
    """int64 [ciphertexts, slots of one]: one bank's values, packed and centred; unused slots are zero."""
    slots = np.zeros((plan.ciphertexts, plan.parameters_of_context.slots), dtype=np.int64)
    slots.reshape(-1)[: plan.slots] = pack_fields(values, plan.fields_per_slot, plan.field_base) - plan.centre
    return slots


def decode_slots(plan: HePlan, slots: NDArray[np.float64] | IntVector, contributors: int) -> IntVector:
    """The exact sum over `contributors` banks from the decrypted slots of all ciphertexts. Or `ProtocolError`."""
    assert plan.bits is not None
    packed = np.rint(slots[: plan.slots]) + contributors * plan.centre
    if not ((packed >= 0) & (packed < plan.field_base**plan.fields_per_slot)).all():
        raise _out_of_range()
    total = unpack_fields(packed.astype(np.int64), plan.fields_per_slot, plan.field_base, plan.parameters)
    if total.max() > contributors * ((1 << plan.bits) - 1):
        raise _out_of_range()
    return total


def _out_of_range() -> ProtocolError:
    return ProtocolError("the decrypted sum lies outside its range; some bank encrypted values beyond the plan")
