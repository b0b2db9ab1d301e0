"""What anybody reads in a ciphertext without a key: its coefficients modulo q."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat.he_public import read_vector


def coefficients(parameters: HeParameters, data: bytes) -> NDArray[np.uint64]:
    """Both polynomials of one serialized ciphertext, [2 * N]. Raises `MessageError`."""
    ciphertext = read_vector(_context(parameters), parameters, data).ciphertext()[0]
    return np.array([ciphertext[place] for place in range(2 * POLY_MODULUS_DEGREE)], dtype=np.uint64)


@lru_cache(maxsize=8)
def _context(parameters: HeParameters) -> ts.Context:
    """Any context with these parameters can load a ciphertext, whoever's key it was made with."""
    kind = ts.SCHEME_TYPE.CKKS if parameters.scheme == "ckks" else ts.SCHEME_TYPE.BFV
    sizes = list(parameters.coeff_mod_bit_sizes)
    return ts.context(kind, POLY_MODULUS_DEGREE, parameters.plain_modulus or -1, sizes, n_threads=1)
