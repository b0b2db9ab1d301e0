"""How much noise SEAL's CKKS puts into a slot: standard deviations, tails and what they rest on.

A slot is a value of the ciphertext's polynomial at a root of X**N + 1. A polynomial with independent coefficients of
variance v has there a real and an imaginary part of variance v N/2 each, and where the coefficients are subgaussian
(P(|x| > t sigma) <= 2 exp(-t**2 / 2)) so are both parts, and so is every sum of them over slots.

    errors e of encryption   a centred binomial of 21 + 21 coins: v = 21/2, strictly subgaussian
    secret s                 uniform in {-1, 0, 1}: v = 2/3, strictly subgaussian
    rounding t_0 + t_1 s     after a division by a prime; t uniform in [-1/2, 1/2]: v = 1/12. Given the key, the
                             deviation in a slot is sqrt(N/24 (1 + |s|**2)), with s that slot's value of the secret
    encoding                 each coefficient rounded to an integer. Inputs decide how, so the worst case counts:
                             (1/2) sum |cos| <= N/pi + 1

Switching keys (after a square) adds the sum over data primes q_i of d_i e_i / P, with P the special prime and d_i < q_i
the ciphertext's own residues: N q_i |e_i| / P each, whatever these are. A new encryption of zero under a public key
(-a s + e, a) has the noise e u + e_0 + e_1 s, with u drawn like s. `Noise.tail` is so large that all the events that a
batch depends on, in all slots and both parts, happen together but for 2**-failure_bits.

Assumed: remainders of ciphertexts modulo a prime that is divided away are uniform and independent of the key, as they
are if ciphertexts look random at all (the ring-LWE assumption).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

FAILURE_BITS = 40
ERROR_VARIANCE, SECRET_VARIANCE, ROUNDING_VARIANCE = 10.5, 2 / 3, 1 / 12
_DIRECTIONS = 16
"""A complex number is at most its largest part in so many directions over a half-circle, / cos(pi / 32)."""
_SLACK = 1 / math.cos(math.pi / (2 * _DIRECTIONS))
FLOAT_ERROR = 2.0**-40
"""Of encoding and decoding in float64, relative to the largest slot: a transform of length N loses less than
2**-53 x 6 log2(N) x sqrt(N)."""


@dataclass(frozen=True)
class Noise:
    """Of one batch under one key."""

    degree: int
    neurons: int
    """Linear forms of noise that are bounded: one for each neuron."""
    switching_primes: int = 0
    """Errors of evaluation keys that are bounded."""
    switchings: int = 0
    """How often keys are switched; the rounding after each is bounded by itself."""
    failure_bits: int = FAILURE_BITS

    @cached_property
    def tail(self) -> float:
        """In standard deviations."""
        slots = self.degree / 2
        forms = slots * (2 * (self.neurons + self.switchings) + _DIRECTIONS * (1 + self.switching_primes))
        return math.sqrt(2 * math.log(2 * forms * 2.0**self.failure_bits))

    @property
    def fresh(self) -> float:
        """Standard deviation of a new ciphertext's noise in a slot, each part."""
        return math.sqrt(ERROR_VARIANCE * self.degree / 2)

    @property
    def encoding(self) -> float:
        """The largest rounding error of an encoding in a slot, each part."""
        return self.degree / math.pi + 1

    @property
    def largest_secret(self) -> float:
        """A bound on |s| in every slot."""
        return self.tail * math.sqrt(SECRET_VARIANCE * self.degree / 2) * _SLACK

    @property
    def rounding(self) -> float:
        """Standard deviation of what a division by a prime leaves, each part, given that |s| is within its bound."""
        return math.sqrt(ROUNDING_VARIANCE * self.degree / 2 * (1 + self.largest_secret**2))

    @property
    def encrypted_zero(self) -> float:
        """A bound on the noise of a new encryption of zero under a public key in a slot, each part.

        SEAL makes it under one prime more and divides that away, which leaves less than is counted here.
        """
        error = self.tail * self.fresh * _SLACK
        return error * (2 * self.largest_secret + 1) + self.tail * self.rounding

    def switching(self, primes: tuple[int, ...], special: int) -> float:
        """A bound on what one switching of keys adds to a slot, each part."""
        key_error = self.tail * self.fresh * _SLACK
        return sum(primes) / special * self.degree * key_error + self.tail * self.rounding
