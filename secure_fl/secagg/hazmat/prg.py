"""A pseudo-random generator on ring vectors: AES-256 in counter mode (NIST SP 800-38A), keyed by a full 256-bit seed.

The keystream is drawn into one reused buffer and added block by block, so that it never leaves the cache: about the
cost of reading the vector once. A seed must be used for one vector only; every caller derives it anew for each sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from numpy.typing import NDArray

SEED_BYTES = 32
_BLOCK_BYTES = 1 << 18
_ZEROS = bytes(_BLOCK_BYTES)

RingVector = NDArray[np.unsignedinteger[Any]]


def add_mask(vector: RingVector, seed: bytes) -> None:
    """Add PRG(seed) in place, modulo 2**(8 * itemsize)."""
    for part, stream in _blocks(vector, seed):
        np.add(part, stream, out=part)


def subtract_mask(vector: RingVector, seed: bytes) -> None:
    """Subtract PRG(seed) in place, modulo 2**(8 * itemsize)."""
    for part, stream in _blocks(vector, seed):
        np.subtract(part, stream, out=part)


def words(seed: bytes, count: int) -> NDArray[np.uint64]:
    """The first `count` 64-bit words of PRG(seed), little-endian; a seed must be used for one vector only."""
    return np.frombuffer(_keystream(seed).update(bytes(8 * count)), dtype="<u8").astype(np.uint64, copy=False)


def _keystream(seed: bytes) -> CipherContext:
    """What it makes of zeros is PRG(seed)."""
    return Cipher(algorithms.AES256(seed), modes.CTR(bytes(16))).encryptor()


def _blocks(vector: RingVector, seed: bytes) -> Any:
    encryptor = _keystream(seed)
    buffer = bytearray(min(_BLOCK_BYTES, vector.nbytes) + 15)
    step = _BLOCK_BYTES // vector.itemsize
    for start in range(0, len(vector), step):
        part = vector[start : start + step]
        written = encryptor.update_into(_ZEROS[: part.nbytes], buffer)
        yield part, np.frombuffer(buffer, dtype=vector.dtype, count=written // vector.itemsize)
