"""WEAK ON PURPOSE, never use it: a CKKS result that is released as it was decrypted.

What CKKS decrypts is message plus noise, and the noise is c_0 + c_1 s less the message: whoever holds the ciphertext
and every digit of the result solves for the key s. Li and Micciancio (EUROCRYPT 2021) did it to the libraries of the
day. `secure_fl` rounds opened sums to integers, and says of scores that they must be rounded before they are passed
on.
"""

from __future__ import annotations

import base64
import secrets

import numpy as np
from tenseal import sealapi

from secure_fl.scoring.hazmat.objects import context
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.secagg.hazmat.he_words import saved

TITLE = "Released unrounded"
GOAL = (
    "you saw two ciphertexts under one key, of a sum and of bank 2's update (base64), and the sum as it was decrypted: "
    "recover bank 2's update, the first 8 slots"
)
PARAMETERS, SCALE = CkksParameters(2048, (53,)), 2.0**30


def instance() -> tuple[dict[str, str | list[float]], list[int]]:
    return _released(digits=None)


def strong() -> tuple[dict[str, str | list[float]], list[int]]:
    """The sum is rounded to whole numbers, which is all that was asked for."""
    return _released(digits=0)


def _released(digits: int | None) -> tuple[dict[str, str | list[float]], list[int]]:
    made = context(PARAMETERS)
    key = sealapi.KeyGenerator(made).secret_key()
    encryptor, decryptor = sealapi.Encryptor(made, key), sealapi.Decryptor(made, key)
    encoder, plain = sealapi.CKKSEncoder(made), sealapi.Plaintext()
    update, total = [secrets.randbelow(256) for _ in range(8)], [secrets.randbelow(2048) for _ in range(8)]
    sent = []
    for values in (update, total):
        encoder.encode([float(value) for value in values], SCALE, plain)
        encrypted = sealapi.Ciphertext()
        encryptor.encrypt_symmetric(plain, encrypted)
        sent.append(base64.b64encode(saved(encrypted)).decode())
    decryptor.decrypt(encrypted, plain)  # of the sum
    opened = np.array(encoder.decode_complex(plain))
    if digits is not None:
        opened = opened.round(digits)
    seen: dict[str, str | list[float]] = {"bank_2": sent[0], "sum": sent[1]}
    return seen | {"opened_real": opened.real.tolist(), "opened_imaginary": opened.imag.tolist()}, update
