"""The plan of a sum under Ring-LWE: how many values go into a coefficient, and how many low bits are not sent.

A coefficient carries `fields_per_slot` fields, together k bits, so t = 2**k. It opens to
the right number while the noise of the sum stays below q / 2t, less what rounding moves (below).

*Noise of one bank*, in each coefficient of d_i + c s_i (`secagg.rlwe`): e_i u + e'_i + e s_i, plus what cutting off
d0 bits of d_i and d1 bits of c leaves behind: delta_0 + delta_1 s_i, the deltas uniform around zero. For a fixed key,
all of these but for the deltas are sums of independent bounded numbers, each strictly sub-Gaussian: ternary ones with
variance 2/3, centred binomial ones with 10.5, uniform ones over 2**d values with less than 4**d / 12 (a variable is
strictly sub-Gaussian if its moment generating function is at most that of the normal distribution of its variance;
sums of independent ones are so too). With |s|**2 <= h = N (2/3 + 1/8) and |e_i|**2 <= 1.35 x 10.5 N,

    sigma_key**2 = 10.5 (1.35 (2/3) N + 1 + h)      sigma_0 = 2**d0 / sqrt(12)      sigma_1 = 2**d1 sqrt(h / 12)

A key that is longer than that comes once in more than 2**100 keys (binomial and chi-square tails at 17 and 15
deviations). The parts depend on each other, since the low bits are those of numbers that hold the noise. So each part
is held to its share of B, in proportion to its deviation; where all of them keep to theirs, the sum is right. With p of
them (one, and one for each half of which bits are cut off)

    sigma = sqrt(K) (sigma_key + sigma_0 + sigma_1)      P(wrong) <= 2 n p exp(-B**2 / (2 sigma**2))

over the n coefficients of a sum over K banks. That the low bits are uniform is Ring-LWE itself. A c with other low bits
than a uniform polynomial's would be told from one, by who knows s_i too: u is the secret there. And so would be a d_i,
by who does not know s_i, which its part of the noise does not hold. So the bound holds but for the advantage of whoever
tells K of them. Ring-LWE says that of each alone (who knows s_i tells the two together at once), and of probabilities,
not of moments: hence part by part. Low bits of numbers below q are not quite uniform: each is at most 1 + 2**-36 times
as likely, which for 10,000 banks is a factor below 1.001 in all.

B = q / 2t - 2K - 4 - 333 leaves K / 2 for the banks' rounding of q m / t, 1/2 for that of the mean of what was cut off
from d_i, 4 for the opener's in floating point, and 333 for the mean of what was cut off from c: it may be off by 1/2 in
every coefficient, which the key multiplies. Half the sum of a key's coefficients, under any signs, has a variance of
N / 6, and is above 333 in one of all coefficients once in 2**100 keys. With one ciphertext added K times, sigma has K
in the place of sqrt(K).

Failing sums tell something of the key (`budget.he`), so the planner demands 2**-40 and says how many sums a key bears.
It takes the smallest upload; docs/where-bytes-go.md says where its bits are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.dropping import KEY_LENGTH, dropped_failure_bits, most_dropped
from secure_fl.secagg.budget.he import (
    FAILURE_BITS,
    Dropped,
    HePlan,
    RlweParameters,
    field_base,
    smallest_exact,
)
from secure_fl.secagg.rlwe.ring import DEGREE, MODULUS, MODULUS_BITS

EXPERIMENTAL = "experimental: the arithmetic is our own, and nobody has audited it"
"""Said of the scheme wherever it is chosen or shown."""
MOST_KEYS = 15
"""Messages under one u: more would save less than 1 % of the bytes, and cost keys."""
ERROR_VARIANCE = 10.5
_ERROR_LENGTH = 1.35 * DEGREE
"""|e|**2 of the error in a public key is more than ERROR_VARIANCE times that once in more than 2**100 keys."""
FRESH_NOISE = math.sqrt(ERROR_VARIANCE * (_ERROR_LENGTH * 2 / 3 + 1 + KEY_LENGTH))


@dataclass(frozen=True, kw_only=True, repr=False)
class RlwePlan(HePlan):
    """Coefficients of integers modulo 2**k."""

    keys: int

    @property
    def parameters_of_context(self) -> RlweParameters:
        return RlweParameters(self.keys)

    @property
    def message_bits(self) -> int:
        """The k of t = 2**k."""
        return _message_bits(self.field_base, self.fields_per_slot)

    @property
    def ciphertexts(self) -> int:
        """Each with a u of its own, and up to `keys` messages."""
        return math.ceil(math.ceil(self.slots / DEGREE) / self.keys)

    @property
    def modulus_bits(self) -> int:
        return MODULUS_BITS

    @property
    def coefficients(self) -> tuple[int, int]:
        return self.slots, self.ciphertexts * DEGREE

    def _failure_bits(self, noise: float) -> float:
        bound = _bound(self.message_bits, self.banks)
        return dropped_failure_bits(bound, noise, FRESH_NOISE, self.dropped, self.slots)

    def derived(self) -> dict[str, Any]:
        own = {"modulus_bits": MODULUS_BITS, "keys": self.keys, "ciphertexts": self.ciphertexts}
        return super().derived() | own | {"message_bits": self.message_bits, "warning": EXPERIMENTAL}


def plan_rlwe(banks: int, parameters: int, bits: int | None, threshold: int) -> RlwePlan:
    """The smallest upload. Raises `PlanError`."""
    assert bits is not None  # float32 was refused before
    best = _best(banks, parameters, bits, threshold)
    if best is None:
        fewer = next(b for b in range(bits - 1, 0, -1) if _best(banks, parameters, b, threshold) is not None)
        raise PlanError(
            f"the sum of {banks} banks x {bits} bits needs {_message_bits(field_base(banks, bits), 1)} bits, which "
            f"leaves too few of {MODULUS_BITS} against the noise; use at most {fewer} bits or fewer banks"
        )
    return best


def _best(banks: int, parameters: int, bits: int, threshold: int) -> RlwePlan | None:
    base = field_base(banks, bits)
    return smallest_exact(
        RlwePlan(
            scheme="rlwe",
            banks=banks,
            parameters=parameters,
            bits=bits,
            threshold=threshold,
            fields_per_slot=fields,
            keys=keys,
            dropped=dropped,
        )
        for fields in range(1, MODULUS_BITS // base.bit_length() + 1)
        for slots in [math.ceil(parameters / fields)]
        for keys in [_keys(math.ceil(slots / DEGREE))]
        for dropped in _droppings(banks, slots, keys, _message_bits(base, fields))
    )


def _message_bits(base: int, fields: int) -> int:
    return int(base**fields - 1).bit_length()


def _keys(polynomials: int) -> int:
    """As few keys as do with the fewest ciphertexts."""
    return math.ceil(polynomials / math.ceil(polynomials / MOST_KEYS))


def _droppings(banks: int, slots: int, keys: int, message_bits: int) -> Iterator[Dropped]:
    """The most that may be dropped."""
    second = math.ceil(math.ceil(slots / DEGREE) / keys) * DEGREE
    noise = math.sqrt(banks)
    return most_dropped(_bound(message_bits, banks), noise, FRESH_NOISE, (slots, second), FAILURE_BITS)


def _bound(message_bits: int, banks: int) -> float:
    """The noise that a sum bears."""
    return MODULUS / (2 << message_bits) - 2 * banks - 4
