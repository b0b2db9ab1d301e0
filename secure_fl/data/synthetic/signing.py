"""A reviewer's key: Ed25519 (RFC 8032; Bernstein, Duif, Lange, Schwabe, Yang, "High-speed high-security signatures",
CHES 2011), from `cryptography`.

Rules: the private key is a type of its own that shows nothing, cannot be pickled, and lies in a file that only its
owner may read, without a passphrase: whoever may read that file signs in the reviewer's name.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NoReturn

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
from secure_fl.secret_file import create_secret, read_secret

_DOMAIN = b"secure-fl review log, one line, signed\x00"
"""Stands before all that is signed, so that a signature made for something else is none of ours."""
_SHOWN = 16


class ReviewerKey:
    """What a reviewer signs decisions with."""

    __slots__ = ("_private",)

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls) -> ReviewerKey:
        """A fresh key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path) -> ReviewerKey:
        """The key in `path` (PEM, PKCS #8), created with mode 0600 if there is none.

        Raises ConfigurationError if the file is open to others, malformed, or cannot be read or written.
        """
        failure = ""
        try:
            if not path.exists():
                fresh = Ed25519PrivateKey.generate()
                create_secret(path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            private = load_pem_private_key(read_secret(path, "the reviewer's key"), password=None)
        except OSError as error:
            failure = f"cannot be used ({error.strerror or 'input/output error'}); make it readable for yourself alone"
        except (ValueError, TypeError, UnsupportedAlgorithm):
            failure = _NO_KEY
        else:
            if isinstance(private, Ed25519PrivateKey):
                return cls(private)
            failure = _NO_KEY
        raise ConfigurationError(f"the reviewer's key {path} {failure}")

    @property
    def public(self) -> str:
        """The public key, 64 hexadecimal digits."""
        return self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, message: bytes) -> str:
        """128 hexadecimal digits."""
        return self._private.sign(_DOMAIN + message).hex()

    def __repr__(self) -> str:
        return "ReviewerKey(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ReviewerKey is never pickled; load it from its file where it is needed")


def holds(public: str, signature: str, message: bytes) -> bool:
    """Whether the key signed exactly this message."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(signature), _DOMAIN + message)
    except (ValueError, InvalidSignature):
        return False
    return True


def fingerprint(public: str) -> str:
    """16 hexadecimal digits of the SHA-256 of a public key, to tell keys apart; who trusts one gives the whole key."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()[:_SHOWN]


_NO_KEY = "is no Ed25519 private key in PEM; restore it from a copy, or move it away to create a new one"
