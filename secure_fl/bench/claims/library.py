"""Which patterns are new in a stream, and which ones a bank's synthetic data hold.

The new patterns are drawn from the built-in library, less those that the simulator commits all the time. What is
trained on is never a new pattern itself:

- none: no synthetic data;
- unrelated: the rest of the library, without any pattern that resembles a new one;
- similar: that, and a variation of each new pattern, with other amounts, gaps and hours, as if somebody had guessed
  what comes.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np

from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import MAX_AMOUNT, MAX_MULTIPLE, FraudPattern
from secure_fl.data.synthetic.similarity import resembles_any

Synthetic = Literal["none", "unrelated", "similar"]
SYNTHETIC: tuple[Synthetic, ...] = get_args(Synthetic)
LONGEST_DAYS = 5
"""Sequences of new patterns typically take no longer, so that they can be drawn week by week."""
_STRETCH = (1.2, 1.5)
_DAY = 86_400
_SIMULATED = "Fraud Detection Handbook"
"""In the reference of library patterns that the simulator commits too."""


def new_patterns(count: int, rng: np.random.Generator) -> tuple[FraudPattern, ...]:
    """So many different patterns of the library."""
    patterns = [
        proposal.pattern
        for proposal in library()
        if typical_seconds(proposal.pattern) <= LONGEST_DAYS * _DAY
        and _SIMULATED not in (proposal.provenance.reference or "")
    ]
    return tuple(patterns[index] for index in rng.permutation(len(patterns))[:count])


def typical_seconds(pattern: FraudPattern) -> float:
    """How long a sequence of the fewest payments takes with gaps in the (geometric) middle of their range."""
    return (pattern.payments.low - 1) * math.sqrt(pattern.gaps.low * pattern.gaps.high)


def training_patterns(
    synthetic: Synthetic, new: tuple[FraudPattern, ...], rng: np.random.Generator
) -> tuple[FraudPattern, ...]:
    """What synthetic data are drawn from; none of it is, or resembles, a new pattern."""
    rest = tuple(p.pattern for p in library() if not resembles_any(p.pattern, new))
    if synthetic == "none":
        return ()
    return rest if synthetic == "unrelated" else rest + tuple(variation(pattern, rng) for pattern in new)


def variation(pattern: FraudPattern, rng: np.random.Generator) -> FraudPattern:
    """The same kind of fraud with amounts and gaps 20 to 50 % larger or smaller, two hours earlier or later."""
    document: dict[str, Any] = pattern.model_dump()
    highest = MAX_AMOUNT if pattern.amount.basis == "currency" else MAX_MULTIPLE
    for field, most in (("amount", highest), ("gaps", 90.0 * _DAY)):
        factor = float(rng.uniform(*_STRETCH) ** rng.choice([-1.0, 1.0]))
        for end in ("low", "high"):
            document[field][end] = min(document[field][end] * factor, most)
    document["gaps"]["low"] = max(document["gaps"]["low"], 1.0)
    document["hours"]["first"] = int(pattern.hours.first + rng.choice([-2, 2])) % 24
    document["name"] = f"Like it: {pattern.name}"[:60].strip()
    return FraudPattern.model_validate(document)
