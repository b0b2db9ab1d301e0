"""Encoding what was opened gives c_0 + c_1 s back, exactly; so s = (opened - c_0) / c_1 at every root."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.scoring.hazmat.objects import chain_of, changed, context, loaded
from secure_fl.scoring.parameters import CkksParameters

PARAMETERS, SCALE = CkksParameters(2048, (53,)), 2.0**30
MODULUS = chain_of(PARAMETERS).data[0]


def ciphertext(text: str) -> Any:
    return loaded("ciphertext", PARAMETERS, memoryview(base64.b64decode(text)), primes=1)


def words(value: Any) -> list[list[int]]:
    """Both polynomials by their values at roots."""
    found: list[list[list[int]]] = []
    changed(value, PARAMETERS, lambda both: found.append([[int(word) for word in both[half][0]] for half in (0, 1)]))
    return found[0]


def recover(seen: dict[str, Any]) -> list[int]:
    made = context(PARAMETERS)
    encoder, plain = sealapi.CKKSEncoder(made), sealapi.Plaintext()
    opened = np.array(seen["opened_real"]) + 1j * np.array(seen["opened_imaginary"])
    encoder.encode(opened.tolist(), SCALE, plain)
    total = ciphertext(seen["sum"])
    sealapi.Evaluator(made).sub_plain_inplace(total, plain)
    less, factor = words(total)  # c_0 - opened, and c_1
    key = [-a * pow(b, -1, MODULUS) % MODULUS for a, b in zip(less, factor, strict=True)]

    update = ciphertext(seen["bank_2"])
    first, second = words(update)
    read = [(a + b * s) % MODULUS for a, b, s in zip(first, second, key, strict=True)]

    def put(both: NDArray[np.uint64]) -> None:
        both[0][0], both[1] = np.array(read, dtype=np.uint64), 0

    anybody = sealapi.KeyGenerator(made).secret_key()  # c_1 is zero now, so that any key opens it
    sealapi.Decryptor(made, anybody).decrypt(changed(update, PARAMETERS, put), plain)
    return [round(number) for number in encoder.decode_double(plain)[:8]]
