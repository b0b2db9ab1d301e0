"""The aggregator's half of a homomorphic sum: it adds ciphertexts and never holds a secret key."""

from __future__ import annotations

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.hazmat.he_public import EncryptedVector, PublicContext
from secure_fl.secagg.he.encoding import DECRYPT, KEY_AUTHORITY, UPLOAD, join_ciphertexts, split_ciphertexts
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.packing import IntVector, unpack_bits
from secure_fl.secagg.protocol import Attendance, ServerHalf, Stage, reason, request


def he_server(cohort: Cohort[HePlan], public: PublicContext) -> ServerHalf:
    """Add the banks' ciphertexts as they arrive, then have the key authority open the sum."""
    plan = cohort.plan
    total: list[EncryptedVector] = []
    contributors: set[str] = set()
    attendance = Attendance(cohort)

    def read_upload(_: str, payload: memoryview) -> list[EncryptedVector]:
        return [public.load_vector(c) for c in split_ciphertexts(payload, plan.ciphertexts)]

    asked = request(cohort, UPLOAD, cohort.banks)
    for bank, ciphertexts in attendance.answers(asked, (yield asked), read_upload):
        for summed, ciphertext in zip(total, ciphertexts, strict=False):
            try:
                summed.add(ciphertext)
            except MessageError as error:
                raise ProtocolError(f"{bank}: {error}", {bank: reason(error)}) from None
        total = total or ciphertexts
        contributors.add(bank)
    attendance.require_threshold(contributors)

    summed_bytes = [len(contributors).to_bytes(4, "little"), *join_ciphertexts(t.serialize() for t in total)]
    asked = Stage(DECRYPT, {KEY_AUTHORITY: seal(cohort, DECRYPT, AGGREGATOR, KEY_AUTHORITY, summed_bytes)})

    def read_sum(_: str, payload: memoryview) -> IntVector:
        return unpack_bits(payload, plan.field_bits, plan.parameters)

    for _, opened in attendance.answers(asked, (yield asked), read_sum):
        return attendance.finish(opened, contributors)
    raise attendance.dropout(
        "the key authority did not answer", "without it no sum can be opened, so make a new attempt"
    )
