"""What travels in the masked protocol, as bytes, and what both halves compute the same way.

Numbers of banks are their places in the cohort, from 0. All lists are sorted by bank.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.graph import neighbours
from secure_fl.secagg.hazmat.agreement import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, TAG_BYTES, verify
from secure_fl.secagg.hazmat.prg import RingVector
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import IntVector

ADVERTISE_KEYS, SHARE_KEYS, MASKED_INPUT = "advertise_keys", "share_keys", "masked_input"
CONSISTENCY_CHECK, UNMASK = "consistency_check", "unmask"
STAGES = (ADVERTISE_KEYS, SHARE_KEYS, MASKED_INPUT, CONSISTENCY_CHECK, UNMASK)

COMMITMENT_BYTES = 32
KEYS_BYTES = 2 * PUBLIC_KEY_BYTES + COMMITMENT_BYTES + SIGNATURE_BYTES
SEALED_SHARES_BYTES = 2 * SHARE_BYTES + TAG_BYTES
_NUMBER = struct.Struct("<H")


@dataclass(frozen=True)
class AdvertisedKeys:
    """A bank's public keys for one round, signed with its identity key so that the aggregator cannot swap them."""

    channel: bytes
    """X25519: encrypts shares between banks."""
    mask: bytes
    """X25519: agrees on pairwise masks."""
    commitment: bytes
    """SHA-256 of the self-mask seed: lets the aggregator tell a wrongly opened seed."""
    signature: bytes

    def to_bytes(self) -> bytes:
        return self.channel + self.mask + self.commitment + self.signature

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> AdvertisedKeys:
        if len(data) != KEYS_BYTES:
            raise MessageError("advertised keys have the wrong length; their bank must send them again")
        data = bytes(data)
        return cls(data[:32], data[32:64], data[64:96], data[96:])

    def signed_part(self, cohort: Cohort[MaskedPlan], bank: str) -> bytes:
        return b"advertise_keys" + cohort.digest + bank.encode() + self.channel + self.mask + self.commitment

    def verify(self, cohort: Cohort[MaskedPlan], bank: str, identity: bytes) -> None:
        """Raises `MessageError` unless the bank signed these keys for this cohort."""
        verify(identity, self.signature, self.signed_part(cohort, bank), bank)


def commit(seed: bytes) -> bytes:
    return hashlib.sha256(seed).digest()


def around(cohort: Cohort[MaskedPlan], bank: int) -> tuple[int, ...]:
    """The neighbours of a bank in this round's graph."""
    return neighbours(len(cohort.banks), cohort.plan.degree, cohort.digest)[bank]


def mask_purpose(cohort: Cohort[MaskedPlan]) -> bytes:
    """Binds pairwise masks to the round, the cohort and the broadcast model (Pasquini, Francati, Ateniese, CCS 2022).

    Banks that were shown different models derive different masks, which do not cancel: the sum is noise.
    """
    return b"secure_fl pairwise mask" + cohort.digest


def channel_purpose(cohort: Cohort[MaskedPlan], sender: int, recipient: int) -> bytes:
    """Binds a channel key to its direction, so that each key encrypts one message."""
    return b"secure_fl shares" + cohort.digest + _NUMBER.pack(sender) + _NUMBER.pack(recipient)


def survivors_statement(cohort: Cohort[MaskedPlan], survivors: Iterable[int]) -> bytes:
    """What a bank signs in the consistency check: whose masked inputs arrived."""
    return b"consistency_check" + cohort.digest + hashlib.sha256(encode_numbers(survivors)).digest()


def signature_bytes(payload: memoryview) -> bytes:
    """A signature as it arrived. Raises `MessageError`."""
    if len(payload) != SIGNATURE_BYTES:
        raise MessageError("a signature has the wrong length; its bank must send it again")
    return bytes(payload)


def encode_numbers(numbers: Iterable[int]) -> bytes:
    return b"".join(map(_NUMBER.pack, sorted(numbers)))


def decode_numbers(data: bytes | memoryview, below: int) -> tuple[int, ...]:
    """Distinct numbers in rising order. Raises `MessageError`."""
    if len(data) % _NUMBER.size:
        raise MessageError("a list of banks is truncated; the round must be repeated")
    numbers = tuple(number for (number,) in _NUMBER.iter_unpack(data))
    if any(a >= b for a, b in zip(numbers, (*numbers[1:], below), strict=True)):
        raise MessageError("a list of banks names one twice or an unknown one; the round must be repeated")
    return numbers


def encode_table(rows: Mapping[int, bytes]) -> bytes:
    """Rows of one length, each behind its bank's number."""
    return b"".join(_NUMBER.pack(bank) + rows[bank] for bank in sorted(rows))


def decode_table(data: bytes | memoryview, row_bytes: int, below: int) -> dict[int, bytes]:
    """The inverse of `encode_table`. Raises `MessageError`."""
    step = _NUMBER.size + row_bytes
    if len(data) % step:
        raise MessageError("a table of banks is truncated; the round must be repeated")
    rows = [bytes(data[start : start + step]) for start in range(0, len(data), step)]
    numbers = decode_numbers(b"".join(row[: _NUMBER.size] for row in rows), below)
    return {number: row[_NUMBER.size :] for number, row in zip(numbers, rows, strict=True)}


def ring_vector(plan: MaskedPlan, values: IntVector) -> RingVector:
    """Values as the machine words in which the ring is computed; a ring of 2**24 lives in 32-bit words."""
    return values.astype(np.uint16 if plan.ring_bits == 16 else np.uint32)


def ring_zeros(plan: MaskedPlan) -> RingVector:
    return ring_vector(plan, np.zeros(plan.parameters, dtype=np.int64))


def ring_integers(plan: MaskedPlan, total: RingVector) -> IntVector:
    """The words of a sum as int64."""
    return total.astype(np.int64) & ((1 << plan.ring_bits) - 1)


def ring_bytes(plan: MaskedPlan, vector: RingVector) -> bytes:
    """The words as they travel: 2, 3 or 4 bytes a parameter, little-endian."""
    if plan.ring_bits == 24:
        return vector.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return vector.astype(f"<u{plan.ring_bits // 8}", copy=False).tobytes()


def ring_from_bytes(plan: MaskedPlan, data: memoryview) -> RingVector:
    """The inverse of `ring_bytes`. Raises `MessageError`."""
    if len(data) != plan.parameters * plan.ring_bits // 8:
        raise MessageError("a masked input has the wrong length; its bank must send it again")
    if plan.ring_bits == 24:
        wide = np.zeros((plan.parameters, 4), dtype=np.uint8)
        wide[:, :3] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        return wide.view("<u4").reshape(-1)
    return np.frombuffer(data, dtype=f"<u{plan.ring_bits // 8}")
