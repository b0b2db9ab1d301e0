"""How wide a bank's values become when it adds its share of a noise to them.

A bank's contribution has L2 norm `norm`, counted in quantization steps, after it was clipped and rotated at random;
`distributed` does that. Everything here is in steps, so nothing depends on the clip norm itself.

*Signal.* A rotation with entries of at most sqrt(2 / d) gives a vector of norm c coordinates that are subgaussian with
variance 2 c**2 / d over the random signs (Hoeffding), so that all d of them lie within

    c * sqrt(4 / d * ln(2 d / p)),     p = 2**-FLATNESS_BITS.

That is what [-radius, radius] stands for. What lies beyond is clipped: a small bias, and nothing to do with privacy.

*Sensitivity.* Rounding at random makes a vector longer. Rounding again until its squared norm is at most

    norm**2 + d / 4 + sqrt(2 ln(1 / b)) * (norm + sqrt(d) / 2),     b = exp(-1/2),

makes that a bound that always holds, and needs a second try with probability at most b (Kairouz, Liu, Steinke, "The
Distributed Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation", ICML 2021, Proposition 22).

*Noise.* Each bank adds discrete Gaussian noise of `deviation` steps to every value, such that the shares of `threshold`
banks together have the planned deviation, noise_multiplier * sqrt(norm_bound_squared). A sum of more banks has more.
The discrete Gaussian is subgaussian with its own variance (Canonne, Kamath, Steinke, "The Discrete Gaussian for
Differential Privacy", NeurIPS 2020), so no share of any bank exceeds `tail` in a round, but for 2**-CLAMP_BITS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from secure_fl.secagg.budget.plans import MAX_BITS

FLATNESS_BITS = 20
CLAMP_BITS = 64
MIN_DEVIATION = 2.0
"""Steps. Below, a sum of discrete Gaussians is no longer close to one discrete Gaussian."""
_LARGEST_SQUARED_NORM = 1 << 62


@dataclass(frozen=True, kw_only=True)
class NoisePlan:
    """The numbers of a distributed noise that all banks agree on; all of them are public."""

    banks: int
    parameters: int
    threshold: int
    """So many shares already carry the planned noise."""
    bits: int
    """Bits of the signal, before noise."""
    noise_multiplier: float
    """Planned deviation of the noise in a sum, over the L2 sensitivity of the sum."""

    @property
    def radius(self) -> int:
        """The signal lies in [-radius, radius]."""
        return (1 << (self.bits - 1)) - 1

    @property
    def flatness(self) -> float:
        """`radius` over `norm`: the largest coordinate of a rotated vector over its norm."""
        d = self.parameters
        return min(1.0, math.sqrt(4 / d * (math.log(2 * d) + FLATNESS_BITS * math.log(2))))

    @property
    def norm(self) -> float:
        """The clip norm in steps."""
        return self.radius / self.flatness

    @property
    def norm_bound_squared(self) -> int:
        """No bank's rounded vector has a larger squared norm: the squared L2 sensitivity of the sum."""
        d = self.parameters
        return math.floor(self.norm**2 + d / 4 + self.norm + math.sqrt(d) / 2)

    @property
    def deviation(self) -> float:
        """Standard deviation of one bank's share of the noise, in steps."""
        return self.noise_multiplier * math.sqrt(self.norm_bound_squared / self.threshold)

    @property
    def tail(self) -> int:
        """No share of any bank exceeds it, but for a probability of 2**-CLAMP_BITS a round."""
        log_inverse = math.log(2 * self.banks * self.parameters) + CLAMP_BITS * math.log(2)
        return math.ceil(self.deviation * math.sqrt(2 * log_inverse))

    @property
    def value_bits(self) -> int:
        """Bits of a bank's value, noise included: it lies in [-offset, offset)."""
        return (self.radius + self.tail).bit_length() + 1

    @property
    def offset(self) -> int:
        """What makes values unsigned."""
        return 1 << (self.value_bits - 1)

    @property
    def fits(self) -> bool:
        """Whether values are narrow enough, and squared norms within int64."""
        return self.value_bits <= MAX_BITS and self.norm_bound_squared < _LARGEST_SQUARED_NORM

    def variance(self, contributors: int) -> float:
        """Variance of the noise in one value of a sum, in squared steps."""
        return contributors * self.deviation**2

    def derived(self) -> dict[str, Any]:
        """Every figure of the plan, for people and scripts."""
        return {
            "noise_multiplier": self.noise_multiplier,
            "signal_bits": self.bits,
            "value_bits": self.value_bits,
            "share_deviation": self.deviation,
            "sensitivity": math.sqrt(self.norm_bound_squared),
            "clamp_probability": f"2^-{CLAMP_BITS}",
        }
