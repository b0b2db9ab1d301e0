"""Epsilon against other accountants, other formulas, and the distributions themselves."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import dp_accounting
import numpy as np
import opendp.prelude as opendp
import pytest
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError
from secure_fl.privacy.distributed import calibrate, effective_noise_multiplier, epsilon_spent
from secure_fl.privacy.distributed.guarantee import clamp_delta, excess
from secure_fl.secagg.budget import NoisePlan, plan_with_noise

pytestmark = pytest.mark.slow

FRAUD_MODEL = 10_379
ORDERS = (1.0001, 1.1, 1.5, 2, 3, 5, 10, 30, 100, 1_000)


def planned(epsilon: float, delta: float, rounds: int, banks: int = 5, **changes: Any) -> NoisePlan:
    noise_multiplier = calibrate(epsilon, delta, rounds, FRAUD_MODEL, banks)
    return plan_with_noise("plaintext", banks, FRAUD_MODEL, noise_multiplier, **changes)[1]


def rough(parameters: int, noise_multiplier: float, banks: int = 4) -> NoisePlan:
    """A plan that the planner may refuse: its noise may be finer than a step."""
    return NoisePlan(banks=banks, parameters=parameters, threshold=banks, bits=4, noise_multiplier=noise_multiplier)


def by_opendp(noise: NoisePlan, rounds: int, delta: float, shares: int) -> float:
    """OpenDP's own discrete Gaussian, of the variance of `shares` shares: its zCDP, composed, as approximate DP."""
    opendp.enable_features("contrib")
    domain = opendp.vector_domain(opendp.atom_domain(T="i64"), size=noise.parameters)
    scale = noise.deviation * math.sqrt(shares)
    one = opendp.m.make_gaussian(domain, opendp.l2_distance(T="f64"), scale=scale)
    curve: Any = opendp.c.make_zCDP_to_approxDP(opendp.c.make_composition([one] * rounds))
    return float(curve.map(math.sqrt(noise.norm_bound_squared)).epsilon(delta))


@pytest.mark.parametrize(("epsilon", "delta", "rounds"), list(product((0.5, 1.0, 3.0, 8.0), (1e-5, 1e-9), (1, 20))))
def test_opendp_and_dp_accounting_agree(epsilon: float, delta: float, rounds: int) -> None:
    noise = planned(epsilon, delta, rounds, bits=7)
    spent = epsilon_spent(noise, rounds, delta)
    assert epsilon * 0.9999 < spent <= epsilon, "the promise is kept, and not overpaid"
    assert by_opendp(noise, rounds, delta, noise.threshold) == pytest.approx(spent, rel=1e-3)

    multiplier = noise.deviation * math.sqrt(noise.threshold / noise.norm_bound_squared)
    accountant = dp_accounting.rdp.RdpAccountant()
    accountant.compose(dp_accounting.GaussianDpEvent(multiplier), rounds)
    assert spent * 0.9999 < accountant.get_epsilon(delta) < spent * 1.02, "its orders are coarser"


def test_every_permitted_set_of_survivors_keeps_the_promise() -> None:
    noise = planned(3.0, 1e-5, 10, banks=9, threshold=5)
    spent = [by_opendp(noise, 10, 1e-5, shares) for shares in range(4, 10)]
    assert spent[0] > 3.1, "below the threshold the promise would be broken"
    assert spent[1] == pytest.approx(3.0, rel=0.01)
    assert spent[1:] == sorted(spent[1:], reverse=True)


def test_who_knows_shares_of_the_noise_learns_more() -> None:
    noise = planned(3.0, 1e-5, 10, banks=9, threshold=5)
    spent = [epsilon_spent(noise, 10, 1e-5, known) for known in range(6)]
    for known in range(1, 5):
        assert by_opendp(noise, 10, 1e-5, 5 - known) == pytest.approx(spent[known], rel=0.01)
        assert effective_noise_multiplier(noise, known) == pytest.approx(
            noise.noise_multiplier * math.sqrt((5 - known) / 5)
        )
    assert spent[5] == math.inf
    assert effective_noise_multiplier(noise, 5) == 0


def test_epsilon_grows_with_rounds_and_shrinks_with_delta() -> None:
    noise = planned(1.0, 1e-5, 1)
    spent = [epsilon_spent(noise, rounds, 1e-5) for rounds in (1, 2, 10, 100)]
    assert spent == sorted(spent)
    assert spent[1] > 1.3 * spent[0]
    assert epsilon_spent(noise, 1, 1e-7) > spent[0] > epsilon_spent(noise, 1, 1e-3)


def convolved(deviation: float, shares: int) -> NDArray[np.float64]:
    """Probabilities of the sum of independent discrete Gaussians, around its middle."""
    reach = math.ceil(12 * deviation * math.sqrt(shares)) + 30
    support = np.arange(-reach, reach + 1)
    one = np.exp(-(support**2) / (2 * deviation**2))
    total: NDArray[np.float64] = one / one.sum()
    for _ in range(shares - 1):
        total = np.convolve(total, one / one.sum(), mode="same")
    return total


def renyi(p: NDArray[np.float64], q: NDArray[np.float64], order: float) -> float:
    present = (p > 1e-250) & (q > 1e-250)
    logs = order * np.log(p[present]) + (1 - order) * np.log(q[present])
    return float(np.logaddexp.reduce(logs) / (order - 1))


@pytest.mark.parametrize(("deviation", "shares"), [(0.5, 2), (0.5, 6), (0.7, 3), (1.0, 5), (2.0, 3)])
def test_the_renyi_divergence_of_a_true_sum_is_within_the_bound(deviation: float, shares: int) -> None:
    """The theorem in one dimension, from the probabilities themselves."""
    total = convolved(deviation, shares)
    for order, shift in product((1.01, 1.5, 2, 4, 8), (1, 2, 3)):
        divergence = renyi(total[shift:], total[:-shift], order)
        smooth = order * shift**2 / (2 * shares * deviation**2)
        tau = excess(deviation, shares)
        assert divergence <= smooth + tau + 1e-9
        assert divergence == pytest.approx(smooth, abs=tau + 1e-6), "and the bound is not idle"


@pytest.mark.parametrize(("parameters", "noise_multiplier"), [(1, 0.05), (50, 0.1), (1_000, 0.05), (10_379, 0.1)])
def test_the_multiplier_dominates_the_papers_divergence_at_every_order(
    parameters: int, noise_multiplier: float
) -> None:
    """Proposition 14 of Kairouz, Liu, Steinke 2021, in the form of their published accounting code."""
    noise = rough(parameters, noise_multiplier)
    x = math.sqrt(noise.norm_bound_squared / (4 * noise.deviation**2))
    tau = 10 * sum(math.exp(-2 * math.pi**2 * noise.deviation**2 * k / (k + 1)) for k in (1, 2, 3))
    multiplier = effective_noise_multiplier(noise)
    assert multiplier <= noise_multiplier * (1 + 1e-12)
    for order in ORDERS:
        bound = min(order * x**2 / 2 + tau * parameters, order / 2 * (x + math.sqrt(parameters) * tau) ** 2)
        assert bound <= order / (2 * multiplier**2) * (1 + 1e-12)


def test_noise_finer_than_a_step_costs_and_coarse_noise_does_not() -> None:
    fine, coarse = rough(1, 0.15), rough(1, 1.5)
    assert fine.deviation < 1 < coarse.deviation
    assert effective_noise_multiplier(fine) < 0.999 * 0.15
    assert effective_noise_multiplier(coarse) == pytest.approx(1.5)


def test_the_chance_of_clamping_is_paid_from_delta() -> None:
    clamped = 10 * 2**-64 * (1 + math.exp(1.0))
    assert clamp_delta(1.0, 10) == pytest.approx(clamped)
    delta = 2 * clamped
    noise = planned(1.0, delta, 10)
    assert epsilon_spent(noise, 10, delta) == pytest.approx(1.0, rel=1e-4)
    assert by_opendp(noise, 10, delta - clamped, noise.threshold) == pytest.approx(1.0, rel=1e-3)
    assert by_opendp(noise, 10, delta, noise.threshold) < 0.995
    assert epsilon_spent(noise, 10, 1e-19) == math.inf, "clamping alone has a larger probability"


@pytest.mark.parametrize(
    ("epsilon", "delta", "rounds", "problem"),
    [
        (0.0, 1e-5, 10, "an epsilon of 0.0 is refused"),
        (-1.0, 1e-5, 10, "an epsilon of -1.0 is refused"),
        (math.nan, 1e-5, 10, "an epsilon of nan is refused"),
        (math.inf, 1e-5, 10, "an epsilon of inf is refused"),
        (3.0, 0.0, 10, "a delta of 0.0 is refused"),
        (3.0, 1.0, 10, "a delta of 1.0 is refused"),
        (3.0, math.nan, 10, "a delta of nan is refused"),
        (3.0, 1e-5, 0, "0 rounds spend nothing"),
        (3.0, 1e-18, 10, "clamping alone may break it; use a smaller epsilon or a larger delta"),
        (40.0, 1e-5, 10, "clamping alone may break it"),
        (1e-9, 1e-9, 10_000, "cannot be reached with any noise; use a larger epsilon"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused(epsilon: float, delta: float, rounds: int, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        calibrate(epsilon, delta, rounds, FRAUD_MODEL, banks=3)


def test_a_question_that_means_nothing_is_refused() -> None:
    noise = planned(3.0, 1e-5, 10)
    with pytest.raises(ConfigurationError, match="a delta of 2 is refused"):
        epsilon_spent(noise, 10, delta=2)
    with pytest.raises(ConfigurationError, match="0 rounds spend nothing"):
        epsilon_spent(noise, 0, delta=1e-5)
