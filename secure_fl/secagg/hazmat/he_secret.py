"""The homomorphic secret key. Only the key authority imports this module; import contracts hold that."""

from __future__ import annotations

from typing import Any

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat.he_public import read_vector


class SecretContext:
    """A TenSEAL context with its secret key, drawn from the operating system's randomness by SEAL."""

    def __init__(self, parameters: HeParameters) -> None:
        self._parameters = parameters
        kind = ts.SCHEME_TYPE.CKKS if parameters.scheme == "ckks" else ts.SCHEME_TYPE.BFV
        modulus = parameters.plain_modulus or -1
        sizes = list(parameters.coeff_mod_bit_sizes)
        self._context = ts.context(kind, POLY_MODULUS_DEGREE, modulus, sizes, n_threads=1)

    def __repr__(self) -> str:
        return "SecretContext(...)"

    def public_key(self) -> bytes:
        """The context as everybody may have it: no secret key, and no key that a sum does not need."""
        public = self._context.copy()
        public.make_context_public()
        return bytes(
            public.serialize(save_public_key=True, save_secret_key=False, save_galois_keys=False, save_relin_keys=False)
        )

    def decrypt(self, data: bytes) -> NDArray[Any]:
        """The values in the slots of one ciphertext: float64 with CKKS's small error, or int64. Or `MessageError`."""
        vector = read_vector(self._context, self._parameters, data)
        try:
            if self._parameters.scheme == "ckks":
                return np.array(vector.decrypt(), dtype=np.float64)
            return np.array(vector.decrypt(), dtype=np.int64) % self._parameters.plain_modulus
        except (ValueError, RuntimeError, MemoryError):
            raise MessageError("a summed ciphertext cannot be read; make a new attempt") from None
