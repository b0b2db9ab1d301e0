"""Homomorphic encryption with a public key only: what banks and the aggregator need. The secret half is `he_secret`.

`PublicContext` refuses to be made from anything that holds a secret key, or that has other parameters than the plan's:
another plain modulus would make sums wrong, other primes would make them unsafe. Vectors are whole ciphertexts: TenSEAL
fills a short vector by repeating it and prints a warning for a long one, so callers pad.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import tenseal as ts
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.errors import MessageError, SecretExposureError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat.he_layout import unreadable
from secure_fl.secagg.hazmat.he_words import data_moduli, plaintext_of, vector_of, words_of
from secure_fl.secagg.packing import IntVector, Words


def fingerprint(public_key: bytes | memoryview) -> bytes:
    """SHA-256 of a serialized public context: what banks compare to know that they have the authority's key."""
    return hashlib.sha256(public_key).digest()


def vector_from(context: ts.Context, parameters: HeParameters, words: Words) -> Any:
    """The TenSEAL vector with these coefficients. Raises `MessageError` where no vector has them."""
    load = ts.ckks_vector_from if parameters.scheme == "ckks" else ts.bfv_vector_from
    try:
        return load(context, vector_of(parameters, context.seal_context().data, words))
    except (ValueError, RuntimeError):
        raise unreadable() from None


@lru_cache
def parameters_digest(parameters: HeParameters) -> tuple[int, ...]:
    """SEAL's digest of scheme, degree, primes and plain modulus, as a context under these parameters has it."""
    kind = sealapi.SCHEME_TYPE.CKKS if parameters.scheme == "ckks" else sealapi.SCHEME_TYPE.BFV
    chosen = sealapi.EncryptionParameters(kind)
    chosen.set_poly_modulus_degree(POLY_MODULUS_DEGREE)
    chosen.set_coeff_modulus(sealapi.CoeffModulus.Create(POLY_MODULUS_DEGREE, list(parameters.coeff_mod_bit_sizes)))
    if parameters.scheme == "bfv":
        chosen.set_plain_modulus(sealapi.Modulus(parameters.plain_modulus))
    return tuple(sealapi.SEALContext(chosen, True, sealapi.SEC_LEVEL_TYPE.TC128).key_parms_id())


class PublicContext:
    """A TenSEAL context that can encrypt, load and add, and provably not decrypt."""

    def __init__(self, context: ts.Context, parameters: HeParameters) -> None:
        if context.has_secret_key():
            raise SecretExposureError(
                "a context holds a secret key where only a public one may be; serialize it with save_secret_key=False"
            )
        if not context.has_public_key():
            raise MessageError("a context has no public key to encrypt with; ask the key authority for it")
        if tuple(context.seal_context().data.key_parms_id()) != parameters_digest(parameters):
            raise MessageError("a public key has other parameters than the plan; ask the key authority for the plan's")
        self._context = context
        self._parameters = parameters
        self._within = context.seal_context().data
        self._encryptor = sealapi.Encryptor(self._within, context.public_key().data)
        self._encoder = sealapi.CKKSEncoder(self._within) if parameters.scheme == "ckks" else None

    @classmethod
    def load(cls, data: bytes, parameters: HeParameters) -> PublicContext:
        """The context in `data`. Raises `SecretExposureError` or `MessageError`."""
        try:
            context = ts.context_from(data, n_threads=1)
        except (ValueError, RuntimeError):
            raise MessageError("a public context cannot be read; ask the key authority for it again") from None
        return cls(context, parameters)

    def encrypt(self, slots: IntVector) -> tuple[Words, Words]:
        """Coefficients of first and second polynomials of one ciphertext for each row, [ciphertexts, slots of one]."""
        ciphertext = sealapi.Ciphertext()
        words = np.empty((2, len(slots), self._parameters.data_primes, POLY_MODULUS_DEGREE), dtype=np.uint64)
        for place, row in enumerate(slots):
            self._encryptor.encrypt(self._plaintext(row), ciphertext)
            words[:, place] = words_of(ciphertext)
        return words[0].reshape(-1), words[1].reshape(-1)

    def _plaintext(self, slots: IntVector) -> Any:
        if self._encoder is None:
            return plaintext_of(self._within, slots)
        plain = sealapi.Plaintext()
        self._encoder.encode(slots.tolist(), 2.0**self._parameters.scale_bits, plain)
        return plain

    def encrypt_zero_square(self) -> EncryptedVector:
        """A fresh encryption of zeros that squares can be added to (CKKS): it hides how a square came about."""
        zeros = [0.0] * self._parameters.slots
        return EncryptedVector(ts.ckks_vector(self._context, zeros, scale=2.0 ** (2 * self._parameters.scale_bits)))

    def vector(self, words: Words) -> EncryptedVector:
        """The ciphertext with these coefficients, [2, data primes, N], reduced. Raises `MessageError`."""
        reduced = words % np.array(data_moduli(self._parameters), dtype=np.uint64)[:, None]
        return EncryptedVector(vector_from(self._context, self._parameters, reduced))


class EncryptedVector:
    """A loaded ciphertext that others are added to in place, or the square of a difference of two."""

    def __init__(self, vector: Any) -> None:
        self._vector = vector

    def add(self, other: EncryptedVector) -> None:
        """Raises `MessageError` where the sum, spoilt then, would be a ciphertext of nothing (SEAL: transparent)."""
        try:
            self._vector.add_(other._vector)
        except (ValueError, RuntimeError):
            raise MessageError("its ciphertext is made to cancel those of other banks; make a new attempt") from None

    def weighed(self, weights: NDArray[np.float64]) -> EncryptedVector:
        """Slot by slot times public weights, at the scale of a square (CKKS)."""
        return EncryptedVector(self._vector * weights.tolist())

    def squared(self) -> EncryptedVector:
        """Slot by slot, of three polynomials instead of two (CKKS)."""
        return EncryptedVector(self._vector.square())

    def squared_difference(self, other: EncryptedVector) -> EncryptedVector:
        """The same of what is left when the other one is subtracted. Raises `MessageError` where that is nothing."""
        try:
            return EncryptedVector((self._vector - other._vector).square_())
        except RuntimeError:
            raise MessageError("its ciphertext is a copy of another bank's; make a new attempt") from None

    def serialize(self) -> bytes:
        return bytes(self._vector.serialize())
