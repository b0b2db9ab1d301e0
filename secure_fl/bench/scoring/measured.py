"""What scoring one batch cost, step by step: the same for our designs and for peers.

Seconds are those of the processor, over all threads, so that a busy machine disturbs them little. Every message is
really serialized: encrypting ends with the bytes that travel, scoring starts and ends with bytes, opening starts with
them. Making keys and encoding weights is done once and is not part of a row's seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from secure_fl.bench.measured import Clock, Stopwatch


class Steps:
    """A stopwatch for each step."""

    def __init__(self, clock: Clock = time.process_time) -> None:
        self._watches = {name: Stopwatch(clock) for name in ("encrypt", "score", "open")}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        with self._watches[name].running():
            yield

    def measured(self, logits: Sequence[float] | NDArray[np.float64], upload: int, download: int) -> MeasuredBatch:
        """What the steps of one batch took, with its sizes in bytes."""
        encrypt, score, opened = (watch.seconds for watch in self._watches.values())
        return MeasuredBatch(np.asarray(logits, dtype=np.float64), encrypt, score, opened, upload, download)


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredBatch:
    """One batch of rows."""

    logits: NDArray[np.float64]
    """As decrypted, float64 [rows]."""
    encrypt_seconds: float
    score_seconds: float
    open_seconds: float
    upload_bytes: int
    download_bytes: int


class Subject(Protocol):
    """A design or a peer with its keys made and its weights encoded, ready to score."""

    @property
    def rows_per_batch(self) -> int: ...

    @property
    def key_bytes(self) -> int:
        """What the owner of the rows sends once."""

    @property
    def degree(self) -> int:
        """N of the ring."""

    @property
    def coeff_mod_bit_sizes(self) -> tuple[int, ...]: ...

    def score(self, rows: NDArray[np.float64]) -> MeasuredBatch:
        """One batch; float64 [rows_per_batch or fewer, the network's inputs]."""
