"""Keyed pseudonyms for customers, terminals and merchants.

A plain hash of a customer number hides nothing: whoever can list the possible numbers hashes them all and looks
the result up (a dictionary attack). Here the hash is keyed BLAKE2b (RFC 7693), with a key that only the banks of
one federation share, so that the same merchant gets the same pseudonym in every bank and nobody else can
recompute it. The name of the column is bound into the hash: the same text in two columns gives two pseudonyms.

Rules: the key is a type of its own that shows nothing, is compared in constant time, cannot be pickled, and lies
in a file that only its owner may read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import NoReturn

import numpy as np
import platformdirs
from numpy.typing import NDArray

from secure_fl.data.transactions import codes_of
from secure_fl.errors import ConfigurationError
from secure_fl.files import create_secret, read_secret

KEY_BYTES = 32
KEY_VARIABLE = "SECURE_FL_KEY"
"""Environment variable that overrides where the key file lies."""


class FederationKey:
    """The secret that the banks of one federation share, and the aggregator does not have."""

    __slots__ = ("_secret",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, secret: bytes) -> None:
        """Wrap 32 secret bytes. Raises ConfigurationError on another length."""
        if len(secret) != KEY_BYTES:
            raise ConfigurationError(f"a federation key has {KEY_BYTES} bytes; create one with generate()")
        self._secret = bytes(secret)

    @classmethod
    def generate(cls) -> FederationKey:
        """A fresh key from the operating system's randomness."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def for_simulation(cls, seed: int) -> FederationKey:
        """A key that anybody can derive from the public seed. IT PROTECTS NOTHING.

        Only for simulated identifiers, so that an experiment repeats on every machine; never for real ones.
        """
        return cls(hashlib.blake2b(str(seed).encode(), digest_size=KEY_BYTES, person=b"sfl-simulation").digest())

    @classmethod
    def load_or_create(cls, path: Path | None = None) -> FederationKey:
        """The key in `path` (default: `default_key_path()`), created with mode 0600 if there is none.

        Raises ConfigurationError if the file is readable by others, malformed, or cannot be read or written.
        """
        path = path or default_key_path()
        failure = ""
        try:
            if not path.exists():
                create_secret(path, secrets.token_hex(KEY_BYTES).encode() + b"\n")
            text = read_secret(path, "the federation key").decode("ascii", errors="replace").strip()
        except OSError as error:
            failure = error.strerror or "input/output error"
        if failure:
            raise ConfigurationError(
                f"the federation key {path} cannot be used ({failure}); set {KEY_VARIABLE} to a file that you own"
            )
        if len(text) != 2 * KEY_BYTES or not set(text) <= set("0123456789abcdef"):
            raise ConfigurationError(
                f"{path} is no federation key; restore it from the other banks, or move it away to create a new one"
            )
        return cls(bytes.fromhex(text))

    def check_value(self) -> str:
        """16 hexadecimal digits that tell two keys apart and may be published, for instance in a model file."""
        return hashlib.blake2b(b"check value", key=self._secret, digest_size=8, person=b"sfl-check-value").hexdigest()

    def digest(self, column: str, value: str) -> bytes:
        """8 bytes: the keyed hash of one value of one column."""
        person = hashlib.blake2b(column.encode(), digest_size=16, person=b"sfl-column-name").digest()
        message = value.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(message, key=self._secret, digest_size=16, person=person).digest()[:8]

    def __repr__(self) -> str:
        return "FederationKey(hidden)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FederationKey):
            return NotImplemented
        return hmac.compare_digest(self._secret, other._secret)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a FederationKey is never pickled; load it from its file where it is needed")


def default_key_path() -> Path:
    """`federation.key` in the user's configuration folder, unless SECURE_FL_KEY names another file."""
    override = os.environ.get(KEY_VARIABLE)
    return Path(override) if override else platformdirs.user_config_path("secure-fl") / "federation.key"


def pseudonymize(column: str, values: NDArray[np.object_], key: FederationKey) -> NDArray[np.uint64]:
    """uint64 [n]: the pseudonym of each text in `values` [n]; equal texts of one column get equal pseudonyms."""
    levels, codes = codes_of(values)
    digests = b"".join(key.digest(column, level) for level in levels)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)[codes]
