"""TenSEAL as its tutorials use it: CKKS at 8192, [60, 40, 40, 60], scale 2**40.

Each update is cut into vectors of 4,096 values, one ciphertext each. The aggregator holds a public context; a key
holder opens the sum. Counted: encrypting and serializing; loading, adding and serializing; loading and decrypting.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

from secure_fl.bench.measured import Clock, Measured, Stopwatch, exact_mean

SLOTS = 4096


class TutorialSubject:
    """Banks, an aggregator with the public context, and a key holder."""

    def __init__(self, updates: Sequence[NDArray[np.float64]], clock: Clock) -> None:
        self._updates, self._expected, self._clock = updates, exact_mean(updates), clock
        self._context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
        self._context.global_scale = 2**40
        self._public = self._context.copy()
        self._public.make_context_public()

    def measure_round(self, number: int) -> Measured:
        server, decode = Stopwatch(self._clock), Stopwatch(self._clock)
        clients = [Stopwatch(self._clock) for _ in self._updates]
        total: list[ts.CKKSVector] = []
        uploads = []
        for update, client in zip(self._updates, clients, strict=True):
            with client.running():
                upload = self._encrypt(update)
            uploads.append(sum(map(len, upload)))
            with server.running():
                loaded = [ts.ckks_vector_from(self._public, data) for data in upload]
                for summed, vector in zip(total, loaded, strict=False):
                    summed.add_(vector)
                total = total or loaded
        with server.running():
            opened = [vector.serialize() for vector in total]
        with decode.running():
            mean = self._decrypt(opened) / len(self._updates)
        return Measured(
            client_seconds=median(client.seconds for client in clients),
            server_seconds=server.seconds,
            decode_seconds=decode.seconds,
            upload_bytes=round(median(uploads)),
            download_bytes=0,
            stage_bytes=(max(uploads), sum(map(len, opened)) + 8 * len(mean)),
            max_abs_error=float(np.abs(mean - self._expected).max()),
        )

    def _encrypt(self, update: NDArray[np.float64]) -> list[bytes]:
        parts = (update[start : start + SLOTS].tolist() for start in range(0, len(update), SLOTS))
        return [ts.ckks_vector(self._context, part).serialize() for part in parts]

    def _decrypt(self, opened: list[bytes]) -> NDArray[np.float64]:
        return np.concatenate([ts.ckks_vector_from(self._context, data).decrypt() for data in opened])


def make_subject(updates: Sequence[NDArray[np.float64]], clock: Clock = time.perf_counter) -> TutorialSubject:
    return TutorialSubject(updates, clock)
