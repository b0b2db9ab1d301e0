"""What to expect of a noise before a run: whether anything can be learned under it.

The mean over k banks carries noise of expected norm sqrt(d) * sensitivity * noise_multiplier / sqrt(t * k), where t is
the threshold, and an update at most the clip norm. Stochastic gradient descent bears noise somewhat above the signal,
since it averages over rounds; but a ratio of ten or more says that a model will not learn.
"""

from __future__ import annotations

import math

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.budget import MAX_BANKS, MIN_BANKS, NoisePlan


def noise_to_norm(noise: NoisePlan, contributors: int | None = None) -> float:
    """Norm of the noise in the mean update (root mean square) over the clip norm; `contributors`: None for all."""
    banks = noise.banks if contributors is None else contributors
    return math.sqrt(noise.parameters * noise.variance(banks)) / (banks * noise.norm)


def banks_needed(parameters: int, noise_multiplier: float, ratio: float = 1.0) -> int | None:
    """The fewest banks, with a majority as threshold, whose `noise_to_norm` is at most `ratio`; None above 10,000.

    Leaves out what rounding adds to the sensitivity, which is little from 8 bits on.
    """
    if not (0 < ratio < math.inf and 0 < noise_multiplier < math.inf):
        raise ConfigurationError("a ratio and a noise multiplier must be positive, finite numbers; change them")
    needed = parameters * (noise_multiplier / ratio) ** 2
    return next((banks for banks in range(MIN_BANKS, MAX_BANKS + 1) if banks * (banks // 2 + 1) >= needed), None)
