"""The aggregator's half of a homomorphic sum: it adds ciphertexts and never holds a secret key."""

from __future__ import annotations

from secure_fl.errors import DropoutError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.hazmat.he_public import EncryptedVector, PublicContext
from secure_fl.secagg.he.encoding import DECRYPT, KEY_AUTHORITY, UPLOAD, join_ciphertexts, split_ciphertexts
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.packing import unpack_bits
from secure_fl.secagg.protocol import SecureSum, ServerHalf, Stage, opened, request, require_threshold


def he_server(cohort: Cohort[HePlan], public: PublicContext) -> ServerHalf:
    """Add the banks' ciphertexts as they arrive, then have the key authority open the sum."""
    plan = cohort.plan
    total: list[EncryptedVector] = []
    contributors: set[str] = set()
    asked = request(cohort, UPLOAD, cohort.banks)
    for bank, payload in opened(cohort, asked, (yield asked)):
        ciphertexts = [public.load_vector(c) for c in split_ciphertexts(payload, plan.ciphertexts)]
        for summed, ciphertext in zip(total, ciphertexts, strict=False):
            summed.add(ciphertext)
        total = total or ciphertexts
        contributors.add(bank)
    require_threshold(cohort, contributors)

    summed_bytes = [len(contributors).to_bytes(4, "little"), *join_ciphertexts(t.serialize() for t in total)]
    asked = Stage(DECRYPT, {KEY_AUTHORITY: seal(cohort, DECRYPT, AGGREGATOR, KEY_AUTHORITY, summed_bytes)})
    for _, payload in opened(cohort, asked, (yield asked)):
        return SecureSum(unpack_bits(payload, plan.field_bits, plan.parameters), frozenset(contributors))
    raise DropoutError("the key authority did not answer; without it no sum can be opened, so repeat the round")
