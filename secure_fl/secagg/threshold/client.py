"""A bank's half of a sum that a committee opens."""

from __future__ import annotations

import numpy as np

from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.hazmat.collective import JointKey, data_moduli
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import require_values
from secure_fl.secagg.threshold.encoding import encode
from secure_fl.secagg.threshold.wire import UPLOAD, in_use, pack_upload


class ThresholdClient:
    """Adds one bank's numbers to fresh encryptions of zero under the joint key, when the aggregator asks."""

    def __init__(self, cohort: Cohort[ThresholdPlan], bank: str, values: IntVector, key: JointKey) -> None:
        require_values(cohort.plan, values)
        self._cohort, self._bank, self._values, self._key = cohort, bank, values, key

    def respond(self, request: bytes) -> bytes:
        open_message(self._cohort, request, recipient=self._bank, sender=AGGREGATOR, stage=UPLOAD)
        plan = self._cohort.plan
        zeros = np.empty((2, plan.ciphertexts, plan.ring.primes, plan.ring.degree), dtype=np.uint64)
        for place in range(plan.ciphertexts):
            zeros[:, place] = self._key.encrypt_zero()
        first = (in_use(plan, zeros[0]) + encode(plan, self._values)) % data_moduli(plan.ring).reshape(-1)
        second = zeros[1].transpose(0, 2, 1)
        return seal(self._cohort, UPLOAD, self._bank, AGGREGATOR, pack_upload(plan, first, second))
