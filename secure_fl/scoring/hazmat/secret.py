"""The data owner's secret key. Only `data_owner` imports this module; import contracts hold that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tenseal import sealapi

from secure_fl.scoring.hazmat.objects import context, loaded
from secure_fl.scoring.hazmat.public import galois_elements
from secure_fl.scoring.network import ComplexVector, Vector
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.secagg.hazmat.he_layout import unreadable
from secure_fl.secagg.hazmat.he_words import saved


class SecretKey:
    """Drawn from the operating system's randomness by SEAL, and never saved."""

    def __init__(self, parameters: CkksParameters) -> None:
        self._parameters = parameters
        self._context = context(parameters)
        self._generator = sealapi.KeyGenerator(self._context)
        self._key = self._generator.secret_key()
        self._encryptor = sealapi.Encryptor(self._context, self._key)
        self._decryptor = sealapi.Decryptor(self._context, self._key)
        self._encoder = sealapi.CKKSEncoder(self._context)
        self._plain = sealapi.Plaintext()

    def __repr__(self) -> str:
        return "SecretKey(...)"

    def evaluation_keys(self, steps: Sequence[int], *, squares: bool) -> list[bytes]:
        """For squares, and for rotations by `steps`: serialized, with a seed in the place of their random halves."""
        keys = [saved(self._generator.create_relin_keys())] if squares else []
        elements = galois_elements(self._parameters.degree, steps)
        return keys + ([saved(self._generator.create_galois_keys(list(elements)))] if steps else [])

    def public_key(self) -> bytes:
        """To encrypt with, serialized: both halves, since SEAL's Python interface keeps no seed of it."""
        made = sealapi.PublicKey()
        self._generator.create_public_key(made)
        return saved(made)

    def encrypt(self, slots: Vector | ComplexVector, scale: float) -> bytes:
        """One ciphertext with a seed in the place of its random half; short vectors are filled with zeros."""
        self._encoder.encode(slots.tolist(), scale, self._plain)
        return saved(self._encryptor.encrypt_symmetric(self._plain))

    def decrypt(self, data: memoryview, scale: float, primes: int = 1) -> Vector:
        """All slots of a ciphertext under the first primes. Raises `MessageError`."""
        made = loaded("ciphertext", self._parameters, data, primes=primes)
        # The scale is a product and quotient of float64; both sides compute it, not always in one order.
        if made.size() != 2 or not made.is_ntt_form() or not abs(made.scale / scale - 1) <= 1e-9:
            raise unreadable()
        self._decryptor.decrypt(made, self._plain)
        try:
            return np.array(self._encoder.decode_double(self._plain), dtype=np.float64)
        except ValueError:  # a scale beyond the modulus, which is public
            raise unreadable() from None
