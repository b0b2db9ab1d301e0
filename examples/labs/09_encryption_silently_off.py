"""WEAK ON PURPOSE, never use it: encryption that is silently off.

A library is missing, so the code falls back to sending bytes as they are, compressed and in base64; the log says
"encrypted". In `secure_fl` a scheme that was asked for is the scheme that runs, and nothing falls back.
"""

from __future__ import annotations

import base64
import secrets
import struct
import zlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TITLE = "Encryption silently off"
GOAL = "you are an eavesdropper: recover bank 2's update, 8 numbers, from the message (base64)"


def instance() -> tuple[dict[str, str], list[int]]:
    return _sent(encrypted=False)


def strong() -> tuple[dict[str, str], list[int]]:
    """AES-256-GCM under a key that only the receiver has."""
    return _sent(encrypted=True)


def _sent(encrypted: bool) -> tuple[dict[str, str], list[int]]:
    update = [secrets.randbelow(256) for _ in range(8)]
    message = zlib.compress(struct.pack("<8f", *update))
    if encrypted:
        message = AESGCM(secrets.token_bytes(32)).encrypt(bytes(12), message, None)
    return {"message": base64.b64encode(message).decode()}, update
