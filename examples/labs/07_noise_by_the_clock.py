"""WEAK ON PURPOSE, never use it: noise for differential privacy that is seeded with the second of the day.

The noise is as large as the promise asks for, and its generator has 86,400 seeds: whoever tries them all finds the
one that leaves whole numbers. Seeds of 32 bits fall to the same search, with more patience. In `secure_fl` noise
comes from AES-256 under a key of 256 bits.
"""

from __future__ import annotations

import secrets

import numpy as np

TITLE = "Noise by the clock"
GOAL = (
    "recover bank 2's update, 8 whole numbers from 0 to 255; noise is noise(seed) of this lab's file, seeds 0 to 86399"
)
SECONDS_OF_A_DAY, DEVIATION = 86_400, 500.0


def noise(seed: int) -> list[float]:
    """Gaussian, for 8 numbers."""
    return [float(number) for number in np.random.default_rng(seed).normal(0, DEVIATION, 8)]


def instance() -> tuple[dict[str, list[float]], list[int]]:
    return _release(secrets.randbelow(SECONDS_OF_A_DAY))


def strong() -> tuple[dict[str, list[float]], list[int]]:
    """A seed of 256 bits."""
    return _release(secrets.randbits(256))


def _release(seed: int) -> tuple[dict[str, list[float]], list[int]]:
    update = [secrets.randbelow(256) for _ in range(8)]
    return {"noisy": [x + n for x, n in zip(update, noise(seed), strict=True)]}, update
