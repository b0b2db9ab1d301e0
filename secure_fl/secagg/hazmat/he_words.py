"""Coefficients as plain words: out of SEAL's ciphertexts, and back into them.

SEAL saves to paths and loads from paths only, so its objects pass through a file in memory. What it writes is
compressed, what is written for it here is not (`he_layout`). Nobody else's bytes get that far: what travels are words
of a fixed width, and the objects around them are made here.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.errors import StorageError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat.he_layout import (
    COUNT,
    HEADER,
    MEMBERS_BYTES,
    WORD_BYTES,
    around,
    as_varint,
    header_of,
    uncompressed,
)

_MEMBERS = struct.Struct("<4QBQQQdQ")
"""Digest of the parameters, whether in NTT form, polynomials, degree, primes, scale, correction factor (for BGV)."""
_PLAIN_MEMBERS = struct.Struct("<4QQd")
"""Digest, which is zero for BFV, number of coefficients, scale."""
_HALVES = 2
_MORE_THAN_SEAL_WRITES = 1 << 20


def saved(thing: Any) -> bytes:
    """What SEAL writes. Raises `StorageError` where there is no room for it.

    Never called with a secret key of SEAL's. Parts of a joint key pass here and through `loaded` where SEAL transforms
    them, as coefficients and plaintexts do: through a file in memory, or one of mode 0600 where the system has none.
    """
    with _file() as (file, path):
        try:
            thing.save(path)
        except RuntimeError:
            _require_room(file)
            raise
        return os.pread(file, os.fstat(file).st_size, 0)


def loaded(made: Any, context: Any, data: bytes) -> Any:
    """The object that SEAL reads. Raises `ValueError` or `RuntimeError`."""
    with _file() as (file, path):
        os.pwrite(file, data, 0)
        made.load(context, path)
    return made


def _require_room(file: int) -> None:
    """SEAL does not say what the system said: find it out again. Raises `StorageError`."""
    try:
        os.pwrite(file, b"\0", _MORE_THAN_SEAL_WRITES)
    except OSError as error:
        raise StorageError(f"a ciphertext could not be written down ({error.strerror}); make room") from None


@contextmanager
def _file() -> Iterator[tuple[int, str]]:
    """A file in memory, and its path; where the system has none, one that nobody else can read, deleted at once."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("secure_fl")
        try:
            yield file, f"/proc/self/fd/{file}"
        finally:
            os.close(file)
        return
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "seal")
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield file, path
        finally:
            os.close(file)


@lru_cache
def data_moduli(parameters: HeParameters) -> tuple[int, ...]:
    """The data primes themselves."""
    sizes = list(parameters.coeff_mod_bit_sizes)
    primes = sealapi.CoeffModulus.Create(POLY_MODULUS_DEGREE, sizes)
    return tuple(int(prime.value()) for prime in primes[: parameters.data_primes])


def words_of(ciphertext: Any) -> NDArray[np.uint64]:
    """The coefficients of a fresh ciphertext, uint64 [2, data primes, N]."""
    return words_in(ciphertext, (_HALVES, ciphertext.coeff_modulus_size(), POLY_MODULUS_DEGREE))


def words_in(thing: Any, shape: tuple[int, int, int]) -> NDArray[np.uint64]:
    """The words of a ciphertext or public key, of shape [polynomials, primes, degree]."""
    count = math.prod(shape)
    length = MEMBERS_BYTES + HEADER.size + COUNT.size + WORD_BYTES * count
    _, body = uncompressed(memoryview(saved(thing)), length)
    return np.frombuffer(body, dtype="<u8", offset=length - WORD_BYTES * count).reshape(shape)


def plaintext_of(context: Any, coefficients: NDArray[np.int64]) -> Any:
    """The BFV plaintext with these coefficients, [N], each below the plain modulus."""
    members = _PLAIN_MEMBERS.pack(0, 0, 0, 0, len(coefficients), 1.0)
    return loaded(sealapi.Plaintext(), context, _written(members, coefficients))


def coefficients_of(plain: Any) -> NDArray[np.int64]:
    """The inverse, without zeros at the end."""
    count = plain.coeff_count()
    length = _PLAIN_MEMBERS.size + HEADER.size + COUNT.size + WORD_BYTES * count
    _, body = uncompressed(memoryview(saved(plain)), length)
    return np.frombuffer(body, dtype="<i8", offset=length - WORD_BYTES * count)


def ciphertext_of(parameters: HeParameters, context: Any, words: NDArray[np.uint64]) -> Any:
    """The ciphertext with these coefficients, [2, data primes, N], each below its prime."""
    return loaded(sealapi.Ciphertext(), context, _object(parameters, context, words))


def vector_of(parameters: HeParameters, context: Any, words: NDArray[np.uint64]) -> bytes:
    """The same as TenSEAL writes a vector."""
    sizes, scale = around(parameters)
    written = _object(parameters, context, words)
    return b"".join((sizes, as_varint(len(written)), written, scale))


def _object(parameters: HeParameters, context: Any, words: NDArray[np.uint64]) -> bytes:
    """`context`: SEAL's own."""
    by_values, scale = parameters.scheme == "ckks", 2.0**parameters.scale_bits
    return object_of(context.first_parms_id(), words, by_values=by_values, scale=scale)


def object_of(digest: Any, words: NDArray[np.uint64], *, by_values: bool, scale: float = 1.0) -> bytes:
    """A ciphertext or public key with these words, [polynomials, primes, N], as SEAL reads it.

    `digest`: of the parameters, as a context has it; `by_values`: at the roots.
    """
    polynomials, primes, degree = words.shape
    return _written(_MEMBERS.pack(*digest, by_values, polynomials, degree, primes, scale, 1), words)


def _written(members: bytes, coefficients: NDArray[Any]) -> bytes:
    """An uncompressed object of members and coefficients."""
    minor, words = _minor_version(), coefficients.astype("<u8", copy=False).tobytes()
    inner = header_of(minor, COUNT.size + len(words)) + COUNT.pack(coefficients.size)
    return b"".join((header_of(minor, len(members) + len(inner) + len(words)), members, inner, words))


@lru_cache
def _minor_version() -> int:
    """Of the SEAL that is installed, as it writes it."""
    (*_, minor, _, _, _) = HEADER.unpack(saved(sealapi.Plaintext())[: HEADER.size])
    return int(minor)
