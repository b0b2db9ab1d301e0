"""Exact products in Z_q[X] / (X**N + 1), by a floating-point Fourier transform.

q is the prime that SEAL takes for 54 bits and N = 4096, so that SEAL can check every product. One factor is uniform
modulo q, the other small: ternary, with coefficients -1, 0, 1.

The large factor is cut in two halves of 27 bits, low and high, which become the real and the imaginary part of one
complex polynomial. With w a primitive 2N-th root of unity, the product modulo X**N + 1 of x and y is a cyclic
convolution of x_k w**k and y_k w**k, times w**-k; so three transforms of length N give both halves of the product.

*Exactness.* A half of the product is at most N 2**27 = 2**39 in absolute value, and the transform's error must stay
below 1/2 for rounding to be exact. For transforms of length 2**n in arithmetic of relative error eps = 2**-53, with
roots of unity off by at most eps, Brent, Percival and Zimmermann ("Error bounds on complex floating-point
multiplication", Mathematics of Computation 2007, theorem 5.1, after Percival 2003) bound the error of a convolution by

    ||x|| ||y|| ((1 + eps)**(3n) (1 + sqrt(5) eps)**(3n + 1) (1 + eps)**(3n) - 1),    n = 12

Here ||x|| <= sqrt(N) 2**27.5 and ||y|| <= sqrt(N), and multiplying by w**k three times adds three factors
(1 + sqrt(5) eps) (1 + 4 eps), since the angles of w**k are rounded before their cosines and sines are: in all at most
2**39.5 x 174 eps < 2**-6. The theorem is of radix 2; numpy's transform takes larger steps, with fewer roundings. Tests
measure 2**-13 at most, on random and on extreme polynomials.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

DEGREE = 4096
MODULUS = 0x3FFFFFFFFD6001
MODULUS_BITS = 54
_HALF_BITS = 27
EXCESS = (1 << MODULUS_BITS) - MODULUS
"""2**54 modulo q."""

Polynomials: TypeAlias = NDArray[np.uint64]
"""Coefficients in [0, q), [..., N]."""
Small: TypeAlias = NDArray[np.int64]
"""Coefficients near zero, [..., N]."""
Spectrum: TypeAlias = NDArray[np.complex128]

_TWIST = np.exp(1j * np.pi * np.arange(DEGREE) / DEGREE)
_UNTWIST = _TWIST.conj()


def spectrum(polynomials: Polynomials) -> Spectrum:
    """Of large factors: both halves in one transform each."""
    halves = np.empty(polynomials.shape, dtype=np.complex128)
    halves.real = polynomials & np.uint64((1 << _HALF_BITS) - 1)
    halves.imag = polynomials >> np.uint64(_HALF_BITS)
    halves *= _TWIST
    return np.fft.fft(halves)


def small_spectrum(small: Small) -> Spectrum:
    """Of ternary factors."""
    return np.fft.fft(small * _TWIST)


def product(large: Spectrum, small: Spectrum) -> Polynomials:
    """The products modulo X**N + 1 and q, exactly; shapes broadcast."""
    halves = np.fft.ifft(large * small)
    halves *= _UNTWIST
    low, high = (np.rint(part).astype(np.int64) for part in (halves.real, halves.imag))
    over = high >> _HALF_BITS  # high = over 2**27 + rest, and 2**54 = EXCESS modulo q
    high &= (1 << _HALF_BITS) - 1
    high <<= _HALF_BITS
    over *= EXCESS
    high += over
    high += low
    return reduced(high)


def reduced(numbers: Small) -> Polynomials:
    """Modulo q, in place, of numbers in [-q, 3q)."""
    numbers += MODULUS
    words = numbers.view(np.uint64)
    np.minimum(words, words - np.uint64(2 * MODULUS), out=words)  # the difference wraps around where it is negative
    np.minimum(words, words - np.uint64(MODULUS), out=words)
    return words
