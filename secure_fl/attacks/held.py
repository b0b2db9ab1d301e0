"""What the aggregator holds of one upload, read as if it were an update.

The same for every scheme: take the values that travelled, decode them with the public codec. Under plaintext that gives
the update. Under the others it gives what an attacker gets who ignores the cryptography: masked words, an additive
share, the bytes of ciphertexts. The attacker is told the number of examples, so that a wrong one spoils nothing.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from secure_fl.exhibit import Overheard
from secure_fl.quantization import Codec, Contribution, FloatVector
from secure_fl.secagg import ring
from secure_fl.secagg.additive.wire import split_upload
from secure_fl.secagg.budget import AdditivePlan, Plan, RingPlan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import unpack_bits
from secure_fl.secagg.protocol import Values
from secure_fl.secagg.schemes import Scheme


def read_upload(
    scheme: Scheme, overheard: Overheard, cohort: Cohort[Plan], codec: Codec, parameters: int, batch: int
) -> FloatVector:
    """The update [parameters] as the aggregator reads it from one bank's upload."""
    values = _values(scheme, cohort, overheard.payload)
    return decoded(values, codec, parameters, 1, batch)


def decoded(values: Values, codec: Codec, parameters: int, banks: int, batch: int) -> FloatVector:
    """The mean update over `banks` from their sum; the counts in it are replaced by the true ones."""
    counts = banks * codec.encode(Contribution(np.zeros(parameters), batch), _ROUNDING)[parameters:]
    total = np.concatenate([values[:parameters], counts])
    return codec.decode(total, banks).update.astype(np.float64)


_ROUNDING = np.random.default_rng(0)
"""Counts are not rounded; the codec asks for a generator all the same."""


def _values(scheme: Scheme, cohort: Cohort[Plan], payload: memoryview) -> Values:
    plan = cohort.plan
    if scheme.read_upload is not None:
        return scheme.read_upload(plan, payload)
    assert plan.bits is not None, "only plaintext sends floats"
    if isinstance(plan, AdditivePlan):
        _, payload = split_upload(cast("Cohort[AdditivePlan]", cohort), payload)
    if isinstance(plan, RingPlan):
        words: Values = ring.from_bytes(plan, payload).astype(np.int64) % (1 << plan.bits)
        return words
    return unpack_bits(payload[: math.ceil(plan.parameters * plan.bits / 8)], plan.bits, plan.parameters)
