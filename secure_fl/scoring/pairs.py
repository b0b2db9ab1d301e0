"""Two features in a slot, as real and imaginary part: half the ciphertexts of a logistic regression.

    Re((x + i y) (v - i w)) = v x + w y

The imaginary part, v y - w x, is a second linear function of the row, which who decrypts can read (`custody`).

SEAL's slots are roots zeta**(3**j), at all of which i is (X**(N/4) + X**(3 N/4)) / sqrt(2): so a constant's imaginary
part is a multiple of sqrt(2) units, while its real part is one of units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.scoring.network import Matrix


def pairs_of(columns: Matrix) -> NDArray[np.complex128]:
    """Columns 0 and 1, 2 and 3, ..., the last alone where they are odd; float64 [n, ...] -> [ceil(n / 2), ...]."""
    pairs = columns[0::2].astype(np.complex128)
    pairs[: len(columns) // 2] += 1j * columns[1::2]
    return pairs


def rounded_pairs(weights: Matrix, bits: int) -> Matrix:
    """Weights as they are multiplied with, float64 [..., n]: of x whole units of 2**-bits, of y times sqrt(2)."""
    units = np.where(np.arange(weights.shape[-1]) % 2, np.sqrt(2.0), 1.0) * 2.0**-bits
    found: Matrix = np.rint(weights / units) * units
    return found
