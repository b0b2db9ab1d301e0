"""First polynomials, and answers of members, as they travel: under `ckks` without low bits that noise hides anyway.

What is left of a coefficient goes into words of equal width, so that the sum of banks' words is told by adding words.
Under `bfv` coefficients travel whole, modulo each data prime.
"""

from __future__ import annotations

import numpy as np

from secure_fl.secagg.budget.slots import SlotPlan
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.hazmat.collective import data_moduli, product
from secure_fl.secagg.packing import Words
from secure_fl.secagg.threshold.numbers import moduli_of, rebuilt, some_bits

_SPARE = 2.0**-45
"""A number may be so much of q above it, which the words have room for, and never below zero."""


def rounded(plan: ThresholdPlan, residues: Words) -> Words:
    """What is sent of coefficients [n, data primes]: [n, words for one]."""
    if not isinstance(plan, SlotPlan):
        return residues
    half = np.array([pow(2, plan.dropped - 1, m) for m in moduli_of(plan.ring)], dtype=np.uint64)
    limbs = rebuilt(plan.ring, (residues + half) % data_moduli(plan.ring).reshape(-1), -_SPARE)
    width = plan.first.bits
    pieces = [some_bits(limbs, plan.dropped + place * width, width) for place in range(plan.pieces)]
    return np.stack(pieces, axis=1).astype(np.uint64)


def restored(plan: ThresholdPlan, words: Words) -> Words:
    """Coefficients [n, data primes] from what was sent of them, or from sums of that; `words` lie in a row."""
    moduli = data_moduli(plan.ring).reshape(-1)
    if not isinstance(plan, SlotPlan):
        return words.reshape(-1, plan.ring.primes) % moduli
    found = np.zeros((len(words) // plan.pieces, plan.ring.primes), dtype=np.uint64)
    for place, column in enumerate(words.reshape(-1, plan.pieces).T):
        power = plan.dropped + place * plan.first.bits
        factors = np.array([pow(2, power, int(m)) for m in moduli], dtype=np.uint64)
        residues = column[:, None] % moduli
        found += product(residues, np.broadcast_to(factors, residues.shape), moduli)
    return found % moduli
