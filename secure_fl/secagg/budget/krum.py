"""The plan of Multi-Krum on ciphertexts: a CKKS sum whose ciphertexts can also be subtracted, squared and totalled.

A slot carries one value v, centred, at the scale D = 2**scale_bits, with the noise e of `budget.ckks`. A distance is
read off one coefficient (`hazmat.he_totals`): with S slots in use and N the degree,

    coefficient = (2/N) D**2 x squared distance + noise

*Head-room.* No two updates are further apart than sqrt(parameters) (2**bits - 1), and the coefficient must stay within
half the modulus q. SPARE_BITS more are left, so that a total of garbage, which is uniform modulo q, seldom looks
possible. Where one data prime of at most 60 bits has no room, two of at most 43 have: their product is q.

*Error of a distance.* The slot of a difference is z D + e, e of two fresh ciphertexts, so that its square is

    z**2 D**2 + 2 z D e + e**2.

The real part of e has the deviation NOISE * sqrt(2), and Laplace's distribution over keys and slots (`budget.ckks`).
For Laplace variables x_j of deviation 1, exp(t sum z_j x_j) has the mean prod 1 / (1 - t**2 z_j**2 / 2), which for a
given sum of z_j**2 is largest where all lies in one slot; so by Chernoff's bound, for any u < 1,

    P(|sum z_j x_j| > b |z|) <= 2 exp(-sqrt(2) u b) / (1 - u**2)

and `noise_per_root` is twice the b of 2**-ERROR_FAILURE_BITS for all totals together, times deviation over D. The
squares e**2 add at most the sum of |e|**2 over all slots, padding too, whose mean is 4 NOISE**2 for each (real and
imaginary parts, two ciphertexts) and which exceeds twice its mean never: thousands of terms. The fresh encryption of
zero that masks a total adds less than that.

*What hides single squares.* Nothing statistical: N - 1 coefficients are not sent, which is as good as a uniform
blinding of them (distance 0 for every slot), and Ring-LWE at 128 bits hides the rest (`hazmat.he_totals`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.ckks import NOISE, CkksPlan
from secure_fl.secagg.budget.he import (
    FAILURE_BITS,
    MODULUS_BITS,
    POLY_MODULUS_DEGREE,
    PRIME_BITS,
    HeParameters,
)
from secure_fl.secagg.budget.plans import ENVELOPE_BYTES, MIN_BITS, sum_bits

MOST_BANKS = 100
"""Totals grow with the square of the number of banks."""
SPARE_BITS = 2
SMALLEST_SPECIAL_PRIME_BITS = 20
ERROR_FAILURE_BITS = 40
REPEATED_FAILURE_BITS = 25
"""Of a sum in which one ciphertext was added as often as there are banks."""
SHARPNESS = 1e-3
"""Largest error of the squared distance of two updates that differ by one quantization step in each value, relative."""
WEIGHTS_WIDTH = 256
"""Random weights are drawn from [-128, 128), so that rounding them matters little."""
_U = 0.95

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, repr=False)
class KrumPlan(CkksPlan):
    """One field per slot, and room for squares."""

    data_primes: int
    norm_bound: float | None = None
    """Banks whose update is longer than this, in quantization steps (L2), are left out; None: no bound."""

    @property
    def parameters_of_context(self) -> HeParameters:
        return HeParameters("ckks", self.prime_bits, scale_bits=self.scale_bits, data_primes=self.data_primes)

    @property
    def totals(self) -> int:
        """Norms and pairwise distances of all banks."""
        return self.banks * (self.banks + 1) // 2

    @property
    def totals_bytes(self) -> int:
        """What the aggregator sends to the key authority to have banks chosen."""
        words = self.banks * (1 + POLY_MODULUS_DEGREE) + self.totals * (1 + 2 * POLY_MODULUS_DEGREE)
        return ENVELOPE_BYTES + 8 * self.data_primes * words

    @property
    def largest_squared_distance(self) -> int:
        """Of two updates in the range of the plan, in squared steps."""
        assert self.bits is not None
        return self.parameters * ((1 << self.bits) - 1) ** 2

    @property
    def largest_squared_norm(self) -> int:
        """Of one update in the range, measured from the middle of the range."""
        assert self.bits is not None
        return self.parameters * (1 << (self.bits - 1)) ** 2

    @property
    def unit(self) -> float:
        """What the coefficient of a total counts in, as a squared distance."""
        return POLY_MODULUS_DEGREE * 2.0 ** -(2 * self.scale_bits + 1)

    @property
    def deviations(self) -> float:
        """The b of the bound above."""
        return math.log(2 / (1 - _U**2) * self.totals * 2.0**ERROR_FAILURE_BITS) / (math.sqrt(2) * _U)

    @property
    def noise_per_root(self) -> float:
        """Error of a squared distance, for each unit of the distance itself."""
        return 2 * self.deviations * NOISE * math.sqrt(2) * 2.0**-self.scale_bits

    @property
    def padded_slots(self) -> int:
        """Slots of all ciphertexts, in use or not."""
        return self.ciphertexts * POLY_MODULUS_DEGREE // 2

    @property
    def noise_of_squares(self) -> float:
        """Error of a squared distance that does not depend on it."""
        return 2 * self.padded_slots * 4 * NOISE**2 * 4.0**-self.scale_bits

    def imaginary_errors(self, squared_norms: FloatArray) -> FloatArray:
        """Bounds on what the imaginary parts of updates of such squared norms add up to under weights of width 1.

        Noise of all slots times weights, whose squares add up to slots / 12, or for ten deviations more to slots / 10;
        and the values times what rounding leaves in the imaginary parts of the encoded weights: N coefficients off by
        less than 1/2 each, which makes sqrt(N / 24) in a slot, over WEIGHTS_WIDTH.
        """
        noise = self.deviations * NOISE * math.sqrt(self.padded_slots / 10)
        rounded = self.deviations * math.sqrt(POLY_MODULUS_DEGREE / 24) / WEIGHTS_WIDTH
        rounding = rounded * np.sqrt(np.maximum(squared_norms, 0) + 1)
        return np.asarray((noise + rounding) * 2.0**-self.scale_bits)

    @property
    def imaginary_length_shown(self) -> float:
        """How long imaginary parts are that show in 99 of 100 sums, in steps (L2), for updates of the middle range.

        A sum of numbers y with uniform weights of width 1 has a density of at most sqrt(2) / |y| (Ball, "Cube slicing
        in R^n", Proceedings of the AMS 1986).
        """
        bound = float(self.imaginary_errors(np.array(float(self.largest_squared_norm) / 4)))
        return 100 * 2 * math.sqrt(2) * bound

    def errors(self, squared: FloatArray) -> FloatArray:
        """Bounds on |measured - true| for measured squared distances, of any shape.

        The true one is larger by at most that error itself, which is solved for.
        """
        per_root, fixed = self.noise_per_root, self.noise_of_squares
        roots = per_root / 2 + np.sqrt(np.maximum(squared, 0) + fixed + per_root**2 / 4)
        return np.asarray(per_root * roots + fixed)

    @property
    def sharpness(self) -> float:
        """Relative error of the squared distance of two updates that differ by one step in each value."""
        return self.noise_per_root / math.sqrt(self.parameters) + self.noise_of_squares / self.parameters

    @property
    def fits(self) -> bool:
        """Whether totals and sums stay inside the modulus, and are as exact as is asked for."""
        bits, half = self.data_primes * self.prime_bits, 0.99**self.data_primes / 2
        largest = self.largest_squared_distance + float(self.errors(np.array(float(self.largest_squared_distance))))
        return (
            largest / self.unit * 2**SPARE_BITS < half * 2**bits
            and self.field_bits + self.scale_bits + 1 <= bits
            and self.failure_bits >= FAILURE_BITS
            and self.repeated_failure_bits >= REPEATED_FAILURE_BITS
            and self.sharpness <= SHARPNESS
        )

    def derived(self) -> dict[str, Any]:
        return super().derived() | {
            "norm_bound": self.norm_bound,
            "totals": self.totals,
            "totals_bytes": self.totals_bytes,
            "largest_squared_distance": self.largest_squared_distance,
            "error_of_the_largest": round(float(self.errors(np.array(float(self.largest_squared_distance)))), 3),
            "sharpness": self.sharpness,
            "imaginary_length_shown": round(self.imaginary_length_shown, 3),
            "coefficients_sent_of_a_total": 1,
            "statistical_distance_of_the_others": 0.0,
        }


def plan_krum(
    banks: int, parameters: int, bits: int | None, threshold: int, norm_bound: float | None = None
) -> KrumPlan:
    """The smallest upload in which sums are exact and distances sharp. Raises `PlanError`."""
    assert bits is not None  # float32 was refused before
    if banks > MOST_BANKS:
        raise PlanError(f"distances between {banks} banks are too many; use at most {MOST_BANKS} banks")
    if norm_bound is not None and not 0 < norm_bound < math.inf:
        raise PlanError(f"a norm bound of {norm_bound} is refused; use a positive, finite number, or none")
    best = _smallest(banks, parameters, bits, threshold, norm_bound)
    if best is None:
        fewer = [b for b in range(MIN_BITS, bits) if _smallest(banks, parameters, b, threshold, norm_bound)]
        advice = f"use at most {fewer[-1]} bits" if fewer else "use fewer parameters"
        width = math.ceil(math.log2(parameters)) + 2 * bits
        raise PlanError(
            f"squared distances of {parameters} parameters x {bits} bits need {width} bits, and sums "
            f"{sum_bits(bits, banks)}, which leaves too few against the noise; {advice}"
        )
    return best


def _smallest(banks: int, parameters: int, bits: int, threshold: int, norm_bound: float | None) -> KrumPlan | None:
    layouts = (
        KrumPlan(
            scheme=SCHEME_NAME,
            banks=banks,
            parameters=parameters,
            bits=bits,
            threshold=threshold,
            fields_per_slot=1,
            prime_bits=prime_bits,
            data_primes=data_primes,
            scale_bits=scale_bits,
            norm_bound=norm_bound,
        )
        for data_primes, prime_bits in _moduli()
        for scale_bits in range(data_primes * prime_bits // 2, 0, -1)
    )
    fitting = (layout for layout in layouts if layout.fits)
    return min(fitting, key=lambda layout: (layout.upload_bytes, -layout.scale_bits), default=None)


def _moduli() -> Iterator[tuple[int, int]]:
    """Data primes and the bits of each, that leave room for a special prime."""
    for data_primes in (1, 2):
        for prime_bits in PRIME_BITS:
            if MODULUS_BITS - data_primes * prime_bits >= SMALLEST_SPECIAL_PRIME_BITS:
                yield data_primes, prime_bits


SCHEME_NAME = "ckks-krum"
