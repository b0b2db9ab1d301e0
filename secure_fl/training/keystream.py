"""Secret random numbers of one release: AES-256 in counter mode under keys derived from the release's own.

Each purpose has a key of its own (HKDF-SHA256, RFC 5869), and so has each draw: what is learned of one says nothing of
another, and how much one purpose draws moves no other. The same key draws the same numbers, on every device. All 256
bits of the key count.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.hazmat.prg import SEED_BYTES, add_mask


@dataclass
class Keystream:
    """The numbers that a release draws for one purpose, in their order. Raises `ConfigurationError` for a short key."""

    key: bytes = field(repr=False)
    """32 bytes, uniformly random and secret."""
    purpose: str
    _draws: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if len(self.key) != SEED_BYTES:
            raise ConfigurationError(
                f"a key of {len(self.key)} bytes is refused; use {SEED_BYTES} from a cryptographic generator"
            )

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next `count` numbers, uniform on 0 .. 2**64 - 1."""
        purpose = f"secure_fl private training, {self.purpose}, draw {self._draws}".encode()
        self._draws += 1
        numbers = np.zeros(count, dtype=np.uint64)
        add_mask(numbers, HKDFExpand(SHA256(), length=SEED_BYTES, info=purpose).derive(self.key))
        return numbers

    def coins(self, count: int, probability: float) -> NDArray[np.bool_]:
        """Independent coins, each true with `probability`, or up to 2**-64 less."""
        chances = int(probability * 2**64)  # exact: a float times a power of two
        if chances == 0:
            return np.zeros(count, dtype=np.bool_)
        heads: NDArray[np.bool_] = self.words(count) <= np.uint64(chances - 1)
        return heads
