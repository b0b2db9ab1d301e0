"""A public random rotation, which spreads a vector evenly over its coordinates.

Signs drawn at random, then the orthonormal discrete cosine transform (DCT-II): afterwards no coordinate of a vector of
norm one is much larger than 1 / sqrt(d), and a narrow range holds all of them. Kairouz, Liu and Steinke (ICML 2021) use
the Walsh-Hadamard transform, whose entries are all +-1 / sqrt(d); but its lengths are powers of two, and padding the
fraud model's 10,379 values to 16,384 would cost 58 % more upload. The DCT has every length, and entries of at most
sqrt(2 / d), which costs half a bit of range.

The signs are no secret: they come from SHAKE-256 of a seed that all banks know, such as the digest of the model.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct

_PURPOSE = b"secure_fl rotation"


class Rotation:
    """An orthogonal map of vectors of one length."""

    def __init__(self, length: int, seed: bytes) -> None:
        random = hashlib.shake_256(_PURPOSE + seed).digest(math.ceil(length / 8))
        bits = np.unpackbits(np.frombuffer(random, dtype=np.uint8), count=length)
        self._signs = 1.0 - 2.0 * bits

    def apply(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [length] -> float64 [length]."""
        rotated: NDArray[np.float64] = dct(self._signs * vector, norm="ortho")
        return rotated

    def invert(self, rotated: NDArray[np.float64]) -> NDArray[np.float64]:
        """The vector that `apply` rotated."""
        vector: NDArray[np.float64] = self._signs * idct(rotated, norm="ortho")
        return vector
