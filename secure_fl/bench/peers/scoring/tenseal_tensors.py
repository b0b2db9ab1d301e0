"""TenSEAL with a feature in each ciphertext and a row in each slot: `ckks_tensor(batch=True)`. One thread."""

from __future__ import annotations

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

from secure_fl.bench.measured import Clock
from secure_fl.bench.scoring.measured import MeasuredBatch, Steps
from secure_fl.scoring.network import SquareNetwork

SCALE_BITS = 40
FIRST_BITS = 60
"""Of the first prime, which holds the result, and of the last, which keys are switched with."""


class TensorSubject:
    """Both parties; a layer takes one prime and a square another."""

    def __init__(self, network: SquareNetwork, clock: Clock) -> None:
        self._network, self._clock = network, clock
        self.degree = 16384 if network.depth else 8192
        self.rows_per_batch = self.degree // 2
        self.coeff_mod_bit_sizes = (FIRST_BITS, *[SCALE_BITS] * (2 * network.depth + 1), FIRST_BITS)
        self._context = ts.context(
            ts.SCHEME_TYPE.CKKS, self.degree, coeff_mod_bit_sizes=list(self.coeff_mod_bit_sizes), n_threads=1
        )
        self._context.global_scale = 2**SCALE_BITS
        keys = self._context.serialize(save_public_key=True, save_secret_key=False)
        self.key_bytes = len(keys)
        self._public = ts.context_from(keys, n_threads=1)

    def score(self, rows: NDArray[np.float64]) -> MeasuredBatch:
        steps = Steps(self._clock)
        with steps("encrypt"):
            request = ts.ckks_tensor(self._context, rows[:, None, :], batch=True).serialize()
        with steps("score"):
            reply = self._evaluated(request)
        with steps("open"):
            opened = ts.ckks_tensor_from(self._context, reply).decrypt().tolist()
        return steps.measured(np.array(opened).reshape(-1)[: len(rows)], len(request), len(reply))

    def _evaluated(self, request: bytes) -> bytes:
        values = ts.ckks_tensor_from(self._public, request)
        for place, layer in enumerate(self._network.linears):
            values = values.mm(layer.weights.T.tolist())
            values.add_(layer.bias[None].tolist())
            if place < self._network.depth:
                values.square_()
        reply: bytes = values.serialize()
        return reply


def make_subject(network: SquareNetwork, clock: Clock) -> TensorSubject:
    return TensorSubject(network, clock)
