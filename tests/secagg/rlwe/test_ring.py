"""Products modulo X**N + 1 and q: exact, as SEAL's are, with an error of the transform far below 1/2."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.secagg.rlwe.ring import (
    _TWIST,
    DEGREE,
    EXCESS,
    MODULUS,
    MODULUS_BITS,
    Polynomials,
    Small,
    product,
    reduced,
    small_spectrum,
    spectrum,
)
from secure_fl.secagg.rlwe.sampling import ternary, uniform
from tests.secagg.rlwe.seal import Seal


def one_by_one(large: Polynomials, small: Small) -> list[int]:
    """The product by its definition, in Python's integers: packed into one large number each (Kronecker)."""
    width = 80
    number = sum(int(value) << (width * place) for place, value in enumerate(large))
    other = sum(int(value) << (width * place) for place, value in enumerate(small))
    whole, digits = number * other, []
    for _ in range(2 * DEGREE):
        digit = whole & ((1 << width) - 1)
        if digit >> (width - 1):
            digit -= 1 << width
        digits.append(digit)
        whole = (whole - digit) >> width
    return [(digits[place] - digits[place + DEGREE]) % MODULUS for place in range(DEGREE)]


def test_the_prime_is_the_one_that_seal_takes() -> None:
    (prime,) = sealapi.CoeffModulus.Create(DEGREE, [MODULUS_BITS])
    assert prime.value() == MODULUS == 2**MODULUS_BITS - EXCESS
    assert MODULUS % (2 * DEGREE) == 1


def extreme() -> list[tuple[Polynomials, Small]]:
    """Factors whose products, or whose halves, are as large as they can be."""
    largest = np.full(DEGREE, MODULUS - 1, dtype=np.uint64)
    halves = np.full(DEGREE, (1 << 27) - 1, dtype=np.uint64)
    ones = np.ones(DEGREE, dtype=np.int64)
    turns = np.where(np.arange(DEGREE) % 2, -1, 1)
    one = np.zeros(DEGREE, dtype=np.int64)
    one[-1] = -1
    return [(a, u) for a in (largest, halves, np.zeros_like(largest)) for u in (ones, -ones, turns, one, 0 * one)]


def test_products_are_those_of_the_definition() -> None:
    cases = [(uniform(bytes([number]) * 32), ternary(1)[0]) for number in range(4)] + extreme()
    for large, small in cases:
        assert product(spectrum(large), small_spectrum(small)).tolist() == one_by_one(large, small)


def test_products_are_seals_bit_for_bit() -> None:
    seal = Seal(65_537)
    for number in range(40):
        large = np.stack([uniform(bytes([number, half]) * 16) for half in range(2)])
        (small,) = ternary(1)
        assert np.array_equal(product(spectrum(large), small_spectrum(small)), seal.products(large, small))


def roots(digits: int = 100) -> list[tuple[Fraction, Fraction]]:
    """w**k for w = exp(i pi / N), by its series and in whole numbers of 2**-digits."""
    angle = Fraction("3.14159265358979323846264338327950288419716939937510") / DEGREE
    cosine = sum((-1) ** n * angle ** (2 * n) / math.factorial(2 * n) for n in range(6))
    sine = sum((-1) ** n * angle ** (2 * n + 1) / math.factorial(2 * n + 1) for n in range(6))
    real, imaginary, found = 1 << digits, 0, []
    c, s = round(cosine * 2**digits), round(sine * 2**digits)
    for _ in range(DEGREE):
        found.append((Fraction(real, 1 << digits), Fraction(imaginary, 1 << digits)))
        real, imaginary = (real * c - imaginary * s) >> digits, (real * s + imaginary * c) >> digits
    return found


def test_the_roots_of_the_twist_are_as_near_as_the_bound_takes_them() -> None:
    """And the bound, with them, is what the text says."""
    off = max(
        (Fraction(float(found.real)) - real) ** 2 + (Fraction(float(found.imag)) - imaginary) ** 2
        for found, (real, imaginary) in zip(_TWIST, roots(), strict=True)
    )
    assert 1 < math.sqrt(off) * 2**53 < 4
    n, eps, sqrt5 = DEGREE.bit_length() - 1, Fraction(1, 1 << 53), Fraction(2237, 1000)
    factor = (1 + eps) ** (6 * n) * (1 + sqrt5 * eps) ** (3 * n + 1) * ((1 + sqrt5 * eps) * (1 + 4 * eps)) ** 3 - 1
    assert factor < 174 * eps
    assert 2**39.5 * 174 * eps < 2**-6


def errors_of(large: Polynomials, small: Small) -> NDArray[np.float64]:
    """How far the transform's results are from integers."""
    halves = np.fft.ifft(spectrum(large) * small_spectrum(small)) * np.exp(-1j * np.pi * np.arange(DEGREE) / DEGREE)
    both = np.concatenate([halves.real, halves.imag])
    off: NDArray[np.float64] = np.abs(both - np.rint(both))
    return off


@pytest.mark.slow
def test_the_transform_is_off_by_far_less_than_one_half() -> None:
    cases = [(uniform(bytes([number]) * 32), ternary(1)[0]) for number in range(200)] + extreme()
    worst = max(errors_of(large, small).max() for large, small in cases)
    assert 0 < worst < 2.0**-10


@pytest.mark.parametrize("number", [-MODULUS, -1, 0, 1, MODULUS - 1, MODULUS, 2 * MODULUS, 3 * MODULUS - 1])
def test_numbers_are_reduced_over_the_whole_stated_range(number: int) -> None:
    assert reduced(np.array([number], dtype=np.int64)).tolist() == [number % MODULUS]
