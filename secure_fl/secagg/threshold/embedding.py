"""CKKS's slots: the values of a real polynomial at N/2 complex roots of X**N + 1, and back.

Slot j is the value at z**(4j + 1), z = exp(i pi / N); the other roots are conjugates of these. Of coefficients a, with
c_k = a_k + i a_(k+N/2), it is sum_k c_k z**k exp(2 pi i jk / (N/2)), so a transform of N/2 complex numbers does it.

*To slots* is in float64: whoever opens a sum rounds to integers. *To coefficients* is in pairs of float64 whose sum is
the number (Dekker, "A Floating-Point Technique for Extending the Available Precision", 1971), because what a bank's
rounding adds is noise that depends on its values, and a holder's noise must drown it (`budget.slots`, PRECISION).
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
_FRACTION = 160
_SPLITTER = 2.0**27 + 1
_TOGETHER = 8
"""Polynomials that are transformed together: they stay in the cache."""


class Pair(NamedTuple):
    """Numbers high + low, where low is at most half a unit in the last place of high."""

    high: Floats
    low: Floats


Complex: TypeAlias = tuple[Pair, Pair]
"""Real and imaginary parts."""


def to_slots(coefficients: Floats) -> tuple[Floats, Floats]:
    """Real and imaginary parts of slots, [polynomials, N/2], from coefficients [polynomials, N]."""
    half = coefficients.shape[1] // 2
    turned = (coefficients[:, :half] + 1j * coefficients[:, half:]) * _turns(2 * half)
    slots = np.fft.ifft(turned, axis=1, norm="forward")
    return slots.real, slots.imag


def to_coefficients(real: Floats, imaginary: Floats) -> Pair:
    """Coefficients [polynomials, N] times N/2, from slots [polynomials, N/2]."""
    count, half = real.shape
    found = Pair(np.empty((count, 2 * half)), np.empty((count, 2 * half)))
    for start in range(0, count, _TOGETHER):
        some = slice(start, start + _TOGETHER)
        parts = _transformed((_exact(real[some]), _exact(imaginary[some])))
        for kept, halves in zip(found, zip(*parts, strict=True), strict=True):
            kept[some] = np.concatenate(halves).T
    return found


def _transformed(x: Complex) -> Complex:
    """exp(-i pi k / N) sum_j x_j exp(-2 pi i jk / (N/2)), [N/2, polynomials], by Stockham's way of halves."""
    half, together = x[0].high.shape
    spread = half // 2
    while spread:
        y: list[Pair] = []
        upper, lower = ([Pair(*(h.reshape(2, -1)[row] for h in part)) for part in x] for row in range(2))
        sums = [_sum(a, b) for a, b in zip(upper, lower, strict=True)]
        differences = [_sum(a, _minus(b)) for a, b in zip(upper, lower, strict=True)]
        turned = _product((differences[0], differences[1]), _powers(2 * half, spread, 2 * half // spread), spread)
        for a, b in zip(sums, turned, strict=True):
            rows = ([h.reshape(spread, -1) for h in halves] for halves in zip(a, b, strict=True))
            y.append(Pair(*(np.stack(two, axis=1).reshape(half, together) for two in rows)))
        x = (y[0], y[1])
        spread //= 2
    real, imaginary = _product(x, _powers(2 * half, half, 1), half)
    return (
        Pair(*(h.reshape(half, together) for h in real)),
        Pair(*(h.reshape(half, together) for h in imaginary)),
    )


def _exact(integers: Floats) -> Pair:
    return Pair(np.ascontiguousarray(integers.T, dtype=np.float64), np.zeros(integers.T.shape))


def _minus(x: Pair) -> Pair:
    return Pair(-x.high, -x.low)


def _sum(x: Pair, y: Pair) -> Pair:
    """Off by at most 6 u**2 (|x| + |y|), u = 2**-53."""
    high = x.high + y.high
    other = high - x.high
    low = (x.high - (high - other)) + (y.high - other)
    low += x.low
    low += y.low
    return _tidied(high, low)


def _tidied(high: Floats, low: Floats) -> Pair:
    total = high + low
    return Pair(total, low - (total - high))


def _split(x: Floats) -> tuple[Floats, Floats]:
    """Halves of 26 bits, whose products are exact."""
    scaled = x * _SPLITTER
    upper = scaled - (scaled - x)
    return upper, x - upper


def _times(x: Pair, halves: tuple[Floats, Floats], w: Factor) -> Pair:
    """Off by at most 8 u**2 |x w|, and not tidied."""
    upper, lower = halves
    high = x.high * w.high
    low = upper * w.upper - high
    low += upper * w.lower
    low += lower * w.upper
    low += lower * w.lower
    low += x.high * w.low
    low += x.low * w.high
    return Pair(high, low)


class Factor(NamedTuple):
    """A pair, and the halves of its high number."""

    high: Floats
    upper: Floats
    lower: Floats
    low: Floats


def _product(x: Complex, w: tuple[Factor, Factor], rows: int) -> Complex:
    """Off by at most 22 u**2 |x|, for factors on the unit circle, one for each of so many rows."""
    real, imaginary = (Pair(*(h.reshape(rows, -1) for h in part)) for part in x)
    of_real, of_imaginary = _split(real.high), _split(imaginary.high)
    cos, sin = w
    return (
        _sum(_times(real, of_real, cos), _minus(_times(imaginary, of_imaginary, sin))),
        _sum(_times(real, of_real, sin), _times(imaginary, of_imaginary, cos)),
    )


@lru_cache(maxsize=64)
def _powers(degree: int, count: int, step: int) -> tuple[Factor, Factor]:
    """exp(-i pi step k / N) for so many k: real and imaginary parts, [count, 1]."""
    cos, minus_sin = (np.array([_two(n) for n in part[: count * step : step]]) for part in _circle(degree))
    return _factor(cos), _factor(-minus_sin)


def _factor(pairs: Floats) -> Factor:
    high, low = (np.ascontiguousarray(column)[:, None] for column in pairs.T)
    return Factor(high, *_split(high), low)


@lru_cache
def _turns(degree: int) -> NDArray[np.complex128]:
    """exp(i pi k / N) for k below N/2, rounded."""
    cos, sin = (np.array([_two(n)[0] for n in part[: degree // 2]]) for part in _circle(degree))
    turns: NDArray[np.complex128] = cos + 1j * sin
    return turns


def _two(number: int) -> tuple[float, float]:
    """A fixed-point number as a pair."""
    high = float(number)
    return high * 2.0**-_FRACTION, float(number - int(high)) * 2.0**-_FRACTION


@lru_cache
def _circle(degree: int) -> tuple[list[int], list[int]]:
    """Cosines and sines of pi k / N for k below N, in fixed point, by halving the right angle and adding angles up."""
    one = 1 << _FRACTION
    angles, cos, sin = [(0, one)], 0, one
    for _ in range(degree.bit_length() - 2):
        half = isqrt((one + cos) << (_FRACTION - 1))
        cos, sin = half, (sin << (_FRACTION - 1)) // half
        angles.append((cos, sin))
    found = [(one, 0)]
    for cos, sin in reversed(angles):
        found += [((c * cos - s * sin) >> _FRACTION, (c * sin + s * cos) >> _FRACTION) for c, s in found]
    return [c for c, _ in found], [s for _, s in found]
