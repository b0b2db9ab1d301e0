"""What the tests of distributed noise share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl.codec.quantization import Contribution
from secure_fl.privacy.distributed import NoisyCodec
from secure_fl.secagg.budget import plan_with_noise


@pytest.fixture(scope="session")
def make_codec() -> Callable[..., NoisyCodec]:
    """make_codec(scheme, banks, parameters, threshold, bits): clip norm 0.5, noise as large as the sensitivity."""

    def make(
        scheme: str = "plaintext", banks: int = 3, parameters: int = 1_000, threshold: int | None = None, bits: int = 8
    ) -> NoisyCodec:
        _, noise = plan_with_noise(scheme, banks, parameters, noise_multiplier=1.0, bits=bits, threshold=threshold)
        return NoisyCodec(noise, max_update_norm=0.5, rotation_seed=b"round 1")

    return make


@pytest.fixture(scope="session")
def contribute() -> Callable[..., Contribution]:
    """A contribution with the given update; nothing else of it may matter."""
    return lambda update: Contribution(np.asarray(update, dtype=np.float64), num_examples=12_345)


@pytest.fixture(scope="session")
def random_update() -> Callable[..., NDArray[np.float64]]:
    """A vector of the given length and L2 norm, large in few places: random_update(length, norm, seed)."""

    def draw(length: int, norm: float = 1.0, seed: int = 0) -> NDArray[np.float64]:
        vector = np.random.default_rng(seed).standard_t(3, size=length)
        scaled: NDArray[np.float64] = vector * (norm / np.linalg.norm(vector))
        return scaled

    return draw
