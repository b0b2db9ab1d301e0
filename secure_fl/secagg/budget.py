"""The planner: what a secure sum costs, and whether it can be exact, decided before anything runs.

An update is a vector of `parameters` integers in [0, 2**bits). The sum over `banks` of them needs

    field_bits = bits + ceil(log2(banks))

and a sum that fits its field cannot overflow into the next one. `plan` chooses everything else for a scheme, or
raises `PlanError` with the number that must change.

CKKS (Cheon, Kim, Kim, Song, ASIACRYPT 2017) as TenSEAL and SEAL run it, with N = 4096: each of the N/2 slots of
a ciphertext carries `fields_per_slot` fields as one centred integer of payload_bits = fields_per_slot *
field_bits, multiplied by 2**scale_bits. Two conditions make the decoded integers exact.

*Head-room.* No coefficient of an encoded polynomial exceeds its largest slot, so |coefficient| <=
2**(payload_bits - 1 + scale_bits), which must stay below half of the data prime: payload_bits + scale_bits + 1
<= prime_bits. N = 4096 allows 109 modulus bits at 128-bit security with ternary secrets
(HomomorphicEncryption.org standard, 2018); what the data prime leaves goes to the special prime.

*Noise.* SEAL encrypts under both primes and divides the special prime away, which leaves the rounding error
tau_0 + tau_1 * s, with tau uniform in [-1/2, 1/2] and s ternary. Its variance per coefficient is (1 + 2N/3)/12;
seen in a slot, times N/2, its standard deviation is NOISE = 683 (the key-switching and encoding errors are far
smaller). A slot's error is tau_1(z) s(z), where |s(z)|**2 is exponentially distributed over keys and slots: a
Gaussian with exponentially distributed variance, which is a Laplace distribution. So for a sum over K banks

    P(error > 1/2) = exp(-sqrt(2) * (1/2) / sigma),    sigma = NOISE * sqrt(K) / 2**scale_bits

and by the union bound all slots of a sum round to the exact integer but for probability 2**-FAILURE_BITS.
`tests/secagg/test_budget.py` compares both the deviation and the tail with measured ciphertexts.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, SupportsIndex

from secure_fl.errors import PlanError
from secure_fl.secagg.graph import degree_and_threshold

FLOAT32 = "float32"
MIN_BANKS = 3
MAX_BANKS = 10_000
MIN_BITS, MAX_BITS = 4, 24
MAX_PARAMETERS = 100_000_000

POLY_MODULUS_DEGREE = 4096
SLOTS = POLY_MODULUS_DEGREE // 2
MODULUS_BITS = 109
PRIME_BITS = range(49, 61)
"""SEAL takes primes of at most 60 bits; below 49 the special prime would exceed that."""
NOISE = math.sqrt((1 + 2 * POLY_MODULUS_DEGREE / 3) / 12 * (POLY_MODULUS_DEGREE / 2))
FAILURE_BITS = 25
RINGS = (16, 24, 32)
SHARE_ROUTE_BYTES = 120
"""Per neighbour: encrypted shares, and one opened share at the end."""
ENVELOPE_BYTES = 256
"""Room for a message's header and length fields in the estimate of `upload_bytes`."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The numbers that all parties of a secure sum agree on."""

    scheme: str
    banks: int
    parameters: int
    bits: int | None
    """Bits of a quantized value; None: float32, not quantized."""
    threshold: int
    """The fewest banks whose sum may be opened."""

    @property
    def field_bits(self) -> int:
        """Bits that the sum of one parameter over all banks needs."""
        if self.bits is None:
            return 32
        return sum_bits(self.bits, self.banks)

    @property
    def upload_bytes(self) -> int:
        """Estimate of what one bank sends."""
        return ENVELOPE_BYTES + math.ceil(self.parameters * (self.bits or 32) / 8)

    def derived(self) -> dict[str, Any]:
        """Every figure of the plan, for people and scripts."""
        return {
            "scheme": self.scheme,
            "banks": self.banks,
            "parameters": self.parameters,
            "bits": self.bits or FLOAT32,
            "threshold": self.threshold,
            "field_bits": self.field_bits,
            "upload_bytes": self.upload_bytes,
            "bytes_per_parameter": round(self.upload_bytes / self.parameters, 3),
        }

    def resized(self, parameters: int) -> Self:
        """The same keys and layout for a vector of another length, at most as long."""
        if not 1 <= parameters <= self.parameters:
            raise PlanError(f"the plan is for {self.parameters} parameters, not {parameters}; plan again")
        return replace(self, parameters=parameters)


@dataclass(frozen=True, kw_only=True)
class CkksPlan(Plan):
    """A plan with the CKKS parameters and the packing that go with it."""

    fields_per_slot: int
    scale_bits: int
    prime_bits: int

    @property
    def coeff_mod_bit_sizes(self) -> tuple[int, int]:
        return (self.prime_bits, MODULUS_BITS - self.prime_bits)

    @property
    def slots(self) -> int:
        """Slots in use, before the last ciphertext is padded."""
        return math.ceil(self.parameters / self.fields_per_slot)

    @property
    def ciphertexts(self) -> int:
        return math.ceil(self.slots / SLOTS)

    @property
    def failure_bits(self) -> float:
        """-log2 of the probability that any slot of the sum rounds to a wrong integer."""
        return _failure_bits(self.banks, self.slots, self.scale_bits)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {
            "poly_modulus_degree": POLY_MODULUS_DEGREE,
            "coeff_mod_bit_sizes": list(self.coeff_mod_bit_sizes),
            "scale_bits": self.scale_bits,
            "fields_per_slot": self.fields_per_slot,
            "ciphertexts": self.ciphertexts,
            "failure_probability": f"2^-{self.failure_bits:.0f}",
        }

    @property
    def upload_bytes(self) -> int:
        return ENVELOPE_BYTES + self.ciphertexts * ciphertext_bytes(self.prime_bits)


@dataclass(frozen=True, kw_only=True)
class MaskedPlan(Plan):
    """A plan with the ring and the graph of a masked sum."""

    ring_bits: int
    """Sums are computed modulo 2**ring_bits: 16, 24 or 32."""
    degree: int
    """With how many other banks each bank exchanges masks and shares."""
    share_threshold: int
    """How many of a bank's neighbours, itself included, open one of its secrets."""

    @property
    def upload_bytes(self) -> int:
        return 5 * ENVELOPE_BYTES + self.parameters * self.ring_bits // 8 + self.degree * SHARE_ROUTE_BYTES

    def derived(self) -> dict[str, Any]:
        return super().derived() | {
            "ring_bits": self.ring_bits,
            "degree": self.degree,
            "share_threshold": self.share_threshold,
        }


def sum_bits(bits: int, banks: int) -> int:
    """Bits of the largest possible sum of `banks` values in [0, 2**bits)."""
    return bits + (banks - 1).bit_length()


def ciphertext_bytes(prime_bits: int) -> int:
    """Serialized size of a fresh ciphertext, as measured: two polynomials of 64-bit words under zstd.

    zstd gains little on random coefficients; the figure is rounded up and off by less than 2 %.
    """
    measured = {49: 58_300, 50: 59_000, 51: 60_100, 52: 60_900, 53: 61_400, 54: 61_800, 55: 61_900}
    return {**measured, 56: 62_000, 57: 63_000, 58: 63_800, 59: 64_500, 60: 65_700}[prime_bits]


def plan(scheme: str, banks: int, parameters: int, bits: float | str = 8, threshold: int | None = None) -> Plan:
    """The plan for a secure sum, or `PlanError` with what to change.

    `bits` is 4..24 or "float32" (plaintext only). `threshold` defaults to a majority of the banks.
    """
    if scheme not in _PLANNERS:
        raise PlanError(f"there is no scheme {scheme!r}; choose one of {', '.join(sorted(_PLANNERS))}")
    banks, parameters = _whole("banks", banks), _whole("parameters", parameters)
    if not MIN_BANKS <= banks <= MAX_BANKS:
        raise PlanError(
            f"a secure sum over {banks} banks is refused; use {MIN_BANKS} to {MAX_BANKS} banks "
            "(with two, each could subtract its own update from the sum)"
        )
    if not 1 <= parameters <= MAX_PARAMETERS:
        raise PlanError(f"{parameters} parameters cannot be planned; use 1 to {MAX_PARAMETERS}")
    threshold = banks // 2 + 1 if threshold is None else _whole("threshold", threshold)
    if not banks // 2 < threshold <= banks:
        raise PlanError(f"a threshold of {threshold} is refused; use {banks // 2 + 1} to {banks} for {banks} banks")
    return _PLANNERS[scheme](banks, parameters, _bits(scheme, bits), threshold)


def _bits(scheme: str, bits: float | str) -> int | None:
    if bits == FLOAT32:
        if scheme != "plaintext":
            raise PlanError(f"{scheme} sums integers, not float32; use {MIN_BITS} to {MAX_BITS} bits or plaintext")
        return None
    width = _whole("bits", bits)
    if not MIN_BITS <= width <= MAX_BITS:
        raise PlanError(f"{bits} bits cannot be planned; use {MIN_BITS} to {MAX_BITS}, or float32 with plaintext")
    return width


def _whole(name: str, value: object) -> int:
    """A Python int from anything that counts, numpy's integers included."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise PlanError(f"{name} is {value!r}, which is not a whole number; change {name}")
    return operator.index(value)


def _plan_plaintext(banks: int, parameters: int, bits: int | None, threshold: int) -> Plan:
    return Plan(scheme="plaintext", banks=banks, parameters=parameters, bits=bits, threshold=threshold)


def _plan_ckks(banks: int, parameters: int, bits: int | None, threshold: int) -> CkksPlan:
    assert bits is not None  # float32 was refused before
    candidates = []
    for fields in range(1, max(PRIME_BITS) // sum_bits(bits, banks) + 1):
        payload_bits = fields * sum_bits(bits, banks)
        scale_bits = _smallest_scale(banks, math.ceil(parameters / fields))
        prime_bits = max(payload_bits + scale_bits + 1, min(PRIME_BITS))
        if prime_bits <= max(PRIME_BITS):
            candidates.append(
                CkksPlan(
                    scheme="ckks",
                    banks=banks,
                    parameters=parameters,
                    bits=bits,
                    threshold=threshold,
                    fields_per_slot=fields,
                    scale_bits=prime_bits - 1 - payload_bits,
                    prime_bits=prime_bits,
                )
            )
    if not candidates:
        width, scale_bits = sum_bits(bits, banks), _smallest_scale(banks, parameters)
        raise PlanError(
            f"the sum of {banks} banks x {bits} bits needs {width} bits, plus {scale_bits} against the noise, and a "
            f"CKKS slot holds {max(PRIME_BITS) - 1}; use at most {bits - (width + scale_bits + 1 - max(PRIME_BITS))} "
            "bits or fewer banks"
        )
    return min(candidates, key=lambda candidate: candidate.upload_bytes)


def _plan_masked(banks: int, parameters: int, bits: int | None, threshold: int) -> MaskedPlan:
    assert bits is not None  # float32 was refused before
    ring_bits = next((ring for ring in RINGS if sum_bits(bits, banks) <= ring), None)
    if ring_bits is None:
        width = sum_bits(bits, banks)
        raise PlanError(
            f"the sum of {banks} banks x {bits} bits needs {width} bits and the largest ring has {max(RINGS)}; use at "
            f"most {bits - (width - max(RINGS))} bits or fewer banks"
        )
    degree, share_threshold = degree_and_threshold(banks)
    return MaskedPlan(
        scheme="masked",
        banks=banks,
        parameters=parameters,
        bits=bits,
        threshold=threshold,
        ring_bits=ring_bits,
        degree=degree,
        share_threshold=threshold if degree == banks - 1 else share_threshold,
    )


def _failure_bits(banks: int, slots: int, scale_bits: int) -> float:
    sigma: float = NOISE * math.sqrt(banks) / 2**scale_bits
    return math.sqrt(2) * 0.5 / sigma / math.log(2) - math.log2(slots)


def _smallest_scale(banks: int, slots: int) -> int:
    return next(s for s in range(1, 64) if _failure_bits(banks, slots, s) >= FAILURE_BITS)


_PLANNERS: Mapping[str, Callable[[int, int, int | None, int], Plan]] = {
    "plaintext": _plan_plaintext,
    "ckks": _plan_ckks,
    "masked": _plan_masked,
}
