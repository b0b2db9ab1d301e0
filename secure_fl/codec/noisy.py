"""Updates <-> vectors whose sum carries a noise that nobody holds.

    clip to norm C -> rotate -> clip coordinates, scale to steps -> round at random within the norm bound
      -> add one's share of the noise -> shift to unsigned: what the secure sum adds

Every bank has weight one, so that no number of examples travels, nor any count of clipped values: neither would be
covered by the guarantee. What bounds the sensitivity is checked on the integers that are sent, not on floating-point
numbers on the way there. The draws of rounding are no secret: the bound holds for all of them.

The result is the plain mean of the clipped updates, plus the noise. Kairouz, Liu, Steinke, ICML 2021, algorithms 1, 2;
where they let a value wrap around in the sum, it is clamped here, with a probability that `guarantee` adds to delta.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from secure_fl.codec.quantization import CLIP_RANGE, Contribution, FloatVector, MeanUpdate, Vector
from secure_fl.codec.rotation import Rotation
from secure_fl.codec.sampler import discrete_gaussian
from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.secagg.budget import NoisePlan

ROUNDING_TRIES = 1000
"""One fails with probability below 0.61."""


@dataclass(frozen=True)
class NoisyCodec:
    """Integers in [0, 2**noise.value_bits); a `Codec` for one round."""

    noise: NoisePlan
    max_update_norm: float
    """C: longer updates are scaled down to this L2 norm."""
    rotation_seed: bytes = field(repr=False)
    """Public, and another one each round."""

    def __post_init__(self) -> None:
        if not CLIP_RANGE[0] <= self.max_update_norm <= CLIP_RANGE[1]:
            raise ConfigurationError(
                f"a maximal update norm of {self.max_update_norm} is refused; use {CLIP_RANGE[0]:.0e} to "
                f"{CLIP_RANGE[1]:.0e}"
            )

    @property
    def length(self) -> int:
        return self.noise.parameters

    @property
    def unit(self) -> float:
        """Width of one quantization step of a rotated update."""
        return self.max_update_norm / self.noise.norm

    def encode(self, contribution: Contribution, rng: np.random.Generator) -> NDArray[np.int64]:
        values = self.rounded(contribution, rng)
        values += discrete_gaussian(self.noise.deviation, self.length)
        np.clip(values, -self.noise.offset, self.noise.offset - 1, out=values)
        values += self.noise.offset
        return values

    def rounded(self, contribution: Contribution, rng: np.random.Generator) -> NDArray[np.int64]:
        """The update in steps, before noise: int64 [length], its squared norm at most `norm_bound_squared`."""
        rotated = self._rotation.apply(clipped_to_norm(contribution.update, self.max_update_norm))
        steps = np.clip(rotated / self.unit, -self.noise.radius, self.noise.radius)
        return rounded_within(steps, self.noise.norm_bound_squared, rng)

    def decode(self, total: Vector, contributors: int) -> MeanUpdate:
        step = self.unit / contributors
        steps = (total.astype(np.int64) - contributors * self.noise.offset).astype(np.float64)
        return MeanUpdate(self._rotation.invert(step * steps), clipped=None, step=step)

    @property
    def _rotation(self) -> Rotation:
        return Rotation(self.length, self.rotation_seed)


def clipped_to_norm(update: FloatVector, norm: float) -> FloatVector:
    """The update, scaled down to an L2 norm where it is longer."""
    if not np.isfinite(update).all():
        raise TrainingError("an update is not finite: local training diverged; lower the learning rate")
    largest = float(np.abs(update).max())
    if largest == 0:
        return update
    direction = update / largest  # first, so that no square overflows
    return direction * min(largest, norm / float(np.linalg.norm(direction)))


def rounded_within(vector: FloatVector, squared_norm: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Each value rounded up or down at random, with the right mean, until the whole is short enough."""
    floor = np.floor(vector)
    fraction = vector - floor
    for _ in range(ROUNDING_TRIES):
        rounded = (floor + (rng.random(len(vector)) < fraction)).astype(np.int64)
        if int(rounded @ rounded) <= squared_norm:
            return rounded
    raise TrainingError(
        f"an update of norm {math.sqrt(vector @ vector):.6g} steps cannot be rounded to a squared norm of "
        f"{squared_norm}; clip it first"
    )
