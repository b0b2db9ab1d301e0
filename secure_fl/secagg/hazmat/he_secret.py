"""The homomorphic secret key, for key authorities alone: import contracts keep it from the other parties' halves."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import tenseal as ts
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat.he_totals import Total, coefficient_of, from_residues
from secure_fl.secagg.hazmat.he_words import ciphertext_of, coefficients_of, data_moduli
from secure_fl.secagg.packing import Words

Limbs: TypeAlias = NDArray[np.float64]
LIMB_BITS, LIMBS = 20, 3


class SecretContext:
    """A TenSEAL context with its secret key, drawn from the operating system's randomness by SEAL."""

    def __init__(self, parameters: HeParameters) -> None:
        self._parameters = parameters
        kind = ts.SCHEME_TYPE.CKKS if parameters.scheme == "ckks" else ts.SCHEME_TYPE.BFV
        modulus = parameters.plain_modulus or -1
        sizes = list(parameters.coeff_mod_bit_sizes)
        self._context = ts.context(kind, POLY_MODULUS_DEGREE, modulus, sizes, n_threads=1)
        # A context without its secret key keeps what it was made with, whatever is set then.
        self._context.auto_relin = self._context.auto_rescale = self._context.auto_mod_switch = False
        self._powers: list[list[Limbs]] = []

    def __repr__(self) -> str:
        return "SecretContext(...)"

    def keep(self) -> bytes:
        """The secret key and all else, for a key authority whose process does not last as long as its key."""
        return bytes(
            self._context.serialize(
                save_public_key=True, save_secret_key=True, save_galois_keys=False, save_relin_keys=False
            )
        )

    @classmethod
    def again(cls, parameters: HeParameters, kept: bytes) -> SecretContext:
        """The context that `keep` wrote down."""
        secret = cls.__new__(cls)
        secret._parameters, secret._powers = parameters, []
        secret._context = context = ts.context_from(kept, n_threads=1)
        context.auto_relin = context.auto_rescale = context.auto_mod_switch = False
        return secret

    def public_key(self) -> bytes:
        """The context as everybody may have it: no secret key, and no key that a sum does not need."""
        public = self._context.copy()
        public.make_context_public()
        return bytes(
            public.serialize(save_public_key=True, save_secret_key=False, save_galois_keys=False, save_relin_keys=False)
        )

    def decrypt(self, first: Words, second: Words) -> NDArray[Any]:
        """What the ciphertexts hold: CKKS's slots, float64 with a small error, or BFV's coefficients, int64.

        `first`, `second`: coefficients of their polynomials, [ciphertexts * data primes * N]; they need not be reduced,
        and at the end of the first ones some can be missing.
        """
        shape = (-1, self._parameters.data_primes, POLY_MODULUS_DEGREE)
        filled = np.zeros_like(second)
        filled[: len(first)] = first
        moduli = np.array(data_moduli(self._parameters), dtype=np.uint64)[:, None]
        words = np.stack([filled.reshape(shape), second.reshape(shape)], axis=1) % moduli
        within, plain = self._context.seal_context().data, sealapi.Plaintext()
        decryptor = sealapi.Decryptor(within, self._context.secret_key().data)
        encoder = sealapi.CKKSEncoder(within) if self._parameters.scheme == "ckks" else None
        opened = np.zeros((len(words), self._parameters.slots), np.float64 if encoder else np.int64)
        for row, ciphertext in zip(opened, words, strict=True):
            decryptor.decrypt(ciphertext_of(self._parameters, within, ciphertext), plain)
            if encoder is not None:
                row[:] = encoder.decode_double(plain)
            else:
                row[: plain.coeff_count()] = coefficients_of(plain)
        return opened.reshape(-1)

    def open_total(self, total: Total, imaginary: bool = False) -> int:
        """One coefficient of c0 + c1 s + c2 s**2, exactly: that at X**0, or for imaginary parts that at X**(N/2)."""
        moduli = data_moduli(self._parameters)
        self._powers = self._powers or self._key_and_its_square(moduli)
        remainders = []
        for place, modulus in enumerate(moduli):
            halves = [
                sum(
                    _inner_product(polynomial[place][half], power[place][:, half])
                    for polynomial, power in zip(total.polynomials, self._powers, strict=False)
                )
                for half in (slice(None, POLY_MODULUS_DEGREE // 2), slice(POLY_MODULUS_DEGREE // 2, None))
            ]
            remainders.append(total.coefficient[place] + coefficient_of(halves, modulus, imaginary))
        return from_residues(remainders, moduli)

    def _key_and_its_square(self, moduli: tuple[int, ...]) -> list[list[Limbs]]:
        """S and s**2 by their values at the roots, for each data prime."""
        words = self._context.secret_key().data.data()
        keys = [
            [words[prime * POLY_MODULUS_DEGREE + root] for root in range(POLY_MODULUS_DEGREE)]
            for prime in range(len(moduli))
        ]
        squares = [[word * word % modulus for word in key] for key, modulus in zip(keys, moduli, strict=True)]
        return [[_limbs(np.array(key, dtype=np.uint64)) for key in power] for power in (keys, squares)]


def _limbs(words: NDArray[np.uint64]) -> Limbs:
    """float64 [LIMBS, N], the lowest first; sums of N products of two limbs are exact in float64."""
    return np.array(
        [(words >> np.uint64(place * LIMB_BITS)) & np.uint64((1 << LIMB_BITS) - 1) for place in range(LIMBS)],
        dtype=np.float64,
    )


def _inner_product(words: NDArray[np.uint64], key: Limbs) -> int:
    """The exact sum of products, not reduced."""
    products = _limbs(words) @ key.T
    return sum(int(products[i, j]) << (LIMB_BITS * (i + j)) for i in range(LIMBS) for j in range(LIMBS))
