"""The aggregator's half of a CKKS sum: it adds ciphertexts and never holds a secret key."""

from __future__ import annotations

from secure_fl.errors import DropoutError
from secure_fl.secagg.budget import CkksPlan
from secure_fl.secagg.ckks.encoding import KEY_AUTHORITY, join_ciphertexts, split_ciphertexts
from secure_fl.secagg.hazmat.ckks_public import CkksVector, PublicContext
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import unpack_bits
from secure_fl.secagg.protocol import SecureSum, ServerHalf, Stage, request, require_threshold


def ckks_server(cohort: Cohort[CkksPlan], public: PublicContext) -> ServerHalf:
    """Add the banks' ciphertexts as they arrive, then have the key authority open the sum."""
    plan = cohort.plan
    total: list[CkksVector] = []
    contributors: set[str] = set()
    for bank, data in (yield request(cohort, "upload", cohort.banks)):
        upload = open_message(cohort, data, recipient=AGGREGATOR, sender=bank, stage="upload")
        ciphertexts = [public.load_vector(c) for c in split_ciphertexts(upload.payload, plan.ciphertexts)]
        for summed, ciphertext in zip(total, ciphertexts, strict=False):
            summed.add(ciphertext)
        total = total or ciphertexts
        contributors.add(bank)
    require_threshold(cohort, contributors)

    summed_bytes = [len(contributors).to_bytes(4, "little"), *join_ciphertexts(t.serialize() for t in total)]
    replies = yield Stage("decrypt", {KEY_AUTHORITY: seal(cohort, "decrypt", AGGREGATOR, KEY_AUTHORITY, summed_bytes)})
    for authority, data in replies:
        opened = open_message(cohort, data, recipient=AGGREGATOR, sender=authority, stage="decrypt")
        return SecureSum(unpack_bits(opened.payload, plan.field_bits, plan.parameters), frozenset(contributors))
    raise DropoutError("the key authority did not answer; without it no sum can be opened, so repeat the round")
