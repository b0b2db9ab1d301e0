"""An answer that hides what computed it: a fresh encryption of zero added, and integers added to its coefficients.

The encryption of zero makes both polynomials look random even to who holds the secret key and knows the random half of
each row's ciphertext: the second one gets a u + e_1 with u and e_1 of the model owner's, which is ring-LWE with the
secret u. Without it the second polynomial of a linear model is the weighted sum of known ones, and weights are solved
for. What it adds to the noise, and the rest of it, is for `flooding` to drown.

SEAL keeps polynomials by their values at roots; they are transformed to coefficients, changed and transformed back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.scoring.hazmat.objects import SealObject, chain_of, changed, context, loaded
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.secagg.hazmat.he_layout import unreadable


class Hiding:
    """Under the data owner's public key, serialized."""

    def __init__(self, parameters: CkksParameters, public_key: memoryview) -> None:
        """Raises `MessageError`, or `SecretExposureError` for a secret key."""
        key = loaded("public key", parameters, public_key)
        if key.data().size() != 2 or key.data().is_transparent():
            raise unreadable()
        self._parameters = parameters
        self._encryptor = sealapi.Encryptor(context(parameters), key)
        self._evaluator = sealapi.Evaluator(context(parameters))

    def add_encrypted_zero(self, value: SealObject) -> None:
        """In place; randomness is SEAL's, which the operating system seeds with 512 bits."""
        zero = sealapi.Ciphertext()
        self._encryptor.encrypt_zero(value.parms_id(), zero)
        zero.scale = value.scale
        self._evaluator.add_inplace(value, zero)

    def with_coefficients(self, value: SealObject, numbers: Sequence[int]) -> SealObject:
        """The ciphertext with a number added to each coefficient of what it holds, exactly; it is spoilt itself."""
        moduli = chain_of(self._parameters).data[: value.coeff_modulus_size()]

        def add(words: NDArray[np.uint64]) -> None:
            for polynomial, modulus in zip(words[0], moduli, strict=True):
                residues = np.array([number % modulus for number in numbers], dtype=np.uint64)
                polynomial[:] = (polynomial + residues) % np.uint64(modulus)

        self._evaluator.transform_from_ntt_inplace(value)
        made = changed(value, self._parameters, add)
        self._evaluator.transform_to_ntt_inplace(made)
        return made
