"""Secret keys of the homomorphic schemes, whichever it is, for key authorities alone."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from secure_fl.secagg.budget import HePlan, KeyParameters, RlweParameters
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.rlwe.opening import RlweSecretKey


class SecretKey(Protocol):
    """What opens sums."""

    def public_key(self) -> bytes:
        """As everybody may have it."""

    def keep(self) -> bytes:
        """The secret key and all else, for a key authority whose process does not last as long as its key."""

    def decrypt(self, plan: HePlan, total: Halves) -> NDArray[Any]:
        """What the slots or coefficients hold, at least as many as the plan has in use, with a noise below 1/2."""


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

    def decrypt(self, plan: HePlan, total: Halves) -> NDArray[Any]:
        return self.context.decrypt(*total)


def new_secret_key(parameters: KeyParameters) -> SecretKey:
    if isinstance(parameters, RlweParameters):
        return RlweSecretKey.generate(parameters)
    return SealSecretKey(SecretContext(parameters))


def secret_key_again(parameters: KeyParameters, kept: bytes) -> SecretKey:
    """The key that `keep` wrote down."""
    if isinstance(parameters, RlweParameters):
        return RlweSecretKey.again(parameters, kept)
    return SealSecretKey(SecretContext.again(parameters, kept))
