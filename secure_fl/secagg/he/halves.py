"""What ciphertexts are on their way from a bank to the key authority."""

from __future__ import annotations

from typing import NamedTuple

from secure_fl.secagg.packing import Words


class Halves(NamedTuple):
    """The first polynomials of all ciphertexts, one behind the other, and the second ones: coefficients modulo q.

    SEAL's CKKS has values at the roots of X**N + 1 in the place of coefficients.
    """

    first: Words
    second: Words
