"""How a round's updates become one: the mean from a secure sum of them, or what a robust rule makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from secure_fl.codec.noisy import clipped_to_norm
from secure_fl.codec.quantization import Codec, Contribution, FloatVector, MeanUpdate
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.global_model import GlobalModel
from secure_fl.secagg.attempts import Completed
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Party, SecureSum

Clients = Callable[[Cohort[Plan]], Mapping[str, Party]]
"""The client halves for one attempt at a sum over some banks."""
Contributions = Mapping[str, Contribution]
"""What each bank wants to add."""
Clock = Callable[[], float]
"""Seconds."""


@dataclass(frozen=True)
class Combined:
    """What a round's updates were combined to."""

    mean: MeanUpdate
    contributors: tuple[str, ...]
    """Banks whose updates arrived, in order."""
    same_of: Callable[[Contributions], FloatVector] = field(repr=False)
    """What the same combination is of updates that were not quantized, in float64."""
    excluded: tuple[str, ...] = ()
    """Contributors that have no part in it."""

    def max_abs_error(self, contributions: Contributions) -> float:
        """Largest difference to the same of updates that were not quantized."""
        return float(np.abs(self.mean.update - self.same_of(contributions)).max())

    @property
    def clipped_fraction(self) -> float | None:
        """Of all values that were sent; None where banks do not say."""
        if self.mean.clipped is None:
            return None
        return self.mean.clipped / (len(self.contributors) * len(self.mean.update))


class Combining(Protocol):
    """One round's way."""

    def sum(self, cohort: Cohort[Plan], clients: Clients, absent: Mapping[str, str], clock: Clock) -> Completed:
        """Have the updates of the cohort's banks arrive, or their sum; `absent`: banks that have none, and why.

        Raises `ProtocolError` where too few do.
        """
        ...

    def combine(self, arrived: SecureSum, cohort: Cohort[Plan]) -> Combined:
        """What that comes to. Raises `TrainingError` for what cannot be combined."""
        ...


@dataclass(frozen=True)
class Averaging:
    """FedAvg: the mean of all updates, from their secure sum; or of those that a key authority chose."""

    aggregation: SecureAggregation
    codec: Codec
    model: GlobalModel
    norm_bound: float | None = None
    """What banks scale longer updates down to (L2), where these are checked."""

    def sum(self, cohort: Cohort[Plan], clients: Clients, absent: Mapping[str, str], clock: Clock) -> Completed:
        return self.aggregation.sum(cohort, clients, absent, clock)

    def combine(self, arrived: SecureSum, cohort: Cohort[Plan]) -> Combined:
        def same_of(contributions: Contributions) -> FloatVector:
            summed = [contributions[bank] for bank in cohort.banks if bank in arrived.contributors]
            norm = self.norm_bound if self.aggregation.noise is None else self.model.clip
            if norm is not None:
                return mean_within_norm(summed, norm)
            return exact_mean(summed, self.model.mean_examples)

        return Combined(
            self.codec.decode(arrived.total, len(arrived.contributors)),
            tuple(bank for bank in cohort.banks if bank in arrived.contributors | arrived.passed_over),
            same_of,
            tuple(bank for bank in cohort.banks if bank in arrived.passed_over),
        )


def exact_mean(contributions: list[Contribution], mean_examples: float | None) -> FloatVector:
    """What the secure sum is compared with, in float64: the mean of the weighted updates."""
    mean: FloatVector = np.mean([c.weighted(mean_examples) for c in contributions], axis=0)
    return mean


def mean_within_norm(contributions: list[Contribution], norm: float) -> FloatVector:
    """The plain mean of updates clipped to a norm, in float64: what a noisy sum is compared with."""
    mean: FloatVector = np.mean([clipped_to_norm(c.update, norm) for c in contributions], axis=0)
    return mean
