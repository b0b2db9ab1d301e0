"""What a rule is that chooses banks by their distances alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatMatrix = NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """Which of n updates a rule takes."""

    chosen: tuple[int, ...]
    """Their numbers, from 0."""
    ties: tuple[int, ...] = ()
    """Those of whom the rule cannot say, within the errors, whether they belong to the chosen ones."""


class Select(Protocol):
    """A rule such as Multi-Krum."""

    def __call__(self, squared: FloatMatrix, errors: FloatMatrix, refused: int) -> Selection:
        """Squared distances in quantization steps and the largest error of each, both [n, n] and symmetric.

        `refused`: how many banks were found to be bad before, at least, which a rule may take off the number that it
        expects.
        Raises `ConfigurationError` where it cannot choose among n.
        """
        ...
