"""Secret keys of the homomorphic schemes, whichever it is, for key authorities alone."""

from __future__ import annotations

from typing import Protocol, cast

from secure_fl.secagg.budget import HePlan, KeyParameters, RlweParameters, SealPlan
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he.encoding import decode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.rlwe.opening import RlweSecretKey


class SecretKey(Protocol):
    """What opens sums."""

    def public_key(self) -> bytes:
        """As everybody may have it."""

    def keep(self) -> bytes:
        """The secret key and all else, for a key authority whose process does not last as long as its key."""

    def open(self, plan: HePlan, total: Halves, contributors: int) -> IntVector:
        """The exact sum. Raises `ProtocolError` where a field of it leaves its range."""


class SealSecretKey:
    """CKKS or BFV, by SEAL."""

    def __init__(self, context: SecretContext) -> None:
        self.context = context

    def __repr__(self) -> str:
        return "SealSecretKey(...)"

    def public_key(self) -> bytes:
        return self.context.public_key()

    def keep(self) -> bytes:
        return self.context.keep()

    def open(self, plan: HePlan, total: Halves, contributors: int) -> IntVector:
        return decode_slots(cast("SealPlan", plan), self.context.decrypt(*total), contributors)


def new_secret_key(parameters: KeyParameters) -> SecretKey:
    if isinstance(parameters, RlweParameters):
        return RlweSecretKey.generate(parameters)
    return SealSecretKey(SecretContext(parameters))


def secret_key_again(parameters: KeyParameters, kept: bytes) -> SecretKey:
    """The key that `keep` wrote down."""
    if isinstance(parameters, RlweParameters):
        return RlweSecretKey.again(parameters, kept)
    return SealSecretKey(SecretContext.again(parameters, kept))
