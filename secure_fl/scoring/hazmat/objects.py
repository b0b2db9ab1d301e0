"""SEAL objects as bytes: contexts, saving, and the checks before bytes from elsewhere are loaded.

SEAL's loader expands what is compressed before it looks inside, so here objects are expanded first, each to the one
length that it must have, and all that lies inside them is checked to be uncompressed (`secagg.hazmat.he_layout` says
why, and how SEAL writes objects).

    ciphertext    members; the coefficients of c0 and c1
    new one       members; the coefficients of c0; the seed of c1
    keys          parameters' digest; a list for each key, mostly empty; in each, for each data prime, a new ciphertext
                  under all primes
    public key    a ciphertext under all primes

A secret key has another length than each of these, and is refused by name wherever it turns up.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.errors import MessageError, PlanError, SecretExposureError
from secure_fl.scoring.error_bound import Chain
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.secagg.hazmat import he_words
from secure_fl.secagg.hazmat.he_layout import (
    COUNT,
    HEADER,
    MEMBERS_BYTES,
    WORD_BYTES,
    check_coefficients,
    check_uncompressed,
    header_of,
    uncompressed,
    unreadable,
)

SealObject: TypeAlias = Any
Kind: TypeAlias = Literal["ciphertext", "new ciphertext", "relinearization keys", "galois keys", "public key"]
_SEED_BYTES = HEADER.size + 1 + 64
"""A generator's kind and its seed of 512 bits."""
_DIGEST_BYTES = 32
_LENGTH_DELIMITED, _PRIVATE_FIELD, _FIELDS_OF_A_CONTEXT = 2, 3, 16
_SEAL_MAGIC = b"\x5e\xa1"


@lru_cache(maxsize=16)
def context(parameters: CkksParameters) -> SealObject:
    """SEAL's context; it holds no key."""
    chosen = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS)
    chosen.set_poly_modulus_degree(parameters.degree)
    chosen.set_coeff_modulus(_primes(parameters))
    made = sealapi.SEALContext(chosen, True, sealapi.SEC_LEVEL_TYPE.TC128)
    assert made.parameters_set(), made.parameters_error_message()  # CkksParameters is stricter
    return made


@lru_cache(maxsize=64)
def chain_of(parameters: CkksParameters) -> Chain:
    """The primes that SEAL takes for these sizes."""
    values = tuple(int(prime.value()) for prime in _primes(parameters))
    data = values[: len(parameters.data_bits)]
    return Chain(parameters.degree, data, None if parameters.special_bits is None else values[-1])


def _primes(parameters: CkksParameters) -> list[SealObject]:
    """Raises `PlanError` where there are not so many primes of a size."""
    try:
        return list(sealapi.CoeffModulus.Create(parameters.degree, list(parameters.coeff_mod_bit_sizes)))
    except (ValueError, RuntimeError):
        raise PlanError(
            f"there are too few primes of {list(parameters.coeff_mod_bit_sizes)} bits for degree {parameters.degree}; "
            "use other sizes"
        ) from None


def loaded(kind: Kind, parameters: CkksParameters, data: memoryview, keys: int = 0, primes: int = 0) -> SealObject:
    """The object in `data`. Raises `MessageError`, or `SecretExposureError` for a secret key.

    `keys`: how many Galois keys there must be; `primes`: how many a ciphertext must have, all of them if 0.
    """
    primes = primes or len(parameters.data_bits)
    made: SealObject
    match kind:
        case "ciphertext" | "new ciphertext":
            made, length = sealapi.Ciphertext(), _ciphertext_bytes(parameters, primes, kind == "new ciphertext")
        case "relinearization keys":
            made, length = sealapi.RelinKeys(), _keys_bytes(parameters, 1, 1)
        case "galois keys":
            made, length = sealapi.GaloisKeys(), _keys_bytes(parameters, parameters.degree, keys)
        case "public key":
            primes = len(parameters.coeff_mod_bit_sizes)
            made, length = sealapi.PublicKey(), _ciphertext_bytes(parameters, primes, new=False)
    try:
        minor, body = uncompressed(data, length)
    except MessageError:
        refuse_secret_key(parameters, data)
        raise
    if kind in ("ciphertext", "new ciphertext", "public key"):
        _check_ciphertext(body, parameters, primes, kind == "new ciphertext")
    else:
        _check_keys(body, parameters, keys if kind == "galois keys" else 1)
    return _read(made, parameters, b"".join((header_of(minor, len(body)), body)))


def changed(value: SealObject, parameters: CkksParameters, change: Callable[[NDArray[np.uint64]], None]) -> SealObject:
    """A ciphertext like this one with other numbers: `change` writes into them, uint64 [2, its primes, N]."""
    primes = value.coeff_modulus_size()
    minor, body = uncompressed(memoryview(he_words.saved(value)), _ciphertext_bytes(parameters, primes, new=False))
    copy = bytearray(body)
    words = np.frombuffer(copy, dtype="<u8", offset=len(copy) - WORD_BYTES * 2 * primes * parameters.degree)
    change(words.reshape(2, primes, parameters.degree))
    return _read(sealapi.Ciphertext(), parameters, b"".join((header_of(minor, len(copy)), copy)))


def refuse_secret_key(parameters: CkksParameters, data: bytes | memoryview) -> None:
    """Raises `SecretExposureError` where `data` is a secret key of these parameters, or a TenSEAL context with one."""
    try:
        minor, body = uncompressed(memoryview(data), _secret_key_bytes(parameters))
        _read(sealapi.SecretKey(), parameters, b"".join((header_of(minor, len(body)), body)))
    except MessageError:
        if not _is_context_with_secret_key(memoryview(data)):
            return
    raise SecretExposureError(
        "a secret key turned up where whoever computes would see it; send evaluation keys only, and make a new key"
    )


def _is_context_with_secret_key(data: memoryview) -> bool:
    """As TenSEAL writes contexts: a protocol buffer of fields with their lengths, parameters first, then secrets.

    Nothing is loaded or expanded, and few fields are looked at: it takes no longer for a message full of them.
    """
    place, field, is_context = 0, 0, False
    for _ in range(_FIELDS_OF_A_CONTEXT):
        if place >= len(data):
            return False
        if data[place] & 7 != _LENGTH_DELIMITED:
            return False
        field, place, length, shift = data[place] >> 3, place + 1, 0, 0
        while place < len(data):
            byte = data[place]
            length |= (byte & 127) << shift
            place, shift = place + 1, shift + 7
            if byte < 128 or shift > 35:
                break
        is_context = is_context or (field == 1 and bytes(data[place : place + len(_SEAL_MAGIC)]) == _SEAL_MAGIC)
        if not is_context or field == _PRIVATE_FIELD:
            return is_context and length > 0
        place += length
    return False


def _read(made: SealObject, parameters: CkksParameters, data: bytes) -> SealObject:
    try:
        return he_words.loaded(made, context(parameters), data)
    except (ValueError, RuntimeError):
        raise unreadable() from None


def _ciphertext_bytes(parameters: CkksParameters, primes: int, new: bool) -> int:
    polynomials = 1 if new else 2
    coefficients = polynomials * primes * parameters.degree
    return MEMBERS_BYTES + HEADER.size + COUNT.size + WORD_BYTES * coefficients + (_SEED_BYTES if new else 0)


def _keys_bytes(parameters: CkksParameters, lists: int, filled: int) -> int:
    one = HEADER.size + _ciphertext_bytes(parameters, len(parameters.coeff_mod_bit_sizes), new=True)
    return _DIGEST_BYTES + COUNT.size * (1 + lists) + filled * len(parameters.data_bits) * one


def _secret_key_bytes(parameters: CkksParameters) -> int:
    """Members of a plaintext, and its coefficients under all primes."""
    words = len(parameters.coeff_mod_bit_sizes) * parameters.degree
    return _DIGEST_BYTES + 2 * COUNT.size + HEADER.size + COUNT.size + WORD_BYTES * words


def _check_ciphertext(body: memoryview, parameters: CkksParameters, primes: int, new: bool) -> None:
    coefficients = (1 if new else 2) * primes * parameters.degree
    start = MEMBERS_BYTES + HEADER.size + COUNT.size
    check_coefficients(bytes(body[MEMBERS_BYTES:start]), coefficients)
    if new:
        seed = start + WORD_BYTES * coefficients
        check_uncompressed(bytes(body[seed : seed + HEADER.size]), _SEED_BYTES)


def _check_keys(body: memoryview, parameters: CkksParameters, filled: int) -> None:
    """Walks through the lists: each is empty or has a key for each data prime."""
    (lists,) = COUNT.unpack_from(body, _DIGEST_BYTES)
    each = len(parameters.data_bits)
    primes = len(parameters.coeff_mod_bit_sizes)
    length = _ciphertext_bytes(parameters, primes, new=True)
    place, found = _DIGEST_BYTES + COUNT.size, 0
    try:
        for _ in range(min(lists, parameters.degree)):
            (keys,) = COUNT.unpack_from(body, place)
            place += COUNT.size
            if keys not in (0, each):
                raise unreadable()
            found += bool(keys)
            for _ in range(keys):
                check_uncompressed(bytes(body[place : place + HEADER.size]), HEADER.size + length)
                place += HEADER.size
                _check_ciphertext(body[place : place + length], parameters, primes, new=True)
                place += length
    except struct.error:
        raise unreadable() from None
    if place != len(body) or found != filled:
        raise unreadable()
