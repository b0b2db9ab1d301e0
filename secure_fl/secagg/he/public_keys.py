"""Public keys of the homomorphic schemes, whichever it is: what encrypts, and modulo what."""

from __future__ import annotations

from typing import Protocol, cast

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HePlan, KeyParameters, RlweParameters, SealPlan
from secure_fl.secagg.hazmat.he_public import PublicContext, fingerprint
from secure_fl.secagg.hazmat.he_words import data_moduli
from secure_fl.secagg.he.encoding import encode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.rlwe.encryption import RlwePublicKey
from secure_fl.secagg.rlwe.ring import MODULUS


class PublicKey(Protocol):
    """What a bank encrypts with; it decrypts nothing."""

    def encrypt(self, plan: HePlan, values: IntVector) -> Halves:
        """One bank's values in [0, 2**bits), encrypted."""


class SealPublicKey:
    """CKKS or BFV, by SEAL."""

    def __init__(self, context: PublicContext) -> None:
        self.context = context

    def encrypt(self, plan: HePlan, values: IntVector) -> Halves:
        return Halves(*self.context.encrypt(encode_slots(cast("SealPlan", plan), values)))


def load_public_key(data: bytes, parameters: KeyParameters) -> PublicKey:
    """The key in `data`. Raises `SecretExposureError` or `MessageError`."""
    if isinstance(parameters, RlweParameters):
        return RlwePublicKey.load(data, parameters)
    return SealPublicKey(PublicContext.load(data, parameters))


def accept_public_key(data: bytes, expected: bytes, parameters: KeyParameters) -> PublicKey:
    """The key authority's key as it came by way of the aggregator.

    `expected` is the fingerprint that the bank got from the key authority by another way: an aggregator that swaps
    the key for its own could otherwise read every update.
    """
    if fingerprint(data) != expected:
        raise MessageError("the public key is not the key authority's: its fingerprint differs; do not use it")
    return load_public_key(data, parameters)


def moduli_of(parameters: KeyParameters) -> tuple[int, ...]:
    """The primes that make up q, in the order in which a ciphertext has its polynomials."""
    return (MODULUS,) if isinstance(parameters, RlweParameters) else data_moduli(parameters)
