"""The keystream that masks: AES-256-CTR by the book, and adding it is the inverse of subtracting it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.secagg.hazmat import prg
from secure_fl.secagg.hazmat.prg import SEED_BYTES, add_mask, subtract_mask, words

BLOCK = 1 << 18
both_words = pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
around_blocks = pytest.mark.parametrize("nbytes", [4, 12, 20, BLOCK - 4, BLOCK, BLOCK + 4, 2 * BLOCK + 12, 3 * BLOCK])


def keystream(seed: bytes, nbytes: int) -> bytes:
    """AES-256 in ECB over a counter: the definition of counter mode, written down independently."""
    counters = b"".join(i.to_bytes(16, "big") for i in range(-(-nbytes // 16)))
    return Cipher(algorithms.AES256(seed), modes.ECB()).encryptor().update(counters)[:nbytes]


def test_nist_sp_800_38a_f_5_5(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vector starts its counter at f0f1...; ours starts at zero, so only the counter is replaced."""
    counter = bytes(range(0xF0, 0x100))
    monkeypatch.setattr(prg, "modes", SimpleNamespace(CTR=lambda nonce: modes.CTR(counter)))
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    plaintext = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    ciphertext = bytes.fromhex(
        "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
    )
    mask = np.zeros(len(plaintext) // 4, dtype=np.uint32)
    add_mask(mask, key)
    assert bytes(a ^ b for a, b in zip(mask.tobytes(), plaintext, strict=True)) == ciphertext


def test_aes_256_of_the_zero_block_under_the_zero_key() -> None:
    """NIST's known answer (AESAVS, all zeros): the first block of the keystream, without touching the counter."""
    mask = np.zeros(4, dtype=np.uint32)
    add_mask(mask, bytes(32))
    assert mask.tobytes().hex() == "dc95c078a2408989ad48a21492842087"


@both_words
@around_blocks
def test_a_mask_is_the_keystream_of_its_seed(dtype: type[np.unsignedinteger[Any]], nbytes: int) -> None:
    seed = bytes(range(SEED_BYTES))
    mask = np.zeros(nbytes // np.dtype(dtype).itemsize, dtype=dtype)
    add_mask(mask, seed)
    assert mask.tobytes() == keystream(seed, nbytes)


@both_words
@around_blocks
def test_subtracting_takes_off_what_was_added(dtype: type[np.unsignedinteger[Any]], nbytes: int) -> None:
    values = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, nbytes // np.dtype(dtype).itemsize, dtype=dtype)
    vector = values.copy()
    add_mask(vector, b"a" * 32)
    subtract_mask(vector, b"b" * 32)
    assert not (vector == values).all()
    add_mask(vector, b"b" * 32)
    subtract_mask(vector, b"a" * 32)
    assert (vector == values).all()


@given(st.lists(st.integers(0, 2**16 - 1), max_size=40), st.binary(min_size=32, max_size=32))
def test_masks_wrap_around(values: list[int], seed: bytes) -> None:
    vector = np.array(values, dtype=np.uint16)
    add_mask(vector, seed)
    stream = np.frombuffer(keystream(seed, 2 * len(values)), dtype="<u2")
    assert vector.tolist() == [(v + int(s)) % 2**16 for v, s in zip(values, stream, strict=True)]


@pytest.mark.parametrize("place", range(SEED_BYTES))
def test_every_byte_of_a_seed_counts(place: int) -> None:
    seed = bytearray(32)
    seed[place] = 1
    one, other = np.zeros(8, dtype=np.uint32), np.zeros(8, dtype=np.uint32)
    add_mask(one, bytes(seed))
    add_mask(other, bytes(32))
    assert (one != other).all()


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="key"):
        add_mask(np.zeros(4, dtype=np.uint16), bytes(length))


@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_words_are_the_keystream(count: int) -> None:
    seed = bytes(range(SEED_BYTES))
    stream = words(seed, count)
    assert stream.dtype == np.uint64
    assert stream.astype("<u8").tobytes() == keystream(seed, 8 * count)
