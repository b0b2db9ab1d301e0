"""SEAL under a joint key: what everybody may have. The parts of the key are in `collective_secret`.

Words lie as SEAL has them, [.., primes, N]: key-level polynomials over data primes and special prime by their values
at the roots, ciphertexts over data primes by their coefficients.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.errors import MessageError
from secure_fl.secagg.budget.threshold import KeyRing
from secure_fl.secagg.hazmat.he_words import loaded, object_of, words_in
from secure_fl.secagg.packing import Words

_HALF_BITS = 20
_HALF = np.uint64((1 << _HALF_BITS) - 1)
_CANDIDATES = 4
"""Candidates for each uniform word, of which at least half are below the prime."""


@lru_cache
def context(ring: KeyRing) -> Any:
    """SEAL's context. The plain modulus is 2 and nothing is ever encoded: only zeros are encrypted."""
    chosen = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.BFV)
    chosen.set_poly_modulus_degree(ring.degree)
    chosen.set_coeff_modulus(sealapi.CoeffModulus.Create(ring.degree, list(ring.coeff_mod_bit_sizes)))
    chosen.set_plain_modulus(sealapi.Modulus(2))
    made = sealapi.SEALContext(chosen, True, sealapi.SEC_LEVEL_TYPE.TC128)
    assert made.parameters_set(), made.parameters_error_message()
    return made


@lru_cache
def key_moduli(ring: KeyRing) -> Words:
    """Data primes and special prime, uint64 [primes, 1]."""
    primes = sealapi.CoeffModulus.Create(ring.degree, list(ring.coeff_mod_bit_sizes))
    return np.array([[prime.value()] for prime in primes], dtype=np.uint64)


def data_moduli(ring: KeyRing) -> Words:
    return key_moduli(ring)[:-1]


def product(x: Words, y: Words, moduli: Words) -> Words:
    """Word by word modulo primes of at most 42 bits; no intermediate reaches 2**63."""
    high: Words = x * (y >> np.uint64(_HALF_BITS)) % moduli << np.uint64(_HALF_BITS)
    return (high + x * (y & _HALF)) % moduli


@lru_cache(maxsize=2)
def common_polynomial(ring: KeyRing, seed: bytes) -> Words:
    """The a of all parts, [key primes, N], by rejection from SHAKE-256: nobody chooses it."""
    rows = []
    for place, (prime,) in enumerate(key_moduli(ring)):
        stream = hashlib.shake_256(b"secure_fl common a" + bytes([place]) + seed).digest(8 * _CANDIDATES * ring.degree)
        candidates = np.frombuffer(stream, dtype="<u8") & np.uint64((1 << int(prime).bit_length()) - 1)
        rows.append(candidates[candidates < prime][: ring.degree])
    return np.stack(rows)


class JointKey:
    """The sum of all parts' public keys: it encrypts zeros."""

    def __init__(self, ring: KeyRing, seed: bytes, parts: NDArray[np.uint64]) -> None:
        """`parts`: each part's b, [parts, key primes, N]. Raises `MessageError` where words are no polynomials."""
        if not (parts < key_moduli(ring)).all():
            raise MessageError("a part of the joint key has words beyond its primes; make new keys")
        within = context(ring)
        joint = np.stack([parts.sum(axis=0) % key_moduli(ring), common_polynomial(ring, seed)])
        data = object_of(within.key_parms_id(), joint, by_values=True)
        try:
            public = loaded(sealapi.PublicKey(), within, data)
        except (ValueError, RuntimeError):
            raise MessageError("the joint key cannot be used; make new keys") from None
        self._ring, self._encryptor = ring, sealapi.Encryptor(within, public)

    def encrypt_zero(self) -> Words:
        """A fresh ciphertext, [2, data primes, N]."""
        ciphertext = sealapi.Ciphertext()
        self._encryptor.encrypt_zero(ciphertext)
        return words_in(ciphertext, (2, self._ring.primes, self._ring.degree))


class Transform:
    """SEAL's number-theoretic transform, of several polynomials at once, [polynomials, data primes, N]."""

    def __init__(self, ring: KeyRing) -> None:
        self._within = context(ring)

    @cached_property
    def evaluator(self) -> Any:
        return sealapi.Evaluator(self._within)

    def to_values(self, words: Words) -> Words:
        return self._transformed(self.evaluator.transform_to_ntt_inplace, words, by_values=False)

    def to_coefficients(self, values: Words) -> Words:
        return self._transformed(self.evaluator.transform_from_ntt_inplace, values, by_values=True)

    def _transformed(self, transform: Callable[[Any], None], words: Words, by_values: bool) -> Words:
        """One more polynomial goes along: SEAL knows no ciphertext of one, and throws where all but the first are 0."""
        filled = np.concatenate([words, np.ones((1, *words.shape[1:]), dtype=np.uint64)])
        data = object_of(self._within.first_parms_id(), filled, by_values=by_values)
        made = loaded(sealapi.Ciphertext(), self._within, data)
        transform(made)
        return words_in(made, filled.shape)[:-1]
