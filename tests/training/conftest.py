"""What the tests of training share: a toy problem that can be learned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from secure_fl.data import Examples

MakeExamples = Callable[..., Examples]


@pytest.fixture(scope="session")
def toy() -> MakeExamples:
    """`toy(rows=300, share=0.3, seed=1)`: fraud is what lies beyond a plane, with a margin."""

    def make(rows: int = 300, share: float = 0.3, seed: int = 1) -> Examples:
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(rows, 128)).astype(np.float32)
        fraud = np.arange(rows) < round(share * rows)
        features[:, 0] = np.where(fraud, 1.5, -1.5) + 0.1 * features[:, 0]
        order = rng.permutation(rows)
        return Examples(features[order], fraud[order], fraud[order].astype(np.int8))

    return make
