"""What a distributed noise promises.

Let every one of n banks add discrete Gaussian noise with deviation s >= 1/2 to each of d values, and D be the L2
sensitivity of their sum, all in quantization steps. With

    tau = 10 * sum_{k=1}^{n-1} exp(-2 pi**2 s**2 k / (k + 1)),        x = D / (sqrt(n) s)

every order a of the Renyi divergence between neighbours is at most a x**2 / 2 + tau d, and at most
a (x + tau sqrt(d))**2 / 2 (Kairouz, Liu, Steinke, ICML 2021, Proposition 14). A Gaussian with noise multiplier m has
a / (2 m**2). As a > 1, the sum is no worse than the m of

    1 / m**2 = min(x**2 + 2 tau d, (x + tau sqrt(d))**2)

in *every Renyi divergence*. Nothing is known of how its privacy profile compares with that Gaussian's: m may go into
accountants by Renyi or zero-concentrated DP, not into those by privacy loss distributions (PLD, PRV).

Clamping a value that does not fit changes the sum of either neighbour with a probability of at most
p = rounds * 2**-CLAMP_BITS, whatever is summed. So (epsilon, delta) becomes (epsilon, delta + (1 + exp(epsilon)) p).

Fewer banks than the plan's, but not fewer than its threshold t, may end up in a sum: x is taken for t of them and tau
for all, which covers every number in between. Whoever knows j of the shares sees the noise of t - j others only.
"""

from __future__ import annotations

import math

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.budget import NoisePlan
from secure_fl.secagg.budget.noise import CLAMP_BITS, MIN_DEVIATION

LARGEST_MULTIPLIER = 1e6
ORDERS = tuple(1 + 1.02**power for power in range(-250, 750))
"""From 1.007 to 3e6, so close that the best of all orders costs hardly less."""


def effective_noise_multiplier(noise: NoisePlan, known_shares: int = 0) -> float:
    """The m of one round whose sum holds as many banks as the threshold. 0: no promise at all.

    `known_shares`: how many shares of the noise the observer knows: 1 for a participating bank, `threshold` - 1 for
    whoever sees a bank's own noisy vector, with nobody else's noise to hide it.
    """
    hidden = noise.threshold - known_shares
    if hidden <= 0:
        return 0.0
    x = math.sqrt(noise.norm_bound_squared / noise.variance(hidden))
    d, tau = noise.parameters, excess(noise.deviation, noise.banks)
    return 1 / min(math.sqrt(x**2 + 2 * tau * d), x + tau * math.sqrt(d))


def excess(deviation: float, shares: int) -> float:
    """tau: how far a sum of discrete Gaussians is from one discrete Gaussian, in each coordinate."""
    return 10 * sum(math.exp(-2 * (math.pi * deviation) ** 2 * k / (k + 1)) for k in range(1, shares))


def clamp_delta(epsilon: float, rounds: int) -> float:
    """What clamping adds to delta."""
    return math.ldexp(rounds, -CLAMP_BITS) * (1 + math.exp(min(epsilon, 700.0)))  # no larger, or exp overflows


def epsilon_spent(noise: NoisePlan, rounds: int, delta: float, known_shares: int = 0) -> float:
    """Epsilon at `delta` after `rounds` rounds; infinite where there is no promise."""
    _require_target(1.0, delta, rounds)
    multiplier = effective_noise_multiplier(noise, known_shares)
    spent, before = _epsilon(multiplier, rounds, delta), -1.0
    while before < spent < math.inf:
        before, left = spent, delta - clamp_delta(spent, rounds)
        spent = max(spent, _epsilon(multiplier, rounds, left))
    return spent


def calibrate(epsilon: float, delta: float, rounds: int, parameters: int, banks: int) -> float:
    """The noise multiplier for a `NoisePlan` that spends at most `epsilon` in `rounds` rounds.

    Raises `ConfigurationError` where a promise cannot be kept, whatever the noise.
    """
    _require_target(epsilon, delta, rounds)
    left = delta - clamp_delta(epsilon, rounds)
    if left <= 0:
        raise ConfigurationError(
            f"epsilon {epsilon:g} cannot be promised at delta {delta:g} over {rounds} rounds: clamping alone may "
            "break it; use a smaller epsilon or a larger delta"
        )
    multiplier = _multiplier(epsilon, left, rounds)
    inverse_square = multiplier**-2 - 2 * parameters * excess(MIN_DEVIATION, banks)
    if inverse_square <= 0:
        raise _unreachable(epsilon)
    return 1 / math.sqrt(inverse_square)


def _require_target(epsilon: float, delta: float, rounds: int) -> None:
    if not 0 < epsilon < math.inf:
        raise ConfigurationError(f"an epsilon of {epsilon} is refused; use a positive, finite number")
    if not 0 < delta < 1:
        raise ConfigurationError(f"a delta of {delta} is refused; use a number between 0 and 1")
    if rounds < 1:
        raise ConfigurationError(f"{rounds} rounds spend nothing; use at least 1")


def _epsilon(multiplier: float, rounds: int, delta: float) -> float:
    """By Renyi DP of a Gaussian."""
    if multiplier == 0 or delta <= 0:
        return math.inf
    import dp_accounting as dp  # takes a second to import

    accountant = dp.rdp.RdpAccountant(ORDERS)
    accountant.compose(dp.GaussianDpEvent(multiplier), rounds)
    return float(accountant.get_epsilon(delta))


def _multiplier(epsilon: float, delta: float, rounds: int) -> float:
    """The smallest noise multiplier whose epsilon is at most `epsilon`, rounded up beyond floating-point errors."""
    low, high = 0.0, 1.0
    while _epsilon(high, rounds, delta) > epsilon:
        low, high = high, 2 * high
        if high > LARGEST_MULTIPLIER:
            raise _unreachable(epsilon)
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _epsilon(middle, rounds, delta) > epsilon else (low, middle)
    return high * (1 + 1e-9)


def _unreachable(epsilon: float) -> ConfigurationError:
    return ConfigurationError(f"epsilon {epsilon:g} cannot be reached with any noise; use a larger epsilon")
