"""SEAL as an oracle of Ring-LWE: the same ring, the same prime, its own transforms and its own arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.hazmat.he_words import ciphertext_of, coefficients_of, loaded, plaintext_of, saved, words_of
from secure_fl.secagg.rlwe.ring import DEGREE, MODULUS, MODULUS_BITS, Polynomials, Small


class Seal:
    """BFV modulo the one prime, without a special one, for messages below t."""

    def __init__(self, t: int) -> None:
        self.t, self.parameters = t, HeParameters("bfv", MODULUS_BITS, plain_modulus=t)
        chosen = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.BFV)
        chosen.set_poly_modulus_degree(DEGREE)
        (prime,) = sealapi.CoeffModulus.Create(DEGREE, [MODULUS_BITS])
        assert prime.value() == MODULUS
        chosen.set_coeff_modulus([prime])
        chosen.set_plain_modulus(t)
        self.context = sealapi.SEALContext(chosen, True, sealapi.SEC_LEVEL_TYPE.TC128)
        assert self.context.parameters_set()
        self.evaluator = sealapi.Evaluator(self.context)

    def ciphertext(self, first: Polynomials, second: Polynomials) -> Any:
        return ciphertext_of(self.parameters, self.context, np.stack([first, second])[:, None])

    def _transformed(self, small: Small) -> Any:
        plain = plaintext_of(self.context, small % self.t)
        self.evaluator.transform_to_ntt_inplace(plain, self.context.first_parms_id())
        return plain

    def products(self, large: Polynomials, small: Small) -> NDArray[np.uint64]:
        """Of two large polynomials with a small one, [2, N]."""
        value, product = self.ciphertext(*large), sealapi.Ciphertext()
        self.evaluator.transform_to_ntt_inplace(value)
        self.evaluator.multiply_plain(value, self._transformed(small), product)
        self.evaluator.transform_from_ntt_inplace(product)
        return words_of(product)[:, 0]

    def decrypt(self, s: Small, first: Polynomials, second: Polynomials) -> tuple[NDArray[np.int64], int]:
        """The message under a key of ours, [N], and how many bits of noise it could bear besides."""
        key = loaded(sealapi.SecretKey(), self.context, saved(self._transformed(s)))
        decryptor, plain, value = (
            sealapi.Decryptor(self.context, key),
            sealapi.Plaintext(),
            self.ciphertext(first, second),
        )
        decryptor.decrypt(value, plain)
        message = np.zeros(DEGREE, dtype=np.int64)
        message[: plain.coeff_count()] = coefficients_of(plain)
        return message, int(decryptor.invariant_noise_budget(value))
