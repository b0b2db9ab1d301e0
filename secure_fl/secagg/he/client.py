"""A bank's half of a homomorphic sum."""

from __future__ import annotations

from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.he.public_keys import PublicKey
from secure_fl.secagg.he.words import UPLOAD, pack_upload
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import require_values


class HeClient:
    """Encrypts one bank's values under the key authority's public key, whenever the aggregator asks."""

    def __init__(self, cohort: Cohort[HePlan], bank: str, values: IntVector, public: PublicKey) -> None:
        require_values(cohort.plan, values)
        self._cohort, self._bank, self._values, self._public = cohort, bank, values, public

    def respond(self, request: bytes) -> bytes:
        open_message(self._cohort, request, recipient=self._bank, sender=AGGREGATOR, stage=UPLOAD)
        plan = self._cohort.plan
        payload = pack_upload(plan, self._public.encrypt(plan, self._values))
        return seal(self._cohort, UPLOAD, self._bank, AGGREGATOR, payload)
