"""The plan of a secure sum, by the scheme's name: what it costs and whether it can be exact, before anything runs."""

from __future__ import annotations

import math
from dataclasses import replace

from secure_fl.errors import PlanError
from secure_fl.secagg.budget import (
    FLOAT32,
    MAX_BANKS,
    MAX_BITS,
    MAX_PARAMETERS,
    MIN_BANKS,
    MIN_BITS,
    Committee,
    NoisePlan,
    Plan,
)
from secure_fl.secagg.budget.noise import MIN_DEVIATION
from secure_fl.secagg.budget.whole import whole
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.schemes import SCHEMES, scheme_of


def plan(
    scheme: str,
    banks: int,
    parameters: int,
    bits: float | str = 8,
    threshold: int | None = None,
    *,
    holders: int | None = None,
    quorum: int | None = None,
    witnesses: int = 0,
) -> Plan:
    """The plan for a secure sum, or `PlanError` with what to change.

    `bits` is 4..24 or "float32" (plaintext only). `threshold`: the fewest banks whose sum may be opened, so that
    `banks` - `threshold` may vanish; by default a majority, and for masked sums over more than 129 banks the least that
    128 neighbours of each bank bear. `holders`, `quorum`: how many share what opens a sum, and how many of them open
    it; by default a majority of `holders`. `witnesses`: how many vouch to a key authority for what it opens.
    """
    return plan_for(_scheme(scheme, holders, quorum, witnesses), banks, parameters, bits, threshold)


def plan_for(scheme: Scheme, banks: int, parameters: int, bits: float | str = 8, threshold: int | None = None) -> Plan:
    """The same for a scheme that is in no table, such as one with a rule of its own."""
    banks, parameters = whole("banks", banks), whole("parameters", parameters)
    if not MIN_BANKS <= banks <= MAX_BANKS:
        raise PlanError(
            f"a secure sum over {banks} banks is refused; use {MIN_BANKS} to {MAX_BANKS} banks "
            "(with two, each could subtract its own update from the sum)"
        )
    if not 1 <= parameters <= MAX_PARAMETERS:
        raise PlanError(f"{parameters} parameters cannot be planned; use 1 to {MAX_PARAMETERS}")
    if threshold is None:
        threshold = scheme.default_threshold(banks)
    threshold = whole("threshold", threshold)
    if not banks // 2 < threshold <= banks:
        raise PlanError(f"a threshold of {threshold} is refused; use {banks // 2 + 1} to {banks} for {banks} banks")
    return scheme.plan(banks, parameters, _bits(scheme, bits), threshold)


def plan_with_noise(
    scheme: str,
    banks: int,
    parameters: int,
    noise_multiplier: float,
    bits: float | str = 8,
    threshold: int | None = None,
    longest: int = 1,
    *,
    holders: int | None = None,
    quorum: int | None = None,
) -> tuple[Plan, NoisePlan]:
    """The plan for a secure sum of noisy values, and the plan of their noise.

    `bits` are the signal's, before noise; the first plan's `bits` are the second one's `value_bits`. `longest`: length
    of the longest sum without noise that the same keys are for, where that is longer. `holders`, `quorum`: as for
    `plan`. Raises `PlanError` also where the noise would overflow what the scheme can sum, or where it is too fine for
    its accounting.
    """
    chosen = _scheme(scheme, holders, quorum)
    return plan_with_noise_for(chosen, banks, parameters, noise_multiplier, bits, threshold, longest)


def plan_with_noise_for(
    scheme: Scheme,
    banks: int,
    parameters: int,
    noise_multiplier: float,
    bits: float | str = 8,
    threshold: int | None = None,
    longest: int = 1,
) -> tuple[Plan, NoisePlan]:
    """The same for a scheme that is at hand, with its committee where it has one."""
    if not 0 < noise_multiplier < math.inf:
        raise PlanError(f"a noise multiplier of {noise_multiplier} is refused; use a positive, finite number")
    quiet = plan_for(scheme, banks, parameters, bits, threshold)
    if quiet.bits is None:
        raise PlanError(f"noise is added to integers, not to float32; use {MIN_BITS} to {MAX_BITS} bits")
    noise = NoisePlan(
        banks=quiet.banks,
        parameters=quiet.parameters,
        threshold=quiet.threshold,
        bits=quiet.bits,
        noise_multiplier=float(noise_multiplier),
    )
    planned = _widened(scheme, noise, longest)
    if planned is None:
        raise PlanError(_noise_problem(scheme, noise))
    return planned, noise


def _widened(scheme: Scheme, noise: NoisePlan, longest: int = 1) -> Plan | None:
    """The plan for values with that noise, and for sums of as many as `longest`; None where there is none."""
    if not noise.fits or noise.deviation < MIN_DEVIATION:
        return None
    try:
        return plan_for(scheme, noise.banks, max(noise.parameters, longest), noise.value_bits, noise.threshold)
    except PlanError:
        return None


def _noise_problem(scheme: Scheme, noise: NoisePlan) -> str:
    """Why a noise cannot be planned, and which bits of the signal would do."""
    widths = range(MIN_BITS, MAX_BITS + 1)
    possible = [bits for bits in widths if _widened(scheme, replace(noise, bits=bits)) is not None]
    if noise.deviation < MIN_DEVIATION:
        advice = f"use at least {possible[0]} bits" if possible else "use a larger noise multiplier"
        return (
            f"a bank's share of the noise is {noise.deviation:.2g} quantization steps, and below {MIN_DEVIATION:g} the "
            f"sum is no discrete Gaussian; {advice}"
        )
    if possible:
        advice = f"use at most {possible[-1]} bits"
    elif replace(noise, bits=MIN_BITS).deviation < MIN_DEVIATION:  # fewer bits fit, but leave too little of it
        advice = "use a larger noise multiplier with fewer bits"
    else:
        advice = "use a larger epsilon or more banks"
    return (
        f"noise of {noise.deviation:.3g} quantization steps widens {noise.bits} bits to {noise.value_bits}, which "
        f"overflows what {scheme.name} can sum over {noise.banks} banks; {advice}"
    )


def _scheme(name: str, holders: int | None, quorum: int | None, witnesses: int = 0) -> Scheme:
    """Raises `PlanError`."""
    if name not in SCHEMES:
        raise PlanError(f"there is no scheme {name!r}; choose one of {', '.join(sorted(SCHEMES))}")
    return scheme_of(name, Committee.asked(holders, quorum), witnesses)


def _bits(scheme: Scheme, bits: float | str) -> int | None:
    if bits == FLOAT32:
        if not scheme.takes_float32:
            raise PlanError(f"{scheme.name} sums integers, not float32; use {MIN_BITS} to {MAX_BITS} bits or plaintext")
        return None
    width = whole("bits", bits)
    if not MIN_BITS <= width <= MAX_BITS:
        raise PlanError(f"{bits} bits cannot be planned; use {MIN_BITS} to {MAX_BITS}, or float32 with plaintext")
    return width
