"""WEAK ON PURPOSE, never use it: mask seeds of 12 bits.

Three banks agree pairwise on seeds and expand them to masks, which one of two adds and the other subtracts, so that
they cancel in the sum. The protocol is right; the seeds are a PIN. Generators with 32-bit seeds (numpy's legacy one,
say) fall to the same search, with more patience. Real masks come from AES-256 under 256-bit keys
(`secure_fl/secagg/hazmat/prg.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import numpy as np

TITLE = "Mask seeds of twelve bits"
GOAL = "recover bank 2's update, 8 numbers from 0 to 255; a mask is expand(seed) of this lab's file"
RING, LENGTH = 1 << 16, 8


def expand(seed: int) -> list[int]:
    """The mask of a seed."""
    return [int(number) for number in np.random.default_rng(seed).integers(0, RING, LENGTH)]


def instance() -> tuple[dict[str, list[int]], list[int]]:
    return _round(lambda: secrets.randbelow(1 << 12))


def strong() -> tuple[dict[str, list[int]], list[int]]:
    """Seeds of 256 bits."""
    return _round(lambda: secrets.randbits(256))


def _round(seed: Callable[[], int]) -> tuple[dict[str, list[int]], list[int]]:
    updates = [[secrets.randbelow(256) for _ in range(LENGTH)] for _ in range(3)]
    with_1, with_3 = expand(seed()), expand(seed())  # bank 2's masks with bank 1 and with bank 3
    between = expand(seed())
    masks = [
        [a + b for a, b in zip(with_1, between, strict=True)],
        [b - a for a, b in zip(with_1, with_3, strict=True)],
        [-a - b for a, b in zip(between, with_3, strict=True)],
    ]
    uploads = [[(x + m) % RING for x, m in zip(*pair, strict=True)] for pair in zip(updates, masks, strict=True)]
    return {"bank_1": uploads[0], "bank_2": uploads[1], "bank_3": uploads[2]}, updates[1]
