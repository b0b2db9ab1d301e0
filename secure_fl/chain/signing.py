"""A person's key: Ed25519 (RFC 8032; Bernstein, Duif, Lange, Schwabe, Yang, "High-speed high-security signatures",
CHES 2011), from `cryptography`.

Rules: the private key is a type of its own that shows nothing, cannot be pickled, and lies in a file that only its
owner may read, without a passphrase: whoever may read that file signs in the owner's name. Each kind of key signs one
kind of thing: its own words stand before the message, so that no signature counts as one of another kind.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar, NoReturn, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from secure_fl.errors import ConfigurationError
from secure_fl.files import create_secret, read_secret

_SHOWN = 16


class SigningKey:
    """What a person signs with; kinds say what."""

    __slots__ = ("_private",)
    NAME: ClassVar[str]
    """What errors call it."""
    DOMAIN: ClassVar[bytes]
    """Stands before all that is signed."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls) -> Self:
        """A fresh key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """The key in `path` (PEM, PKCS #8), created with mode 0600 if there is none.

        Raises ConfigurationError if the file is open to others, malformed, or cannot be read or written.
        """
        failure = ""
        try:
            if not path.exists():
                fresh = Ed25519PrivateKey.generate()
                create_secret(path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            private = load_pem_private_key(read_secret(path, cls.NAME), password=None)
        except OSError as error:
            failure = f"cannot be used ({error.strerror or 'input/output error'}); make it readable for yourself alone"
        except (ValueError, TypeError, UnsupportedAlgorithm):
            failure = _NO_KEY
        else:
            if isinstance(private, Ed25519PrivateKey):
                return cls(private)
            failure = _NO_KEY
        raise ConfigurationError(f"{cls.NAME} {path} {failure}")

    @property
    def public(self) -> str:
        """The public key, 64 hexadecimal digits."""
        return self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, message: bytes) -> str:
        """128 hexadecimal digits."""
        return self._private.sign(self.DOMAIN + message).hex()

    @classmethod
    def holds(cls, public: str, signature: str, message: bytes) -> bool:
        """Whether a key of this kind signed exactly this message."""
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
            key.verify(bytes.fromhex(signature), cls.DOMAIN + message)
        except (ValueError, InvalidSignature):
            return False
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is never pickled; load it from its file where it is needed")


def fingerprint(public: str) -> str:
    """16 hexadecimal digits of the SHA-256 of a public key, to tell keys apart; who trusts one gives the whole key."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()[:_SHOWN]


_NO_KEY = "is no Ed25519 private key in PEM; restore it from a copy, or move it away to create a new one"
