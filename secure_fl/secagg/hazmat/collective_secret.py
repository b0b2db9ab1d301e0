"""Parts of a joint key, for those who have them alone: import contracts keep them from banks and the aggregator.

A part is a ternary polynomial that SEAL draws. Its public half is SEAL's own fresh encryption of zero (b', a') under
it, moved to the common a: b = b' + (a' - a) s.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.errors import MessageError
from secure_fl.secagg.budget.threshold import KeyRing
from secure_fl.secagg.hazmat.collective import (
    Transform,
    common_polynomial,
    context,
    data_moduli,
    key_moduli,
    product,
)
from secure_fl.secagg.hazmat.he_words import words_in
from secure_fl.secagg.hazmat.prg import words
from secure_fl.secagg.packing import Words

_TOGETHER = 8
"""Polynomials that are transformed as one ciphertext; SEAL takes up to 16."""
_LARGEST_ERROR = 64
"""Errors of SEAL's keys are at most 21, and what is compared is one of them."""
_CHUNK_BITS = 20


class KeyPart:
    """The secret polynomial of one part."""

    def __init__(self, ring: KeyRing, ternary: NDArray[np.int8]) -> None:
        """`ternary`: its coefficients, [N]. Raises `MessageError` where they are none."""
        if ternary.shape != (ring.degree,) or not (np.abs(ternary) <= 1).all():
            raise MessageError("a part of a key is no ternary polynomial; make new keys")
        self._ring, self._ternary, self._transform = ring, ternary.astype(np.int8), Transform(ring)

    def __repr__(self) -> str:
        return "KeyPart(...)"

    @classmethod
    def generate(cls, ring: KeyRing, seed: bytes) -> tuple[KeyPart, Words]:
        """A new part, and its public half for the common a of this seed, [key primes, N]."""
        generator = sealapi.KeyGenerator(context(ring))
        public = sealapi.PublicKey()
        generator.create_public_key(public)
        own, moduli = _key_words(ring, generator), key_moduli(ring)
        b, a = words_in(public, (2, ring.primes + 1, ring.degree))
        moved = product((a + moduli - common_polynomial(ring, seed)) % moduli, own, moduli)
        coefficients = Transform(ring).to_coefficients(np.stack([own[: ring.primes]] * 2))[0]
        part = cls(ring, _signed(coefficients, data_moduli(ring)).astype(np.int8))
        return part, (b + moved) % moduli

    def keep(self) -> bytes:
        """Two bits a coefficient."""
        bits = (self._ternary[:, None] + 1 >> np.arange(2)) & 1
        return np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()

    @classmethod
    def again(cls, ring: KeyRing, kept: bytes) -> KeyPart:
        """The part that `keep` wrote. Raises `MessageError`."""
        if len(kept) != ring.degree // 4:
            raise MessageError("a part of a key has the wrong length; make new keys")
        bits = np.unpackbits(np.frombuffer(kept, dtype=np.uint8), bitorder="little").reshape(ring.degree, 2)
        return cls(ring, (bits @ np.array([1, 2])).astype(np.int8) - np.int8(1))

    def require_public(self, seed: bytes, b: Words) -> None:
        """Raises `MessageError` unless `b` is the public half of this very part, with an error as SEAL draws it.

        Seen at data level, where SEAL transforms back; whoever has the part checks what the one that drew it published.
        """
        ring, moduli = self._ring, data_moduli(self._ring)
        if not (b < key_moduli(ring)).all():
            raise MessageError("the public half of a part has words beyond its primes; make new keys")
        left = (b[:-1] + product(common_polynomial(ring, seed)[:-1], self._values, moduli)) % moduli
        error = _signed(self._transform.to_coefficients(np.stack([left] * 2))[0], moduli)
        if np.abs(error).max() > _LARGEST_ERROR:
            raise MessageError("what was published of a part is not its public half; make new keys")

    def times(self, second: Words) -> Words:
        """The part times polynomials, [polynomials, data primes, N], not yet hidden. Raises `MessageError`."""
        found = np.empty_like(second)
        for start in range(0, len(second), _TOGETHER):
            some = second[start : start + _TOGETHER]
            filled = some if len(some) > 1 else np.concatenate([some, some])  # SEAL knows no ciphertext of one
            values = product(self._transform.to_values(filled), self._values, data_moduli(self._ring))
            found[start : start + _TOGETHER] = self._transform.to_coefficients(values)[: len(some)]
        return found

    @cached_property
    def _values(self) -> Words:
        """At the roots, [data primes, N]."""
        moduli = data_moduli(self._ring).astype(np.int64)
        coefficients = (self._ternary.astype(np.int64) % moduli).astype(np.uint64)
        values: Words = self._transform.to_values(np.stack([coefficients] * 2))[0].copy()
        return values


def smudging(ring: KeyRing, seed: bytes, bits: int, count: int) -> Words:
    """Noises uniform on [-2**bits, 2**bits), as residues, [count, data primes]; a seed is for one vector only."""
    width = bits + 1
    drawn = words(seed, 2 * count).reshape(count, 2)
    moduli = data_moduli(ring).reshape(-1)
    total = np.zeros((count, ring.primes), dtype=np.uint64)
    for start in range(0, width, _CHUNK_BITS):
        word, offset = divmod(start, 3 * _CHUNK_BITS)
        size = min(_CHUNK_BITS, width - start)
        chunk = drawn[:, word] >> np.uint64(offset) & np.uint64((1 << size) - 1)
        total += chunk[:, None] * np.array([pow(2, start, int(q)) for q in moduli], dtype=np.uint64)
    total += np.array([int(q) - pow(2, bits, int(q)) for q in moduli], dtype=np.uint64)
    return total % moduli


def _key_words(ring: KeyRing, generator: sealapi.KeyGenerator) -> Words:
    """A secret key by its values, [key primes, N]; read word by word, so that SEAL saves none."""
    key = generator.secret_key()  # what `data` gives lives no longer than it
    plain = key.data()
    count = (ring.primes + 1) * ring.degree
    return np.fromiter((plain[place] for place in range(count)), dtype=np.uint64).reshape(-1, ring.degree)


def _signed(residues: Words, primes: Words) -> NDArray[np.int64]:
    """Small numbers from their residues, [data primes, N]; others become large ones."""
    moduli = primes.astype(np.int64)
    centred = residues.astype(np.int64)
    centred -= np.where(centred > moduli // 2, moduli, 0)
    alike = (centred == centred[0]).all(axis=0)
    return np.where(alike, centred[0], np.iinfo(np.int32).max)
