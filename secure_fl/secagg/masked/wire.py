"""What travels in the masked protocol, as bytes, and what both halves compute the same way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.graph import draw, neighbours
from secure_fl.secagg.hazmat.agreement import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, TAG_BYTES, AgreementKey, verify
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.numbering import encode_numbers

ADVERTISE_KEYS, SHARE_KEYS, MASKED_INPUT = "advertise_keys", "share_keys", "masked_input"
CONSISTENCY_CHECK, UNMASK = "consistency_check", "unmask"
STAGES = (ADVERTISE_KEYS, SHARE_KEYS, MASKED_INPUT, CONSISTENCY_CHECK, UNMASK)

COMMITMENT_BYTES = 32
FIELD = 2**255 - 19
"""X25519 takes points from 2**255 - 19 on for others (RFC 7748, section 5): a copied key could look like another."""
KEYS_BYTES = 2 * PUBLIC_KEY_BYTES + COMMITMENT_BYTES + SIGNATURE_BYTES
HASH_BYTES = 32
SIGNED_BYTES = HASH_BYTES + SIGNATURE_BYTES
SEALED_SHARES_BYTES = 2 * SHARE_BYTES + TAG_BYTES


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
        keys = cls(data[:32], data[32:64], data[64:96], data[96:])
        if keys.channel == keys.mask or max(int.from_bytes(k, "little") for k in (keys.channel, keys.mask)) >= FIELD:
            raise MessageError("advertised keys are the same, or no canonical points; their bank must make others")
        return keys

    def signed_part(self, cohort: Cohort[MaskedPlan], bank: str) -> bytes:
        return b"advertise_keys" + cohort.digest + bank.encode() + self.unsigned

    @property
    def unsigned(self) -> bytes:
        return self.channel + self.mask + self.commitment

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(self.unsigned).digest()

    def has_seed(self, secret: bytes) -> bool:
        """Whether a self-mask seed is the one that the bank committed to."""
        return commit(secret) == self.commitment

    def has_mask_key(self, secret: bytes) -> bool:
        """Whether a secret key is the one that masks were agreed on with."""
        return AgreementKey(secret).public == self.mask

    def verify(self, cohort: Cohort[MaskedPlan], bank: str, identity: bytes) -> None:
        """Raises `MessageError` unless the bank signed these keys for this cohort."""
        verify(identity, self.signature, self.signed_part(cohort, bank), bank)


def commit(seed: bytes) -> bytes:
    return hashlib.sha256(seed).digest()


def around(cohort: Cohort[MaskedPlan], bank: int) -> tuple[int, ...]:
    """The neighbours of a bank in this round's graph."""
    return neighbours(len(cohort.banks), cohort.plan.degree, cohort.digest)[bank]


def mask_purpose(cohort: Cohort[MaskedPlan], one: int, other: int) -> bytes:
    """Binds a pairwise mask to its pair, the attempt and the model (Pasquini, Francati, Ateniese, CCS 2022).

    The pair, so that a bank that copies another's key does not get its masks; the model, so that banks that were shown
    different ones derive masks that do not cancel.
    """
    return b"secure_fl pairwise mask" + cohort.digest + encode_numbers([one, other])


def channel_purpose(cohort: Cohort[MaskedPlan], sender: int, recipient: int) -> bytes:
    """Binds a channel key to its direction, so that each key encrypts one message."""
    return b"secure_fl shares" + cohort.digest + encode_numbers([sender]) + encode_numbers([recipient])


def witnesses(cohort: Cohort[MaskedPlan]) -> frozenset[int]:
    """The banks whose signatures under the list of survivors count: all, or with a sparse graph a random few."""
    banks, chosen = len(cohort.banks), cohort.plan.witnesses
    return frozenset(range(banks)) if chosen >= banks else draw(banks, chosen, b"witnesses" + cohort.digest)


def survivors_statement(cohort: Cohort[MaskedPlan], keys_hash: bytes, survivors: Iterable[int]) -> bytes:
    """What a bank signs in the consistency check: whose masked inputs arrived, and under which keys it takes part
    itself.

    Who was shown keys of the signer compares their hash, so that a statement that it made under others does not count.
    """
    told = hashlib.sha256(encode_numbers(survivors)).digest()
    return b"consistency_check" + cohort.digest + keys_hash + told


def signed_bytes(payload: memoryview) -> bytes:
    """A bank's hash of its keys and its signature, as they arrived. Raises `MessageError`."""
    if len(payload) != SIGNED_BYTES:
        raise MessageError("a signature has the wrong length; its bank must send it again")
    return bytes(payload)
