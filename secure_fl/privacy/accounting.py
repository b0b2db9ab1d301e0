"""What was spent: releases of noisy sums as data, and the epsilon that they cost together.

Every release of this package is a Gaussian mechanism on a Poisson sample, so one kind of event describes all:
DP-SGD takes thousands of steps at a small sample rate (Abadi et al., "Deep Learning with Differential Privacy", CCS
2016); a noisy histogram of all rows is one step at rate 1. *Neighbours* differ by one row, added or removed; noise is
measured in multiples of what that row can change at most.

Epsilon is computed, never quoted. Four accountants bound it, and they need not agree, since each loses a little:

    prv  privacy random variables (Gopi, Lee, Wutschitz, NeurIPS 2021), Opacus; what results name
    pld  privacy loss distributions (Koskela, Jalko, Honkela, AISTATS 2020), Google's dp-accounting
    rdp  Renyi DP (Mironov, CSF 2017; Mironov, Talwar, Zhang 2019), Opacus and Google: the loosest, and the oldest

Opacus' accountant by Gaussian DP is a limit theorem, not a bound, and may understate: it is left out.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from secure_fl.errors import ConfigurationError, PrivacyError

ACCOUNTANT = "prv"
LEAST_NOISE, LARGEST_NOISE = 0.2, 1000.0
"""Below, epsilon is in the hundreds, and computing it takes minutes and gigabytes."""
LEAST_DELTA = 1e-12
"""Below, floating-point errors of the accountants exceed it."""
PRV_ERROR = 0.01
"""How far Opacus' upper bound may lie above the truth."""


@dataclass(frozen=True)
class SampledGaussian:
    """`steps` sums over Poisson samples of the rows, each with Gaussian noise. Raises `ConfigurationError`."""

    noise_multiplier: float
    """Standard deviation of the noise over the most that one row can change the sum by, in L2 norm."""
    sample_rate: float
    """Probability of each row to be in a sum; 1: all rows."""
    steps: int

    def __post_init__(self) -> None:
        if not 0 < self.noise_multiplier < math.inf:
            raise ConfigurationError(
                f"a noise multiplier of {self.noise_multiplier} is refused; use a positive, finite number"
            )
        if not 0 < self.sample_rate <= 1:
            raise ConfigurationError(
                f"a sample rate of {self.sample_rate:g} is refused; use batches that are no larger than the bank"
            )
        if self.steps < 1:
            raise ConfigurationError(f"{self.steps} steps release nothing; use at least 1")


Events = Sequence[SampledGaussian]


def epsilon(events: Events, delta: float, accountant: str = ACCOUNTANT) -> float:
    """The epsilon at `delta` of all events together; 0 where there are none."""
    require_delta(delta)
    if accountant not in ACCOUNTANTS:
        raise ConfigurationError(f"there is no accountant {accountant!r}; use one of {', '.join(ACCOUNTANTS)}")
    return _bound(_merged(events), delta, accountant) if events else 0.0


def epsilon_table(events: Events, delta: float) -> dict[str, float]:
    """The same under every accountant. Raises `PrivacyError` where two contradict each other.

    `prv` must not exceed Renyi's bound by more than its own error, nor undercut Google's `pld`, which is computed in
    quite another way.
    """
    table = {name: epsilon(events, delta, name) for name in ACCOUNTANTS}
    slack = 2 * PRV_ERROR + 0.01 * table["rdp"]
    if table["prv"] > table["rdp"] + slack or abs(table["prv"] - table["pld"]) > slack:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in table.items())
        raise PrivacyError(f"the accountants contradict each other ({figures}); do not rely on any, and report it")
    return table


def calibrate(events_of: Callable[[float], Events], target: float, delta: float) -> float:
    """The smallest noise multiplier m, to 0.1 %, for which `events_of(m)` costs at most `target`.

    Raises `ConfigurationError` where none does.
    """
    require_delta(delta)
    if not 0 < target < math.inf:
        raise ConfigurationError(f"an epsilon of {target} is refused; use a positive, finite number")
    low, high = 0.0, 1.0
    while epsilon(events_of(high), delta) > target:
        low, high = high, 2 * high
        if high > LARGEST_NOISE:
            raise ConfigurationError(
                f"epsilon {target:g} at delta {delta:g} cannot be reached with any noise up to {LARGEST_NOISE:g} times "
                "a row; use a larger epsilon, a larger delta or fewer rounds"
            )
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        if middle < LEAST_NOISE or epsilon(events_of(middle), delta) > target:
            low = middle
        else:
            high = middle
    return high


def require_delta(delta: float) -> None:
    if not LEAST_DELTA <= delta < 1:
        raise ConfigurationError(f"a delta of {delta} is refused; use a number from {LEAST_DELTA:g} to 1, such as 1e-5")


@lru_cache(maxsize=4096)
def _bound(events: tuple[SampledGaussian, ...], delta: float, accountant: str) -> float:
    return max(0.0, ACCOUNTANTS[accountant](events, delta))


def _merged(events: Events) -> tuple[SampledGaussian, ...]:
    steps: dict[tuple[float, float], int] = {}
    for event in events:
        key = (event.noise_multiplier, event.sample_rate)
        steps[key] = steps.get(key, 0) + event.steps
    return tuple(SampledGaussian(*key, count) for key, count in sorted(steps.items()))


def _opacus(mechanism: str) -> Callable[[Events, float], float]:
    def bound(events: Events, delta: float) -> float:
        from opacus.accountants import create_accountant  # it takes seconds to import
        from scipy.integrate import IntegrationWarning

        accountant = create_accountant(mechanism)
        accountant.history = [(e.noise_multiplier, e.sample_rate, e.steps) for e in events]
        with warnings.catch_warnings(), np.errstate(divide="ignore"):  # Opacus takes log(1 - rate)
            warnings.simplefilter("ignore", IntegrationWarning)  # of means, to 1e-8; `epsilon_table` checks the outcome
            warnings.filterwarnings("ignore", "Optimal order is the (largest|smallest) alpha")  # looser, still a bound
            return float(accountant.get_epsilon(delta=delta))

    return bound


def _google(kind: str) -> Callable[[Events, float], float]:
    def bound(events: Events, delta: float) -> float:
        from dp_accounting import dp_event, pld, rdp

        logging.getLogger("absl").addFilter(_only_errors)
        accountant = pld.PLDAccountant() if kind == "pld" else rdp.RdpAccountant()
        for event in events:
            step = dp_event.PoissonSampledDpEvent(event.sample_rate, dp_event.GaussianDpEvent(event.noise_multiplier))
            accountant.compose(step, event.steps)
        return float(accountant.get_epsilon(delta))

    return bound


def _only_errors(record: logging.LogRecord) -> bool:
    """Google's accountant logs every Renyi order whose series does not converge; it then leaves that order out."""
    return record.levelno >= logging.ERROR


ACCOUNTANTS: Mapping[str, Callable[[Events, float], float]] = {
    "prv": _opacus("prv"),
    "pld": _google("pld"),
    "rdp": _opacus("rdp"),
    "rdp (Google)": _google("rdp"),
}
