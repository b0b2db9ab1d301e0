"""What travels in a sum of proven inputs: uploads, sealed mail to share-holders, their verdicts' shares, and sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg.budget.proofs import HASH_BYTES, SEALED_MAIL_BYTES, ProofsPlan
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.numbering import decode_table, encode_numbers, encode_table
from secure_fl.secagg.proofs.field import ELEMENT_BYTES, FieldArray, from_bytes, to_bytes
from secure_fl.secagg.proofs.shares import Share

VERIFY = "verify"
KEY_BYTES = 32


@dataclass(frozen=True)
class Upload:
    """What the aggregator gets from one bank."""

    mail: tuple[bytes, ...] = field(repr=False)
    """For each share-holder, sealed."""
    blind: bytes = field(repr=False)
    """Of the aggregator's part of the joint randomness."""
    parts: tuple[bytes, ...] = field(repr=False)
    """The share-holders' parts of it."""
    share: Share


def encode_upload(mail: Iterable[bytes], blind: bytes, parts: Iterable[bytes], share: Share) -> list[bytes]:
    return [*mail, blind, *parts, to_bytes(share.inputs), to_bytes(share.proofs.reshape(-1))]


def decode_upload(plan: ProofsPlan, payload: memoryview) -> Upload:
    """The inverse. Raises `MessageError`."""
    holders, inputs_bytes = plan.share_holders, ELEMENT_BYTES * plan.circuit.inputs
    lengths = [SEALED_MAIL_BYTES] * holders + [SEED_BYTES] + [HASH_BYTES] * holders
    lengths += [inputs_bytes, ELEMENT_BYTES * plan.proof_elements]
    if len(payload) != sum(lengths):
        raise MessageError(f"an upload has {len(payload)} bytes instead of {sum(lengths)}; its bank must send it again")
    stops = np.cumsum(lengths).tolist()
    pieces = [payload[stop - length : stop] for stop, length in zip(stops, lengths, strict=True)]
    proofs = from_bytes(pieces[-1], plan.proof_elements)
    return Upload(
        mail=tuple(map(bytes, pieces[:holders])),
        blind=bytes(pieces[holders]),
        parts=tuple(map(bytes, pieces[holders + 1 : 2 * holders + 1])),
        share=Share(
            from_bytes(pieces[-2], plan.circuit.inputs), proofs.reshape(plan.proofs, plan.circuit.proof_length)
        ),
    )


def encode_mail(seed: bytes, others: Iterable[bytes], signature: bytes) -> bytes:
    """What is sealed to a share-holder: its seed, the other parties' parts of the joint randomness, and the bank's
    signature of the joint seed.
    """
    return b"".join([seed, *others, signature])


def decode_mail(plan: ProofsPlan, mail: bytes) -> tuple[bytes, list[bytes], bytes]:
    """The inverse."""
    end = SEED_BYTES + HASH_BYTES * plan.share_holders
    assert len(mail) == end + SIGNATURE_BYTES  # what was sealed has a fixed length
    return mail[:SEED_BYTES], [mail[cut : cut + HASH_BYTES] for cut in range(SEED_BYTES, end, HASH_BYTES)], mail[end:]


def encode_questions(key: bytes, mail: Mapping[int, bytes]) -> list[bytes]:
    """To a share-holder: the key of query randomness, and its mail by the number of the bank."""
    return [key, encode_table(mail)]


def decode_questions(cohort: Cohort[ProofsPlan], payload: memoryview) -> tuple[bytes, dict[int, bytes]]:
    """The inverse. Raises `MessageError`."""
    if len(payload) < KEY_BYTES:
        raise MessageError("a request to verify is truncated; make a new attempt")
    return bytes(payload[:KEY_BYTES]), decode_table(payload[KEY_BYTES:], SEALED_MAIL_BYTES, len(cohort.banks))


def encode_verifiers(shares: Mapping[int, tuple[bytes, FieldArray]]) -> bytes:
    """A share-holder's answer: the joint seed that it found and its share of the verifier's messages.

    Banks whose mail it could not open are not in it.
    """
    return encode_table({number: seed + to_bytes(share.reshape(-1)) for number, (seed, share) in shares.items()})


def decode_verifiers(cohort: Cohort[ProofsPlan], payload: memoryview) -> dict[int, tuple[bytes, FieldArray]]:
    """The inverse. Raises `MessageError`."""
    plan = cohort.plan
    rows = decode_table(payload, HASH_BYTES + ELEMENT_BYTES * plan.verifier_elements, len(cohort.banks))
    shape = plan.proofs, plan.circuit.verifier_length
    return {
        number: (row[:HASH_BYTES], from_bytes(row[HASH_BYTES:], plan.verifier_elements).reshape(shape))
        for number, row in rows.items()
    }


def mask_purpose(cohort: Cohort[ProofsPlan], accepted: Iterable[int]) -> bytes:
    """Binds the mask between two share-holders to the attempt and to the banks whose sum they open."""
    return b"secure_fl accepted" + cohort.digest + encode_numbers(accepted)
