"""Key agreement, signatures and encryption between banks, against the vectors of their RFCs."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import MessageError
from secure_fl.secagg.hazmat.agreement import (
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    TAG_BYTES,
    AgreementKey,
    SigningKey,
    decrypt,
    encrypt,
    seal_to,
    unseal,
    verify,
)

# RFC 7748, section 6.1
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
SHARED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")

# Points of small order: whoever accepts one agrees on a key that everybody knows.
SMALL_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    b"\xec" + b"\xff" * 30 + b"\x7f",
    b"\xed" + b"\xff" * 30 + b"\x7f",
    b"\xee" + b"\xff" * 30 + b"\x7f",
]


def hkdf_sha256(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with an empty salt and one block of output."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\1", hashlib.sha256).digest()


def test_rfc_7748_6_1() -> None:
    alice, bob = AgreementKey(ALICE), AgreementKey(BOB)
    assert (alice.public, bob.public) == (ALICE_PUBLIC, BOB_PUBLIC)
    assert alice.agree(BOB_PUBLIC, b"use") == bob.agree(ALICE_PUBLIC, b"use") == hkdf_sha256(SHARED, b"use")


def test_rfc_5869_is_what_the_comparison_uses() -> None:
    """Test case 3 of the RFC: no salt, no info; the first 32 bytes of its output."""
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert hkdf_sha256(b"\x0b" * 22, b"").hex() == expected


def test_each_use_has_its_own_key() -> None:
    alice = AgreementKey(ALICE)
    assert alice.agree(BOB_PUBLIC, b"one") != alice.agree(BOB_PUBLIC, b"two")


def test_keys_are_drawn_afresh_and_come_back_from_their_secret() -> None:
    keys = [AgreementKey() for _ in range(20)]
    assert len({key.public for key in keys}) == 20
    assert [AgreementKey(key.secret()).public for key in keys] == [key.public for key in keys]


@pytest.mark.parametrize("public", [*SMALL_ORDER, b"", bytes(31), bytes(33)], ids=lambda public: public.hex()[:16])
def test_a_public_key_that_cannot_agree_is_refused(public: bytes) -> None:
    with pytest.raises(MessageError, match="not usable"):
        AgreementKey().agree(public, b"use")


def test_rfc_8032_test_1(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = Ed25519PrivateKey.from_private_bytes(secret)
    monkeypatch.setattr(Ed25519PrivateKey, "generate", lambda: key)
    signing = SigningKey()
    assert signing.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = signing.sign(b"")
    assert signature.hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b"
        "be24655141438e7a100b"
    )
    verify(signing.public, signature, b"", "bank-1")


@given(st.integers(0, 8 * SIGNATURE_BYTES - 1))
def test_an_altered_signature_does_not_verify(bit: int) -> None:
    key = SigningKey()
    altered = bytearray(key.sign(b"keys"))
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MessageError, match="bank-7"):
        verify(key.public, bytes(altered), b"keys", "bank-7")


@pytest.mark.parametrize(
    "public", [b"", bytes(31), b"\xff" * 32, SigningKey().public], ids=["empty", "short", "no-point", "anothers"]
)
def test_another_identity_does_not_verify(public: bytes) -> None:
    with pytest.raises(MessageError, match="bank-7"):
        verify(public, SigningKey().sign(b"keys"), b"keys", "bank-7")


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_what_is_no_signature_does_not_verify(signature: bytes) -> None:
    with pytest.raises(MessageError):
        verify(SigningKey().public, signature, b"keys", "bank-7")


def test_encryption_is_aes_256_gcm_and_opens_again() -> None:
    key, plaintext = bytes(range(32)), b"two shares"
    sealed = encrypt(key, plaintext, b"from 1 to 2")
    assert len(sealed) == len(plaintext) + TAG_BYTES
    assert AESGCM(key).decrypt(bytes(12), sealed, b"from 1 to 2") == plaintext
    assert decrypt(key, sealed, b"from 1 to 2") == plaintext


@given(st.integers(0, 8 * 26 - 1))
def test_an_altered_ciphertext_does_not_open(bit: int) -> None:
    altered = bytearray(encrypt(bytes(32), b"two shares", b"route"))
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MessageError, match="altered"):
        decrypt(bytes(32), bytes(altered), b"route")


def test_a_ciphertext_opens_only_with_its_key_on_its_route_and_whole() -> None:
    sealed = encrypt(bytes(32), b"two shares", b"route")
    for key, data, route in [
        (b"\1" * 32, sealed, b"route"),
        (bytes(32), sealed, b"another"),
        (bytes(32), sealed[:-1], b"route"),
        (bytes(32), sealed + b"\0", b"route"),
        (bytes(32), b"", b"route"),
    ]:
        with pytest.raises(MessageError, match="altered"):
            decrypt(key, data, route)


def test_secret_keys_are_not_shown() -> None:
    key = AgreementKey(ALICE)
    assert repr(key) == "AgreementKey(...)"
    assert repr(SigningKey()) == "SigningKey(...)"
    assert len(key.public) == PUBLIC_KEY_BYTES


def test_one_key_agrees_with_each_of_several_others_on_another_secret() -> None:
    """A shared secret is remembered, for the one that it was agreed with."""
    mine, others = AgreementKey(), [AgreementKey() for _ in range(3)]
    for _ in range(2):
        agreed = [mine.agree(other.public, b"use") for other in others]
        assert agreed == [other.agree(mine.public, b"use") for other in others]
        assert len(set(agreed)) == 3


def test_of_a_sealed_message_nothing_is_kept() -> None:
    mine = AgreementKey()
    for number in range(3):
        assert unseal(mine, seal_to(mine.public, bytes([number]), b"route"), b"route") == bytes([number])
    assert mine._shared == {}
    assert mine.agree_once(BOB_PUBLIC, b"use") == AgreementKey(mine.secret()).agree(BOB_PUBLIC, b"use")
    assert mine._shared == {}


def test_a_sealed_message_opens_with_its_key_and_purpose_only() -> None:
    mine = AgreementKey()
    sealed = seal_to(mine.public, b"text", b"route")
    for key, data, purpose in [
        (AgreementKey(), sealed, b"route"),
        (mine, sealed, b"other"),
        (mine, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"route"),
    ]:
        with pytest.raises(MessageError, match="altered"):
            unseal(key, data, purpose)
    with pytest.raises(MessageError, match="not usable"):
        unseal(mine, SMALL_ORDER[0] + sealed[PUBLIC_KEY_BYTES:], b"route")
