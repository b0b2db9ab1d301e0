"""Key agreement, encryption and signatures between banks, all from `cryptography`.

X25519 (RFC 7748) with HKDF-SHA256 (RFC 5869), AES-256-GCM (NIST SP 800-38D), Ed25519 (RFC 8032).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from secure_fl.errors import MessageError

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
TAG_BYTES = 16
_ONE_MESSAGE = bytes(12)


class AgreementKey:
    """An X25519 key pair."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._key = X25519PrivateKey.generate() if secret is None else X25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()
        self._shared: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        return "AgreementKey(...)"

    def secret(self) -> bytes:
        """The 32 secret bytes, to be shared among banks."""
        return self._key.private_bytes_raw()

    def agree(self, other: bytes, purpose: bytes) -> bytes:
        """A 256-bit key that both ends derive; `purpose` binds it to one use. Raises `MessageError`.

        Its secret is kept as long as this key is, for further purposes: among those who agree again and again.
        """
        if other not in self._shared:
            self._shared[other] = self._exchange(other)
        return _derived(self._shared[other], purpose)

    def agree_once(self, other: bytes, purpose: bytes) -> bytes:
        """The same with a key that does not come again, such as a message's own: nothing of it is kept."""
        return _derived(self._exchange(other), purpose)

    def _exchange(self, other: bytes) -> bytes:
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(other))
        except ValueError:
            raise MessageError("a public key is not usable for key agreement; use another") from None


def _derived(shared: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=purpose).derive(shared)


class SigningKey:
    """A party's long-lived Ed25519 identity."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._key = Ed25519PrivateKey.generate() if secret is None else Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return "SigningKey(...)"

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def verify(public: bytes, signature: bytes, message: bytes, who: str) -> None:
    """Raises `MessageError` unless `who`, whose identity key is `public`, signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise MessageError(f"a signature of {who} does not verify; somebody else wrote that message") from None


def encrypt(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """AES-256-GCM under a key that encrypts this one message only."""
    return AESGCM(key).encrypt(_ONE_MESSAGE, plaintext, associated)


def seal_to(public: bytes, plaintext: bytes, purpose: bytes) -> bytes:
    """For whoever holds the key of `public`: under a fresh key agreed with it, whose public half goes ahead."""
    fresh = AgreementKey()
    return fresh.public + encrypt(fresh.agree_once(public, purpose), plaintext, purpose)


def unseal(key: AgreementKey, sealed: bytes, purpose: bytes) -> bytes:
    """The inverse of `seal_to`. Raises `MessageError`."""
    return decrypt(key.agree_once(sealed[:PUBLIC_KEY_BYTES], purpose), sealed[PUBLIC_KEY_BYTES:], purpose)


def decrypt(key: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """The inverse of `encrypt`. Raises `MessageError`."""
    try:
        return AESGCM(key).decrypt(_ONE_MESSAGE, ciphertext, associated)
    except InvalidTag:
        raise MessageError("an encrypted message between banks was altered; make a new attempt") from None
