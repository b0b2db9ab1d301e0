"""The CKKS secret key. Only the key authority imports this module; import contracts hold that."""

from __future__ import annotations

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import POLY_MODULUS_DEGREE, SLOTS


class SecretContext:
    """A TenSEAL context with its secret key, drawn from the operating system's randomness by SEAL."""

    def __init__(self, coeff_mod_bit_sizes: tuple[int, int]) -> None:
        self._context = ts.context(ts.SCHEME_TYPE.CKKS, POLY_MODULUS_DEGREE, -1, list(coeff_mod_bit_sizes), n_threads=1)

    def __repr__(self) -> str:
        return "SecretContext(...)"

    def public_key(self) -> bytes:
        """The context as everybody may have it: no secret key, and no key that a sum does not need."""
        public = self._context.copy()
        public.make_context_public()
        return bytes(
            public.serialize(save_public_key=True, save_secret_key=False, save_galois_keys=False, save_relin_keys=False)
        )

    def decrypt(self, data: bytes, scale_bits: int) -> NDArray[np.float64]:
        """The `SLOTS` values of one serialized ciphertext, with CKKS's small error still on them."""
        try:
            vector = ts.ckks_vector_from(self._context, data)
            if vector.size() != SLOTS or vector.ciphertext()[0].scale != float(2**scale_bits):
                raise ValueError
            slots = np.array(vector.decrypt(), dtype=np.float64)
            if slots.shape != (SLOTS,):
                raise ValueError
            return slots
        except (ValueError, RuntimeError, IndexError, MemoryError):
            raise MessageError("a summed ciphertext cannot be read; the round must be repeated") from None
