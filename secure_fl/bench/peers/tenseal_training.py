"""Training as TenSEAL's first tutorial does it: a ciphertext for each row, rotations for each scalar product.

Gradient descent over all rows, sigmoid 0.5 + 0.197 z - 0.004 z**3, step 1, decay 0.05 of the weights. After each epoch
the weights are decrypted and encrypted anew. `TUTORIAL` has the tutorial's parameters, whose scale of 21 bits is lost
after a few products; `WORKING` has as many primes of 40 bits, in the ring that those need.

One context does everything, secret key included, as in the tutorial. Counted as training: what the ciphertexts of rows
and labels go through; encrypting them and refreshing weights are not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

from secure_fl.bench.measured import Clock, Stopwatch

_POLYNOMIAL = (0.5, 0.197, 0.0, -0.004)
_DECAY = 0.05


@dataclass(frozen=True)
class TutorialParameters:
    """Of CKKS."""

    name: str
    degree: int
    coeff_mod_bit_sizes: tuple[int, ...]
    scale_bits: int


TUTORIAL = TutorialParameters("TenSEAL tutorial 1", 8192, (40, 21, 21, 21, 21, 21, 21, 40), 21)
WORKING = TutorialParameters("TenSEAL tutorial 1, primes of 40 bits", 16384, (60, 40, 40, 40, 40, 40, 40, 60), 40)


@dataclass(frozen=True)
class TutorialTraining:
    """What came of it."""

    encrypt_seconds: float
    """Rows and labels, once."""
    train_seconds: float
    """All epochs."""
    upload_bytes: int
    key_bytes: int
    """Galois and relinearization keys."""
    max_abs_error: float
    """Of a weight or the bias, against the same descent in float64."""


def train(
    parameters: TutorialParameters,
    rows: NDArray[np.float64],
    labels: NDArray[np.float64],
    epochs: int,
    clock: Clock = time.perf_counter,
) -> TutorialTraining:
    """Rows: [n, features]; labels: [n], 0 or 1."""
    context = ts.context(ts.SCHEME_TYPE.CKKS, parameters.degree, -1, list(parameters.coeff_mod_bit_sizes), n_threads=1)
    context.global_scale = 2.0**parameters.scale_bits
    context.generate_galois_keys()
    encrypting, training = Stopwatch(clock), Stopwatch(clock)
    with encrypting.running():
        examples = [
            (ts.ckks_vector(context, row), ts.ckks_vector(context, [label]))
            for row, label in zip(rows.tolist(), labels.tolist(), strict=True)
        ]
    weights, bias = np.zeros(rows.shape[1]), 0.0
    for _ in range(epochs):
        held = ts.ckks_vector(context, weights.tolist()), ts.ckks_vector(context, [bias])
        with training.running():
            stepped = _epoch(examples, *held)
        weights, bias = np.array(stepped[0].decrypt()), float(stepped[1].decrypt()[0])
    public = {"save_public_key": False, "save_secret_key": False, "save_galois_keys": True, "save_relin_keys": True}
    return TutorialTraining(
        encrypt_seconds=encrypting.seconds,
        train_seconds=training.seconds,
        upload_bytes=sum(len(part.serialize()) for example in examples for part in example),
        key_bytes=len(context.serialize(**public)),
        max_abs_error=float(np.abs(np.append(weights, bias) - plain(rows, labels, epochs)).max()),
    )


def _epoch(
    examples: list[tuple[ts.CKKSVector, ts.CKKSVector]], weights: ts.CKKSVector, bias: ts.CKKSVector
) -> tuple[ts.CKKSVector, ts.CKKSVector]:
    slopes: ts.CKKSVector = 0
    slope: ts.CKKSVector = 0
    for row, label in examples:
        wrong = (row.dot(weights) + bias).polyval(list(_POLYNOMIAL)) - label
        slopes, slope = slopes + row * wrong, slope + wrong
    share = 1 / len(examples)
    return weights - (slopes * share + weights * _DECAY), bias - slope * share


def plain(rows: NDArray[np.float64], labels: NDArray[np.float64], epochs: int) -> NDArray[np.float64]:
    """Weights and then the bias of the same descent in float64."""
    weights, bias = np.zeros(rows.shape[1]), 0.0
    for _ in range(epochs):
        wrong = np.polynomial.polynomial.polyval(rows @ weights + bias, _POLYNOMIAL) - labels
        weights, bias = weights - (rows.T @ wrong / len(rows) + _DECAY * weights), bias - wrong.mean()
    return np.append(weights, bias)
