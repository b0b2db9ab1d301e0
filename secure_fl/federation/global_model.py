"""The global model, and the two ways in which it reaches the banks.

`weights`: all weights as float32, 4 bytes a parameter. `sum`: the integers of the last secure sum, from which every
bank computes the same next weights by itself: exact, and field_bits instead of 32 bits a parameter. The first round
always sends weights.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from secure_fl.codec.noisy import NoisyCodec
from secure_fl.codec.quantization import CLIP_RANGE, RANGE_MARGIN, Codec, MeanUpdate, Vector, make_codec, next_clip
from secure_fl.errors import MessageError, TrainingError
from secure_fl.secagg.budget import NoisePlan, Plan
from secure_fl.secagg.packing import pack_bits, unpack_bits

_WEIGHTS, _SUM = 0, 1
_SETTINGS = struct.Struct("<Bdd")
_CONTRIBUTORS = struct.Struct("<I")


def weights_sha256(weights: NDArray[np.float32]) -> str:
    """SHA-256 in hexadecimal of weights as float32, little-endian: the name of a model elsewhere."""
    return hashlib.sha256(weights.astype("<f4").tobytes()).hexdigest()


@dataclass(frozen=True)
class GlobalModel:
    """What a round starts from; all of it is public."""

    weights: NDArray[np.float32] = field(repr=False)
    """Shape [parameters]."""
    clip: float
    """Clip range of weighted updates; under a distributed noise, the L2 norm that updates are clipped to."""
    mean_examples: float | None
    """Mean number of examples per bank; None: every bank counts the same."""

    @property
    def digest(self) -> bytes:
        """What a cohort agrees on before it sums updates to this model."""
        return hashlib.sha256(self.to_bytes()).digest()

    @property
    def weights_sha256(self) -> str:
        """Of the weights alone."""
        return weights_sha256(self.weights)

    def codec(self, plan: Plan, noise: NoisePlan | None = None) -> Codec:
        """How updates to this model are encoded; `noise`: the shares that banks add, if any."""
        if noise is not None:
            return NoisyCodec(noise, self.clip, rotation_seed=self.digest)
        return make_codec(len(self.weights), plan.bits, self.clip, self.mean_examples)

    def after(self, mean: MeanUpdate, clip_margin: float = RANGE_MARGIN) -> GlobalModel:
        """The model with the mean update applied, and the clip range that the next round starts with.

        Where banks do not say how much they clipped, a mean at the edge of the range widens it by itself. Raises
        `TrainingError`.
        """
        clipped = 0 if self.mean_examples is None else mean.clipped
        return self.updated(mean, next_clip(mean.update, self.clip, clipped, clip_margin))

    def updated(self, mean: MeanUpdate, clip: float) -> GlobalModel:
        """The next model. Raises `TrainingError` where weights are no longer finite."""
        with np.errstate(over="ignore"):
            weights = (self.weights + mean.update).astype(np.float32)
        if not np.isfinite(weights).all():
            raise TrainingError("the global model diverged: its weights are no longer finite; lower the learning rate")
        return GlobalModel(weights, clip, self.mean_examples)

    def to_bytes(self) -> bytes:
        return self.head(_WEIGHTS) + self.weights.astype("<f4").tobytes()

    def head(self, kind: int) -> bytes:
        """What stands before weights, or before a sum; there is no bank without rows, so that 0 is free for None."""
        return _SETTINGS.pack(kind, self.clip, 0.0 if self.mean_examples is None else self.mean_examples)


@dataclass(frozen=True)
class LastSum:
    """The secure sum that led from one model to the next."""

    total: Vector = field(repr=False)
    """Integers, shape [plan.parameters]."""
    contributors: int

    def to_bytes(self, plan: Plan, model: GlobalModel) -> bytes:
        """`model` as the step from the one before it."""
        head = model.head(_SUM) + _CONTRIBUTORS.pack(self.contributors)
        return head + pack_bits(self.total.astype(np.int64), plan.field_bits)


def read_broadcast(
    data: bytes | memoryview, plan: Plan, previous: GlobalModel | None, noise: NoisePlan | None = None
) -> GlobalModel:
    """The model in a broadcast; `previous` is the one that the bank had before. Raises `MessageError`."""
    if len(data) < _SETTINGS.size:
        raise MessageError("a broadcast model is truncated; ask for it again")
    kind, clip, mean_examples = _SETTINGS.unpack_from(data)
    body = data[_SETTINGS.size :]
    if not (CLIP_RANGE[0] <= clip <= CLIP_RANGE[1] and 0 <= mean_examples < math.inf):
        raise MessageError(
            "a broadcast model has a clip range or a mean number of rows that cannot be; ask for it again"
        )
    if kind == _WEIGHTS and len(body) % 4 == 0:
        model = GlobalModel(np.frombuffer(body, dtype="<f4"), clip, mean_examples or None)
        if model.codec(plan, noise).length != plan.parameters or not np.isfinite(model.weights).all():
            raise MessageError(
                "a broadcast model has another size than the plan, or no finite weights; ask for it again"
            )
        return model
    if kind == _SUM and previous is not None and len(body) > _CONTRIBUTORS.size:
        (contributors,) = _CONTRIBUTORS.unpack_from(body)
        if not 1 <= contributors <= plan.banks:
            raise MessageError(f"a broadcast sum is said to be of {contributors} banks; ask for the whole weights")
        total = unpack_bits(body[_CONTRIBUTORS.size :], plan.field_bits, plan.parameters)
        return previous.updated(previous.codec(plan, noise).decode(total, contributors), clip)
    raise MessageError("a broadcast model cannot be read by this bank; ask for the whole weights")
