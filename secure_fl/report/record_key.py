"""Who signs the records of runs: a key of the user's own, made on first use; and how a reader names one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Self

import platformdirs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from secure_fl.chain.signing import SigningKey
from secure_fl.errors import ConfigurationError

KEY_VARIABLE = "SECURE_FL_RECORD_KEY"
"""Environment variable that overrides where the key file lies."""


class RecordKey(SigningKey):
    """What a user signs the records of runs with."""

    __slots__ = ()
    NAME = "the key of records"
    DOMAIN = b"secure-fl record of a run, its head, signed\x00"

    @classmethod
    def of_user(cls) -> Self:
        """The key in `record_key_path()`, created if there is none. Raises as `load_or_create`."""
        return cls.load_or_create(record_key_path())


def record_key_path() -> Path:
    """`record.key` in the user's configuration folder, unless SECURE_FL_RECORD_KEY names another file."""
    override = os.environ.get(KEY_VARIABLE)
    return Path(override) if override else platformdirs.user_config_path("secure-fl") / "record.key"


def public_key(named: str | None) -> str | None:
    """64 hexadecimal digits: the public key that is given so, or in a PEM file; without a name the user's own.

    None where there is neither: nothing is created. Raises `ConfigurationError` for what is no public key.
    """
    if named is None:
        return RecordKey.of_user().public if record_key_path().exists() else None
    if re.fullmatch("[0-9a-fA-F]{64}", named):
        return named.lower()
    failure = "is no Ed25519 public key"
    try:
        key = load_pem_public_key(Path(named).read_bytes())
    except OSError as error:
        failure = f"cannot be read ({error.strerror or 'input/output error'})"
    except (ValueError, UnsupportedAlgorithm):
        pass
    else:
        if isinstance(key, Ed25519PublicKey):
            return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    raise ConfigurationError(f"--key {named} {failure}; give the 64 hexadecimal digits, or a PEM file that holds it")
