"""What one round cost, phase by phase: the same for our schemes and for peers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Clock: TypeAlias = Callable[[], float]
"""Seconds since whenever; an argument, so that tests can state what a figure contains."""


@dataclass(frozen=True)
class Measured:
    """One round of one scheme or peer."""

    client_seconds: float
    """One bank, from its float64 update to bytes, all stages; median over the banks."""
    server_seconds: float
    """The aggregator, all banks: from their bytes to the bytes of the sum, unmasking included."""
    decode_seconds: float
    """From the bytes of the sum to the float64 mean; a key holder's work included."""
    upload_bytes: int
    """What one bank sends, all stages; median over the banks."""
    download_bytes: int
    """What one bank receives, all stages; median over the banks."""
    stage_bytes: tuple[int, ...]
    """For each stage, the bytes in both directions of the party that has most to carry."""
    max_abs_error: float
    """Largest |mean - float64 mean of the updates|."""
    setup_bytes: int = 0
    """What one bank receives once per federation, such as a public key; not part of the round."""


class Subject(Protocol):
    """A scheme or a peer with its keys made, ready to run rounds."""

    def measure_round(self, number: int) -> Measured:
        """Run one round. `number` starts at 1 and differs between rounds."""


class Stopwatch:
    """Adds up the time spent in its `running` blocks."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.seconds = 0.0
        self._clock = clock

    @contextmanager
    def running(self) -> Iterator[None]:
        started = self._clock()
        try:
            yield
        finally:
            self.seconds += self._clock() - started


def exact_mean(updates: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The float64 mean that results are compared with."""
    total = updates[0].copy()
    for update in updates[1:]:
        total += update
    return total / len(updates)


def median_round(rounds: Sequence[Measured]) -> Measured:
    """The median of every duration and size, and the largest error."""
    return Measured(
        client_seconds=median(r.client_seconds for r in rounds),
        server_seconds=median(r.server_seconds for r in rounds),
        decode_seconds=median(r.decode_seconds for r in rounds),
        upload_bytes=round(median(r.upload_bytes for r in rounds)),
        download_bytes=round(median(r.download_bytes for r in rounds)),
        stage_bytes=rounds[0].stage_bytes,
        max_abs_error=max(r.max_abs_error for r in rounds),
        setup_bytes=rounds[0].setup_bytes,
    )
