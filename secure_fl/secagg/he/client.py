"""A bank's half of a homomorphic sum."""

from __future__ import annotations

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HeParameters, HePlan
from secure_fl.secagg.hazmat.he_public import PublicContext, fingerprint
from secure_fl.secagg.he.encoding import UPLOAD, encode_slots, join_ciphertexts
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import require_values


class HeClient:
    """Encrypts one bank's values under the key authority's public key, once, when the aggregator asks."""

    def __init__(self, cohort: Cohort[HePlan], bank: str, values: IntVector, public: PublicContext) -> None:
        require_values(cohort.plan, values)
        self._cohort, self._bank, self._values, self._public = cohort, bank, values, public

    def respond(self, request: bytes) -> bytes:
        open_message(self._cohort, request, recipient=self._bank, sender=AGGREGATOR, stage=UPLOAD)
        ciphertexts = [self._public.encrypt(slots) for slots in encode_slots(self._cohort.plan, self._values)]
        return seal(self._cohort, UPLOAD, self._bank, AGGREGATOR, join_ciphertexts(ciphertexts))


def accept_public_key(data: bytes, expected: bytes, parameters: HeParameters) -> PublicContext:
    """The key authority's key as it came by way of the aggregator.

    `expected` is the fingerprint that the bank got from the key authority by another way: an aggregator that swaps
    the key for its own could otherwise read every update.
    """
    if fingerprint(data) != expected:
        raise MessageError("the public key is not the key authority's: its fingerprint differs; do not use it")
    return PublicContext.load(data, parameters)
