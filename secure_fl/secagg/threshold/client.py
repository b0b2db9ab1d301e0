"""A bank's half of a sum that a committee opens."""

from __future__ import annotations

from functools import partial

import numpy as np

from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.committed.client import CommittedClient
from secure_fl.secagg.hazmat.collective import JointKey, data_moduli
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import require_values
from secure_fl.secagg.threshold.encoding import encode
from secure_fl.secagg.threshold.wire import in_use, pack_first, pack_words


class ThresholdClient(CommittedClient):
    """Adds one bank's numbers to fresh encryptions of zero under the joint key, and commits to what that gives."""

    def __init__(
        self, cohort: Cohort[ThresholdPlan], bank: str, values: IntVector, identity: Identity, key: JointKey
    ) -> None:
        require_values(cohort.plan, values)
        super().__init__(cohort, bank, identity, partial(encrypted, cohort.plan, values, key))


def encrypted(plan: ThresholdPlan, values: IntVector, key: JointKey) -> tuple[bytes, bytes]:
    """First polynomials, and second ones, which members of the committee will see."""
    zeros = np.empty((2, plan.ciphertexts, plan.ring.primes, plan.ring.degree), dtype=np.uint64)
    for place in range(plan.ciphertexts):
        zeros[:, place] = key.encrypt_zero()
    first = (in_use(plan, zeros[0]) + encode(plan, values)) % data_moduli(plan.ring).reshape(-1)
    return pack_first(plan, first), pack_words(plan.second, zeros[1].transpose(0, 2, 1))
