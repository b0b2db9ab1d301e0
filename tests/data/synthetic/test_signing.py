"""A reviewer's key: whose signatures anybody can check, and that turns up nowhere but in its file."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.chain.signing import fingerprint
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.errors import ConfigurationError

KEY = ReviewerKey.generate()
ENCRYPTION = NoEncryption()


def test_the_signature_is_ed25519_of_the_message_behind_our_own_words() -> None:
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(KEY.public))
    signature = bytes.fromhex(KEY.sign(b"message"))
    public.verify(signature, b"secure-fl review log, one line, signed\x00message")
    assert not ReviewerKey.holds(KEY.public, Ed25519PrivateKey.generate().sign(b"message").hex(), b"message")


def test_a_public_key_has_the_fingerprint_that_anybody_can_compute() -> None:
    """RFC 8032, section 7.1, test 1: from the secret seed to the public key."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = ReviewerKey(Ed25519PrivateKey.from_private_bytes(seed))
    assert key.public == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert fingerprint(key.public) == hashlib.sha256(bytes.fromhex(key.public)).hexdigest()[:16]


@given(st.binary(max_size=40), st.integers(0, 511))
def test_another_message_key_or_signature_does_not_hold(message: bytes, bit: int) -> None:
    signature = KEY.sign(message)
    assert ReviewerKey.holds(KEY.public, signature, message)
    flipped = bytearray(bytes.fromhex(signature))
    flipped[bit // 8] ^= 1 << bit % 8
    assert not ReviewerKey.holds(KEY.public, flipped.hex(), message)
    assert not ReviewerKey.holds(KEY.public, signature, message + b"\x00")
    assert not ReviewerKey.holds(ReviewerKey.generate().public, signature, message)
    assert not ReviewerKey.holds("f" * 64, signature, message)


def test_the_key_shows_nothing_and_cannot_be_pickled() -> None:
    assert repr(KEY) == str(KEY) == f"{KEY}" == "ReviewerKey(hidden)"
    assert not hasattr(KEY, "__dict__")
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            copying(KEY)


def test_a_key_file_is_created_once_with_mode_0600(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "reviewer.key"
    old = os.umask(0)
    try:
        key = ReviewerKey.load_or_create(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ReviewerKey.load_or_create(path).public == key.public
    assert ReviewerKey.load_or_create(tmp_path / "other").public != key.public
    assert isinstance(load_pem_private_key(path.read_bytes(), password=None), Ed25519PrivateKey)
    assert [p.name for p in path.parent.iterdir()] == ["reviewer.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o602])
def test_a_key_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "reviewer.key"
    ReviewerKey.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="open to other users; run: chmod 600"):
        ReviewerKey.load_or_create(path)


def pem(key: Ed25519PrivateKey | X25519PrivateKey, password: bytes = b"") -> bytes:
    hidden = BestAvailableEncryption(password) if password else ENCRYPTION
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"8675309",
        b"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n",
        pem(X25519PrivateKey.generate()),
        pem(Ed25519PrivateKey.generate(), b"password"),
    ],
    ids=["empty", "digits", "torn", "another kind", "encrypted"],
)
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "reviewer.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is no Ed25519 private key") as caught:
        ReviewerKey.load_or_create(path)
    assert not content or content.decode() not in str(caught.value)
    assert path.read_bytes() == content


def test_a_key_file_that_cannot_be_read_or_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        ReviewerKey.load_or_create(tmp_path / "file" / "reviewer.key")
