"""The noisy sum of DP-SGD in integers, so that its sensitivity is what it is said to be.

Abadi et al.'s step on Opacus' gradients of single rows, with sum and noise on a grid of C / STEPS, where C is the clip
norm. Floating-point sums depend on their order, so that one row can move them by more than C (Casacuberta, Shoemate,
Vadhan, Wagaman, "Widespread Underestimation of Sensitivity in Differentially Private Libraries and How to Fix It", CCS
2022). Integers do not.

Rules: each row is clipped, then cut to whole steps *towards zero*, which makes no norm larger: as a vector of integers
it has an L2 norm of at most STEPS. To this end it is clipped to a little less than C: (parameters + 16) / 2**24 less,
which is more than all that float32 can get wrong in a norm, in whatever order it sums. Rows are added as integers. The
noise is rounded Gaussian of deviation noise_multiplier * STEPS. Everything after it works on the noisy sum.
"""

from __future__ import annotations

from typing import Any

import torch
from opacus.optimizers import DPOptimizer

from secure_fl.errors import ConfigurationError
from secure_fl.training.keystream import Keystream
from secure_fl.training.rounded_gaussian import WORDS, rounded_gaussian

STEPS = 1 << 20
"""Of the grid in the clip norm."""
MOST_ROWS = (1 << 31) // STEPS - 1
"""Rows whose sum an int32 holds; faster by half than int64."""


class GridOptimizer(DPOptimizer):  # type: ignore[misc]  # opacus is not typed
    """A DPOptimizer whose `summed_grad` is in whole steps (int64), and whose noise comes from `noise`."""

    def __init__(self, optimizer: torch.optim.Optimizer, *, noise: Keystream, **options: Any) -> None:
        super().__init__(optimizer, **options)
        self.noise = noise

    def clip_and_accumulate(self) -> None:
        gradients = self.grad_samples
        factors = row_factors(gradients, self.max_grad_norm)
        for parameter, gradient in zip(self.params, gradients, strict=True):
            steps = whole_steps(gradient, factors)
            total = parameter.summed_grad
            parameter.summed_grad = exact_sum(steps) if total is None else total + exact_sum(steps)

    def add_noise(self) -> None:
        sizes = [parameter.numel() for parameter in self.params]
        drawn = rounded_gaussian(self.noise_multiplier * STEPS, self.noise.words(WORDS * sum(sizes)))
        for parameter, added in zip(self.params, torch.split(torch.from_numpy(drawn), sizes), strict=True):
            noisy = parameter.summed_grad + added.view_as(parameter).to(parameter.device)
            parameter.grad = (noisy.double() * (self.max_grad_norm / STEPS)).to(parameter.dtype)


def row_factors(gradients: list[torch.Tensor], clip: float) -> torch.Tensor:
    """What clips each row's gradient, in steps, [rows]. Not above 0 where the gradient is infinite or no number."""
    parts = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]
    norms = torch.linalg.vector_norm(torch.stack(parts), dim=0)
    share = 1 - (sum(g[0].numel() for g in gradients) + 16) / 2**24
    factors: torch.Tensor = share * STEPS / norms.clamp(min=share * clip)
    return factors


def whole_steps(gradient: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """The clipped rows in whole steps, cut towards zero, [rows, ...] int32. Changes `gradient`.

    A row that is no number counts as none: a sum that it made infinite would tell that it was there.
    """
    gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
    if not bool((factors > 0).all()):
        gradient.nan_to_num_(0.0, 0.0, 0.0)
    return gradient.to(torch.int32)


def exact_sum(steps: torch.Tensor) -> torch.Tensor:
    """The sum over rows, int64."""
    if len(steps) > MOST_ROWS:
        raise ConfigurationError(f"{len(steps)} rows at once may overflow; use blocks of at most {MOST_ROWS}")
    return steps.sum(dim=0, dtype=torch.int32).to(torch.int64)
