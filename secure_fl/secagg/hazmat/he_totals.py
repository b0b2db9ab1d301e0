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
c2 holds no values, only the random half of ciphertexts. In the same way the coefficient at X**(N/2) is 2/N times the
total of the imaginary parts of the slots, of which honest ciphertexts have none but their noise.

`Total` is what travels; its numbers are residues modulo the data primes, as SEAL has them: polynomials by their values
at the roots. Taking one coefficient out of a ring ciphertext like this is the sample extraction of TFHE (Chillotti,
Gama, Georgieva, Izabachene, "TFHE: Fast Fully Homomorphic Encryption over the Torus", Journal of Cryptology 2020,
section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from math import prod

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat.he_layout import residues
from secure_fl.secagg.hazmat.he_public import EncryptedVector, PublicContext
from secure_fl.secagg.hazmat.he_words import data_moduli

_WORD = np.dtype("<u8")


@dataclass(frozen=True)
class Total:
    """A ciphertext of one number: the total of the real parts of all slots, or that of the imaginary parts."""

    coefficient: tuple[int, ...]
    """Of c0 modulo each data prime: the one at X**0, or the one at X**(N/2)."""
    polynomials: NDArray[np.uint64]
    """c1 and for squares c2, [1 or 2, data primes, N]."""

    def serialize(self) -> bytes:
        return np.array(self.coefficient, dtype=_WORD).tobytes() + self.polynomials.astype(_WORD).tobytes()

    @classmethod
    def load(cls, parameters: HeParameters, data: bytes | memoryview, power: int) -> Total:
        """Of the product of `power` ciphertexts. Raises `MessageError`."""
        primes = parameters.data_primes
        if len(data) != total_bytes(parameters, power):
            raise MessageError("an encrypted total has another length than the plan's; make a new attempt")
        words = np.frombuffer(data, dtype=_WORD)
        moduli = np.array(data_moduli(parameters), dtype=np.uint64)
        coefficient, polynomials = words[:primes], words[primes:].reshape(power, primes, POLY_MODULUS_DEGREE)
        if (coefficient >= moduli).any() or (polynomials >= moduli[:, None]).any():
            raise MessageError("an encrypted total holds numbers beyond its modulus; make a new attempt")
        return cls(tuple(coefficient.tolist()), polynomials)


def total_bytes(parameters: HeParameters, power: int) -> int:
    """Length of a serialized total."""
    return _WORD.itemsize * parameters.data_primes * (1 + power * POLY_MODULUS_DEGREE)


def total_of_square(parameters: HeParameters, square: EncryptedVector, public: PublicContext) -> Total:
    """The total of the slots of a square, which is spoilt: a fresh encryption of zero is added to it."""
    return _total(parameters, square, public, power=2, imaginary=False)


def total_of_imaginary_parts(parameters: HeParameters, weighed: EncryptedVector, public: PublicContext) -> Total:
    """That of the imaginary parts of the slots of weighed ciphertexts, which are spoilt in the same way."""
    return _total(parameters, weighed, public, power=1, imaginary=True)


def _total(
    parameters: HeParameters, product: EncryptedVector, public: PublicContext, power: int, imaginary: bool
) -> Total:
    product.add(public.encrypt_zero_square())
    first, *others = residues(parameters, product.serialize(), power)
    coefficient = (
        coefficient_of([_sum(half) for half in np.split(values, 2)], q, imaginary)
        for values, q in zip(first, data_moduli(parameters), strict=True)
    )
    return Total(tuple(coefficient), np.array(others))


def coefficient_of(halves: Sequence[int], modulus: int, imaginary: bool) -> int:
    """The coefficient at X**0, or at X**(N/2), of a polynomial from two sums of its values in SEAL's order.

    The first half are those at roots where X**(N/2) is one square root of -1, the second half where it is the other.
    """
    first, second = halves
    turn = square_root_of_minus_one(modulus)
    total = (second - first) * turn if imaginary else first + second
    return total * pow(POLY_MODULUS_DEGREE, -1, modulus) % modulus


@lru_cache
def square_root_of_minus_one(modulus: int) -> int:
    """The power N/2 of the smallest primitive root of order 2N, which is the one that SEAL takes."""
    degree = POLY_MODULUS_DEGREE
    candidates = (pow(base, (modulus - 1) // (2 * degree), modulus) for base in count(2))
    root = next(candidate for candidate in candidates if pow(candidate, degree, modulus) == modulus - 1)
    smallest, step, power = root, root * root % modulus, root
    for _ in range(degree - 1):
        power = power * step % modulus
        smallest = min(smallest, power)
    return pow(smallest, degree // 2, modulus)


def from_residues(remainders: Sequence[int], moduli: tuple[int, ...]) -> int:
    """The number nearest to zero with these remainders."""
    modulus = prod(moduli)
    number = sum(
        remainder * (modulus // q) * pow(modulus // q, -1, q) for remainder, q in zip(remainders, moduli, strict=True)
    )
    return (number + modulus // 2) % modulus - modulus // 2


def _sum(values: NDArray[np.uint64]) -> int:
    """Exactly, without a word that overflows."""
    return (int((values >> np.uint64(32)).sum()) << 32) + int((values & np.uint64((1 << 32) - 1)).sum())
