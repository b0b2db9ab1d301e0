"""The model of each round of a run: in memory, or in files beside the state of an unfinished run.

With a checkpoint they lie on the disk, one file a round, each written before the state after that round: a run that was
stopped and goes on has them all, no state grows by them, and memory holds none of them. Without one, the arrays that
the rounds led to are kept as they are, so that each is in memory once.

All of them are public among the banks, which train from them. Two of them tell the mean update of the rounds between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from secure_fl.files import sealed, unsealed, unwritten, write_durably


class RoundModels(Protocol):
    """Where the models of rounds are kept."""

    def keep(self, round_: int, weights: NDArray[np.float32]) -> None:
        """In the place of an earlier one of the same round. Raises `StorageError` or `ConfigurationError`."""

    def find(self, round_: int) -> NDArray[np.float32] | None:
        """Float32 [parameters]; None where there is none, or it is damaged."""


@dataclass(frozen=True)
class HeldModels:
    """In memory."""

    models: dict[int, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def keep(self, round_: int, weights: NDArray[np.float32]) -> None:
        self.models[round_] = weights

    def find(self, round_: int) -> NDArray[np.float32] | None:
        return self.models.get(round_)


@dataclass(frozen=True)
class StoredModels:
    """In a folder."""

    folder: Path

    def keep(self, round_: int, weights: NDArray[np.float32]) -> None:
        path = self._path(round_)
        try:
            write_durably(path, sealed(weights.astype("<f4").tobytes()))
        except OSError as error:
            raise unwritten(path, error, "choose another --out") from None

    def find(self, round_: int) -> NDArray[np.float32] | None:
        try:
            return np.frombuffer(unsealed(self._path(round_).read_bytes()), dtype="<f4")
        except (OSError, ValueError):
            return None

    def _path(self, round_: int) -> Path:
        return self.folder / f"round-{round_}"
