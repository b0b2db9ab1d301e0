"""From a bank's integers to polynomials modulo SEAL's primes, and from what a quorum opens to the sum of integers.

Under `bfv` integers lie in coefficients, under `ckks` in slots, which are values at complex roots.
"""

from __future__ import annotations

from secure_fl.secagg.budget.slots import SlotPlan
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.packing import IntVector, Words
from secure_fl.secagg.threshold import coefficients, slots


def encode(plan: ThresholdPlan, values: IntVector) -> Words:
    """One bank's values, [coefficients, data primes]."""
    return slots.encode(plan, values) if isinstance(plan, SlotPlan) else coefficients.encode(plan, values)


def decode(plan: ThresholdPlan, residues: Words, contributors: int) -> IntVector:
    """The exact sum of so many banks from what all parts leave of the ciphertexts, [coefficients, data primes].

    Raises `ProtocolError` where no such sum has these residues.
    """
    decoder = slots.decode if isinstance(plan, SlotPlan) else coefficients.decode
    return decoder(plan, residues, contributors)
