"""Parts of a joint key, for those who have them alone: import contracts keep them from banks and the aggregator.

A part is a ternary polynomial that SEAL draws. Its public half is SEAL's own fresh encryption of zero (b', a') under
it, moved to the common a: b = b' + (a' - a) s.
"""

from __future__ import annotations

from functools import cached_property
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.errors import MessageError
from secure_fl.secagg.budget.threshold import KeyRing
from secure_fl.secagg.hazmat.collective import (
    JointKey,
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
"""Polynomials that are transformed as one ciphertext; SEAL takes up to 16, with the one beside them."""
_LARGEST_ERROR = 64
"""Errors of SEAL's keys are at most 21, and what is compared is one of them."""
_TRIALS = 2
"""Encryptions by which a public half is tried."""
_CHUNK_BITS = 20


class KeyPart:
    """The secret polynomial of one part."""

    def __init__(self, ring: KeyRing, ternary: NDArray[np.int8]) -> None:
        """`ternary`: its coefficients, [N]. Raises `MessageError` where they are none."""
        if ternary.shape != (ring.degree,) or not (np.abs(ternary) <= 1).all():
            raise MessageError("a part of a key is no ternary polynomial; make new keys")
        if not ternary.any():
            raise MessageError("a part of a key is zero; make new keys")
        self._ring, self._ternary, self._transform = ring, ternary.astype(np.int8), Transform(ring)

    def __repr__(self) -> str:
        return "KeyPart(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a KeyPart is never pickled; keep() is the one way to write it down")

    @classmethod
    def generate(cls, ring: KeyRing, seed: bytes) -> tuple[KeyPart, Words]:
        """A new part, and its public half for the common a of this seed, [key primes, N]."""
        generator = sealapi.KeyGenerator(context(ring))
        public = sealapi.PublicKey()
        generator.create_public_key(public)
        own, moduli = _key_words(ring, generator), key_moduli(ring)
        b, a = words_in(public, (2, ring.primes + 1, ring.degree))
        moved = product((a + moduli - common_polynomial(ring, seed)) % moduli, own, moduli)
        coefficients = Transform(ring).to_coefficients(own[None, : ring.primes])[0]
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

        Whoever has the part checks what the one that drew it published. SEAL transforms back at data level alone. What
        is false modulo the special prime p shows in encryptions of zero under this half alone: their noise is then a
        fraction with the denominator p, which is large modulo q, wherever the false row times the ternary u of the
        encryption is not zero. It is zero for one u in p at most, about, so the trials miss it less than once in 2**34.
        """
        ring, moduli = self._ring, data_moduli(self._ring)
        alone = JointKey(ring, seed, b[None])
        left = (b[:-1] + product(common_polynomial(ring, seed)[:-1], self._values, moduli)) % moduli
        _require_small(self._transform.to_coefficients(left[None])[0], moduli, _LARGEST_ERROR)
        for _ in range(_TRIALS):
            first, second = alone.encrypt_zero()
            _require_small((first + self.times(second[None])[0]) % moduli, moduli, self._largest_noise)

    @property
    def _largest_noise(self) -> int:
        """Of an encryption of zero under this part: rounding errors times (1, s), and drawn errors divided by p."""
        drawn = _LARGEST_ERROR * (2 * self._ring.degree + 1) >> self._ring.special_bits - 1
        return (1 + int(np.abs(self._ternary).sum(dtype=np.int64))) // 2 + drawn + 1

    def times(self, second: Words) -> Words:
        """The part times polynomials, [polynomials, data primes, N], not yet hidden."""
        found = np.empty_like(second)
        for start in range(0, len(second), _TOGETHER):
            some = second[start : start + _TOGETHER]
            values = product(self._transform.to_values(some), self._values, data_moduli(self._ring))
            found[start : start + _TOGETHER] = self._transform.to_coefficients(values)
        return found

    @cached_property
    def _values(self) -> Words:
        """At the roots, [data primes, N]."""
        moduli = data_moduli(self._ring).astype(np.int64)
        coefficients = (self._ternary.astype(np.int64) % moduli).astype(np.uint64)
        values: Words = self._transform.to_values(coefficients[None])[0].copy()
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


def _require_small(residues: Words, primes: Words, most: int) -> None:
    """Raises `MessageError` where residues are not those of numbers of at most so much."""
    if np.abs(_signed(residues, primes)).max() > most:
        raise MessageError("what was published of a part is not its public half")


def _signed(residues: Words, primes: Words) -> NDArray[np.int64]:
    """Small numbers from their residues, [data primes, N]; others become large ones."""
    moduli = primes.astype(np.int64)
    centred = residues.astype(np.int64)
    centred -= np.where(centred > moduli // 2, moduli, 0)
    alike = (centred == centred[0]).all(axis=0)
    return np.where(alike, centred[0], np.iinfo(np.int32).max)
