"""The total of the slots of a square, and nothing else of it: what an encrypted distance is sent as.

Encoding puts the values z_1 ... z_(N/2) of a ciphertext into a polynomial m of degree below N whose values at the roots
of X**N + 1 are the z_j and their conjugates. The sum over all N roots of any polynomial is N times its constant
coefficient, so

    sum over j of z_j**2 = N/2 x the constant coefficient of m**2

and whoever is to learn that total needs one coefficient of c0 + c1 s + c2 s**2, and so one of c0. The other N - 1 of c0
would carry the single squares: they are not sent, which hides them as well as adding uniform residues modulo q to them
would, and that is perfectly. (Random real numbers that sum to zero, added to the slots, would not do: they do not cover
the imaginary part of a slot, which is 2 (a - b) times the imaginary part of its noise.)

c1 must be masked all the same, by a fresh encryption of zero: of a single square, c0 = c1**2 / (4 c2) at every root.
c2 holds no values, only the random half of ciphertexts. `Total` is what travels; its numbers are residues modulo the
data primes, as SEAL has them: polynomials by their values at the roots, whose sum is N times the constant coefficient.
Taking one coefficient out of a ring ciphertext like this is the sample extraction of TFHE (Chillotti, Gama, Georgieva,
Izabachene, "TFHE: Fast Fully Homomorphic Encryption over the Torus", Journal of Cryptology 2020, section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat.he_layout import residues_of_square
from secure_fl.secagg.hazmat.he_public import EncryptedVector, PublicContext

_WORD = np.dtype("<u8")


@dataclass(frozen=True)
class Total:
    """A ciphertext of one number."""

    constant: tuple[int, ...]
    """The constant coefficient of c0 modulo each data prime."""
    polynomials: NDArray[np.uint64]
    """c1 and c2, [2, data primes, N]."""

    def serialize(self) -> bytes:
        return np.array(self.constant, dtype=_WORD).tobytes() + self.polynomials.astype(_WORD).tobytes()

    @classmethod
    def load(cls, parameters: HeParameters, data: bytes | memoryview) -> Total:
        """Raises `MessageError`."""
        primes = parameters.data_primes
        if len(data) != total_bytes(parameters):
            raise MessageError("an encrypted total has another length than the plan's; make a new attempt")
        words = np.frombuffer(data, dtype=_WORD)
        moduli = np.array(data_moduli(parameters), dtype=np.uint64)
        constant, polynomials = words[:primes], words[primes:].reshape(2, primes, POLY_MODULUS_DEGREE)
        if (constant >= moduli).any() or (polynomials >= moduli[:, None]).any():
            raise MessageError("an encrypted total holds numbers beyond its modulus; make a new attempt")
        return cls(tuple(constant.tolist()), polynomials)


def total_bytes(parameters: HeParameters) -> int:
    """Length of a serialized total."""
    return _WORD.itemsize * parameters.data_primes * (1 + 2 * POLY_MODULUS_DEGREE)


def total_of(parameters: HeParameters, square: EncryptedVector, public: PublicContext) -> Total:
    """The total of the slots of a square, which is spoilt: a fresh encryption of zero is added to it."""
    square.add(public.encrypt_zero_square())
    first, *others = residues_of_square(parameters, square.serialize())
    constant = (_at_zero(values, q) for values, q in zip(first, data_moduli(parameters), strict=True))
    return Total(tuple(constant), np.array(others))


@lru_cache
def data_moduli(parameters: HeParameters) -> tuple[int, ...]:
    """The data primes themselves."""
    sizes = list(parameters.coeff_mod_bit_sizes)
    primes = sealapi.CoeffModulus.Create(POLY_MODULUS_DEGREE, sizes)
    return tuple(int(prime.value()) for prime in primes[: parameters.data_primes])


def from_residues(residues: list[int], moduli: tuple[int, ...]) -> int:
    """The number nearest to zero with these residues."""
    modulus = prod(moduli)
    number = sum(
        residue * (modulus // q) * pow(modulus // q, -1, q) for residue, q in zip(residues, moduli, strict=True)
    )
    return (number + modulus // 2) % modulus - modulus // 2


def _at_zero(values: NDArray[np.uint64], modulus: int) -> int:
    """The constant coefficient from the values at all roots, in any order."""
    half = np.uint64(32)
    total = (int((values >> half).sum()) << 32) + int((values & np.uint64((1 << 32) - 1)).sum())
    return total * pow(POLY_MODULUS_DEGREE, -1, modulus) % modulus
