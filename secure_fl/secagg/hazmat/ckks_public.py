"""CKKS with a public key only: what banks and the aggregator need. The secret half is `ckks_secret`.

`PublicContext` refuses to be made from anything that holds a secret key. Vectors are whole ciphertexts: TenSEAL
fills a short vector by repeating it and prints a warning for a long one, so callers pad to `SLOTS`.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

from secure_fl.errors import MessageError, SecretExposureError
from secure_fl.secagg.budget import POLY_MODULUS_DEGREE, SLOTS


def fingerprint(public_key: bytes | memoryview) -> bytes:
    """SHA-256 of a serialized public context: what banks compare to know that they have the authority's key."""
    return hashlib.sha256(public_key).digest()


_ONE_WHOLE_VECTOR = b"\x0a\x02\x80\x10\x12"
"""How TenSEAL's serialization of one vector of 2,048 values begins: its list of sizes, then its only ciphertext."""


class PublicContext:
    """A TenSEAL context that can encrypt, load and add, and provably not decrypt."""

    def __init__(self, context: ts.Context, scale_bits: int) -> None:
        if context.has_secret_key():
            raise SecretExposureError(
                "a CKKS context holds a secret key where only a public one may be; serialize it with "
                "save_secret_key=False"
            )
        if not context.has_public_key():
            raise SecretExposureError("a CKKS context has no public key to encrypt with; ask the key authority for it")
        context.auto_relin = context.auto_rescale = context.auto_mod_switch = False
        self._context = context
        self._scale = float(2**scale_bits)

    @classmethod
    def load(cls, data: bytes, scale_bits: int) -> PublicContext:
        """The context in `data`. Raises `SecretExposureError` or `MessageError`."""
        try:
            context = ts.context_from(data, n_threads=1)
        except (ValueError, RuntimeError):
            raise MessageError("a public CKKS context cannot be read; ask the key authority for it again") from None
        return cls(context, scale_bits)

    def encrypt(self, slots: NDArray[np.float64]) -> bytes:
        """One serialized ciphertext of exactly `SLOTS` values."""
        return bytes(ts.ckks_vector(self._context, slots.tolist(), scale=self._scale).serialize())

    def load_vector(self, data: bytes) -> CkksVector:
        """The ciphertext in `data`, checked to be one that `encrypt` could have made."""
        try:
            vector = ts.ckks_vector_from(self._context, data) if data.startswith(_ONE_WHOLE_VECTOR) else None
        except (ValueError, RuntimeError):
            vector = None
        if vector is None or not self._is_like_ours(vector):
            raise MessageError("a ciphertext cannot be read or has other parameters than the plan; send it again")
        return CkksVector(vector)

    def _is_like_ours(self, vector: Any) -> bool:
        ciphertexts = vector.ciphertext()
        return (
            len(ciphertexts) == 1
            and vector.size() == SLOTS
            and ciphertexts[0].size() == 2
            and ciphertexts[0].poly_modulus_degree() == POLY_MODULUS_DEGREE
            and ciphertexts[0].scale == self._scale
            and ciphertexts[0].is_ntt_form()
            and not ciphertexts[0].is_transparent()
        )


class CkksVector:
    """A loaded ciphertext that others are added to in place."""

    def __init__(self, vector: Any) -> None:
        self._vector = vector

    def add(self, other: CkksVector) -> None:
        self._vector.add_(other._vector)

    def serialize(self) -> bytes:
        return bytes(self._vector.serialize())
