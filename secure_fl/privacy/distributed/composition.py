"""What sums with different noises cost together: `guarantee.epsilon_spent` for rounds that are not all alike.

Renyi divergences of the rounds add up (Mironov, CSF 2017), and so does what clamping adds to delta in each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from secure_fl.privacy.distributed.guarantee import ORDERS, clamp_delta


def epsilon_together(multipliers: Sequence[float], delta: float) -> float:
    """Epsilon at `delta` of one sum for each effective noise multiplier; 0 without any, infinite without a promise."""
    if not multipliers:
        return 0.0
    spent, before = _epsilon(multipliers, delta), -1.0
    while before < spent < math.inf:
        before, left = spent, delta - clamp_delta(spent, len(multipliers))
        spent = max(spent, _epsilon(multipliers, left))
    return spent


def _epsilon(multipliers: Sequence[float], delta: float) -> float:
    if min(multipliers) <= 0 or delta <= 0:
        return math.inf
    import dp_accounting as dp  # takes a second to import

    accountant = dp.rdp.RdpAccountant(ORDERS)
    for multiplier in sorted(set(multipliers)):
        accountant.compose(dp.GaussianDpEvent(multiplier), multipliers.count(multiplier))
    return float(accountant.get_epsilon(delta))
