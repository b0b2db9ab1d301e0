"""The generator: recomputed from HMAC and AES, all bits of the key at work, and nothing shared between purposes."""

from __future__ import annotations

import hashlib
import hmac
import math

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from secure_fl.errors import ConfigurationError
from secure_fl.training.keystream import Keystream

KEY = hashlib.sha256(b"a key").digest()


@pytest.mark.parametrize("draw", [0, 1, 2])
def test_words_are_aes_ctr_under_an_hkdf_key(draw: int) -> None:
    """RFC 5869's expand step, one block of it, by hand."""
    stream = Keystream(KEY, "noise")
    for _ in range(draw):
        stream.words(7)
    info = b"secure_fl private training, noise, draw %d" % draw
    subkey = hmac.digest(KEY, info + b"\x01", hashlib.sha256)
    expected = Cipher(algorithms.AES256(subkey), modes.CTR(bytes(16))).encryptor().update(bytes(800))
    assert stream.words(100).tobytes() == expected


@given(st.integers(0, 255), st.binary(min_size=32, max_size=32))
def test_every_bit_of_the_key_counts(bit: int, key: bytes) -> None:
    changed = (int.from_bytes(key, "big") ^ (1 << bit)).to_bytes(32, "big")
    one, other = (Keystream(k, "noise").words(200) for k in (key, changed))
    equal = np.bitwise_count(~(one ^ other)).sum() / (64 * 200)
    assert abs(equal - 0.5) < 6 / math.sqrt(4 * 64 * 200)


def test_purposes_and_draws_share_nothing() -> None:
    words = []
    for purpose in ("samples", "dropout", "noise"):
        stream = Keystream(KEY, purpose)
        words += [word for _ in range(5) for word in stream.words(1_000).tolist()]
    assert len(set(words)) == len(words)


def test_how_much_a_draw_takes_moves_no_other() -> None:
    short, long = Keystream(KEY, "noise"), Keystream(KEY, "noise")
    assert short.words(3).tolist() == long.words(3_000)[:3].tolist()
    assert short.words(5).tolist() == long.words(5).tolist()


def test_words_are_uniform() -> None:
    words = Keystream(KEY, "noise").words(200_000)
    for shift in (0, 8, 31, 56):
        counts = np.bincount(((words >> np.uint64(shift)) & np.uint64(255)).astype(int), minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("probability", [1e-4, 0.02, 0.5, 0.7, 1 - 1e-4])
def test_coins_fall_as_often_as_they_should(probability: float) -> None:
    coins = Keystream(KEY, "samples").coins(500_000, probability)
    spread = math.sqrt(500_000 * probability * (1 - probability))
    assert abs(coins.sum() - 500_000 * probability) < 4.5 * spread


def test_coins_of_the_extremes() -> None:
    assert Keystream(KEY, "samples").coins(100_000, 1.0).all()
    assert not Keystream(KEY, "samples").coins(100_000, 0.0).any()
    assert not Keystream(KEY, "samples").coins(100_000, 2.0**-70).any()


def test_a_coin_is_never_likelier_than_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the 2**64 words, exactly probability * 2**64 are heads: sampling more often would cost more epsilon."""
    edge = int(0.3 * 2**64)
    words = np.array([0, edge - 1, edge, 2**64 - 1], dtype=np.uint64)
    monkeypatch.setattr(Keystream, "words", lambda self, count: words)
    assert Keystream(KEY, "samples").coins(4, 0.3).tolist() == [True, True, False, False]


@pytest.mark.parametrize("size", [0, 4, 8, 31, 33])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{size} bytes is refused; use 32"):
        Keystream(bytes(size), "noise")


def test_a_key_is_never_shown() -> None:
    shown = repr(Keystream(KEY, "noise"))
    assert KEY.hex() not in shown
    assert repr(KEY)[2:-1] not in shown
