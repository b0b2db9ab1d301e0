"""Settings of differential privacy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from secure_fl.codec.quantization import CLIP_RANGE
from secure_fl.errors import ConfigurationError
from secure_fl.settings.training import Training

LEAST_NOISE = 0.2
"""Below, epsilon is in the hundreds, and computing it takes minutes and gigabytes."""
LEAST_DELTA = 1e-12
"""Below, floating-point errors of the accountants exceed it."""
PRIVATE_TRAINING: Mapping[str, Any] = {
    "rounds": 5,
    "batch_size": 1024,
    "learning_rate": 0.02,
    "positive_weight": 1.0,
}
"""What DP-SGD trains with where nothing else is said: few, large batches, and no weight on frauds, whose gradients are
clipped anyway. Found by `benchmarks/privacy_utility.py`."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def require_delta(delta: float) -> None:
    """Raises `ConfigurationError` where no accountant can be relied on."""
    if not LEAST_DELTA <= delta < 1:
        raise ConfigurationError(f"a delta of {delta} is refused; use a number from {LEAST_DELTA:g} to 1, such as 1e-5")


class Privacy(Training):
    """Differential privacy: of training, whose rounds and steps it counts."""

    epsilon: Positive | None = None
    """What all rounds together may spend; the noise follows from it."""
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    """How likely the promise may fail: well below 1 / rows, such as 1e-5."""
    lifetime_epsilon: Positive | None = None
    """What all runs on a bank's rows together may spend, at this run's delta; what goes beyond is refused."""
    noise_multiplier: Positive | None = None
    """Instead of epsilon: the noise, whose epsilon is then computed."""
    mechanism: Literal["dp-sgd", "distributed"] = "dp-sgd"
    """dp-sgd: every bank protects each row by itself; distributed: shares of noise protect each bank in the sum."""
    max_grad_norm: Positive = 1.0
    """dp-sgd: L2 norm that a row's gradient is clipped to."""
    max_update_norm: Annotated[float, Field(ge=CLIP_RANGE[0], le=CLIP_RANGE[1])] = 1.0
    """distributed: L2 norm that a bank's update is clipped to."""

    @property
    def private(self) -> bool:
        """Whether the model is trained under differential privacy."""
        return self.epsilon is not None or self.noise_multiplier is not None

    @property
    def private_rows(self) -> bool:
        """Whether every bank protects its rows by DP-SGD."""
        return self.private and self.mechanism == "dp-sgd"

    @property
    def private_sums(self) -> bool:
        """Whether noise in the sums protects whole banks."""
        return self.private and self.mechanism == "distributed"

    def check_privacy(self) -> None:
        """Raises `ConfigurationError` where the promise would mean nothing."""
        if not self.private:
            self._check_public()
            return
        if self.epsilon is not None and self.noise_multiplier is not None:
            raise ConfigurationError("epsilon and noise_multiplier decide each other; give one of them")
        if self.delta is None:
            raise ConfigurationError("an epsilon means nothing without a delta; add --delta, such as 1e-5")
        require_delta(self.delta)
        if self.private_rows:
            self._check_rows()

    def _check_public(self) -> None:
        if self.delta is not None:
            raise ConfigurationError("a delta alone promises nothing; add --epsilon E or --noise-multiplier S")
        if self.mechanism != "dp-sgd":
            raise ConfigurationError("distributed noise needs a size; add --epsilon E or --noise-multiplier S")
        if self.lifetime_epsilon is not None:
            raise ConfigurationError("a limit for life limits no run without noise; add --epsilon E --delta D")

    def _check_rows(self) -> None:
        if self.noise_multiplier is not None and self.noise_multiplier < LEAST_NOISE:
            raise ConfigurationError(
                f"a noise multiplier of {self.noise_multiplier:g} protects nobody: epsilon is in the hundreds; "
                f"use at least {LEAST_NOISE:g}"
            )
        if self.positive_weight == "balanced":
            raise ConfigurationError(
                "balanced weighting looks at all rows of a bank, which DP-SGD does not cover; give positive_weight "
                "a number"
            )
