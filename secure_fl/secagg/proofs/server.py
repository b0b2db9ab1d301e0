"""The aggregator's half of a sum of proven inputs: it verifies with its own shares, and decides whom to leave out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import numpy as np

from secure_fl.errors import ProtocolError
from secure_fl.secagg.additive.wire import ALL_SHARES, SUM_SHARES, UPLOAD
from secure_fl.secagg.budget.proofs import ProofsPlan
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.numbering import encode_numbers
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.proofs.fiat_shamir import joint_part, joint_seed, queries
from secure_fl.secagg.proofs.field import FieldArray, add, from_bytes, to_bytes
from secure_fl.secagg.proofs.flp import decide
from secure_fl.secagg.proofs.shares import verifier_share
from secure_fl.secagg.proofs.wire import (
    KEY_BYTES,
    VERIFY,
    Upload,
    decode_upload,
    decode_verifiers,
    encode_questions,
)
from secure_fl.secagg.protocol import Attendance, ServerHalf, Stage, request

DISPROVED = "its proof does not hold: its values are out of range or its update is too long"

Verdicts = Mapping[int, tuple[bytes, FieldArray]]
"""One holder's joint seed and share of the verifier's messages, by the number of the bank."""


def proofs_server(cohort: Cohort[ProofsPlan]) -> ServerHalf:
    """Three stages: uploads, one verification by each share-holder, and one sum by each, without whom there is none."""
    plan, attendance = cohort.plan, Attendance(cohort)
    asked = request(cohort, UPLOAD, cohort.banks)
    uploads = {
        cohort.banks.index(bank): upload
        for bank, upload in attendance.answers(asked, (yield asked), lambda _, p: decode_upload(plan, p))
    }
    attendance.require_threshold(uploads)

    key = secrets.token_bytes(KEY_BYTES)  # only now: no bank can have proved for it
    asked = _verify_stage(cohort, key, uploads)
    verdicts = attendance.from_all(asked, (yield asked), lambda _, p: decode_verifiers(cohort, p), ALL_SHARES)
    refused = _refused(cohort, key, uploads, verdicts)
    attendance.refused |= {cohort.banks[number]: why for number, why in refused.items()}
    accepted = sorted(uploads.keys() - refused.keys())
    attendance.require_threshold(accepted)

    payload = encode_numbers(accepted)
    asked = Stage(SUM_SHARES, {h: seal(cohort, SUM_SHARES, AGGREGATOR, h, payload) for h in cohort.trustees})
    sums = attendance.from_all(asked, (yield asked), lambda _, p: from_bytes(p, plan.parameters), ALL_SHARES)
    total = np.zeros(plan.parameters, dtype=np.uint64)
    for share in [*sums.values(), *(plan.circuit.truncate(uploads[number].share.inputs) for number in accepted)]:
        total = add(total, share)
    return attendance.finish(_integers(plan, total, len(accepted)), [cohort.banks[number] for number in accepted])


def _verify_stage(cohort: Cohort[ProofsPlan], key: bytes, uploads: Mapping[int, Upload]) -> Stage:
    requests = {}
    for place, holder in enumerate(cohort.trustees):
        mail = {number: upload.mail[place] for number, upload in uploads.items()}
        requests[holder] = seal(cohort, VERIFY, AGGREGATOR, holder, encode_questions(key, mail))
    return Stage(VERIFY, requests)


def _refused(
    cohort: Cohort[ProofsPlan], key: bytes, uploads: Mapping[int, Upload], verdicts: Mapping[str, Verdicts]
) -> dict[int, str]:
    """Numbers of the banks that are left out, each with the reason."""
    asked, refused = queries(cohort.plan, key), {}
    for number, upload in uploads.items():
        blind = [holder for holder, answered in verdicts.items() if number not in answered]
        if blind:
            refused[number] = f"{', '.join(blind)} cannot use its share"
            continue
        joint = _joint_seed(cohort, cohort.banks[number], upload)
        if any(answered[number][0] != joint for answered in verdicts.values()):
            refused[number] = "its shares are not those that it proved something of"
            continue
        verifiers = verifier_share(cohort.plan, upload.share, joint, asked)
        for answered in verdicts.values():
            verifiers = add(verifiers, answered[number][1])
        if not all(map(decide, verifiers)):
            refused[number] = DISPROVED
    return refused


def _joint_seed(cohort: Cohort[ProofsPlan], bank: str, upload: Upload) -> bytes:
    own = joint_part(cohort, bank, 0, [upload.blind, to_bytes(upload.share.inputs)])
    return joint_seed(cohort, bank, [own, *upload.parts])


def _integers(plan: ProofsPlan, total: FieldArray, accepted: int) -> IntVector:
    """The sum as integers. Raises `ProtocolError` where it is none of values in range."""
    if (total > accepted * ((1 << plan.bits) - 1)).any():
        raise ProtocolError(
            "the shares of the sum do not add up to a sum of values in range: some share-holder lied, or was asked for "
            "other banks; make a new attempt"
        )
    return total.astype(np.int64)
