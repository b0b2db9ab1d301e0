"""Primes for public parameters, against trial division and known hard cases."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.secagg.primes import is_prime, next_prime


def divided(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


def test_small_numbers_are_what_trial_division_says() -> None:
    assert [number for number in range(-3, 5_000) if is_prime(number)] == [n for n in range(5_000) if divided(n)]


@pytest.mark.parametrize(
    "composite",
    [
        2_047,  # the smallest that fools witness 2
        1_373_653,  # 2 and 3
        25_326_001,  # 2, 3 and 5
        3_215_031_751,  # 2, 3, 5 and 7
        3_474_749_660_383,  # 2 to 13
        341_550_071_728_321,  # 2 to 17
        561, 41_041, 825_265, 321_197_185,  # Carmichael numbers
        (2**31 - 1) * (2**31 + 11),
    ],
)  # fmt: skip
def test_composites_that_fool_fewer_witnesses_are_found(composite: int) -> None:
    assert not is_prime(composite)


@pytest.mark.parametrize("prime", [2**31 - 1, 2**61 - 1, 2**64 - 59, 1_000_000_007])
def test_large_primes_are_known(prime: int) -> None:
    assert is_prime(prime)


@given(st.integers(0, 100_000), st.sampled_from([1, 2, 6, 96, 8_192]))
def test_the_next_prime_is_the_smallest_above_in_its_class(above: int, step: int) -> None:
    prime = next_prime(above, residue=1, step=step)
    assert prime > above
    assert prime % step == 1 % step
    assert divided(prime)
    between = (number for number in range(above + 1, prime) if number % step == 1 % step)
    assert not any(map(divided, between))


def test_a_prime_itself_is_not_above_itself() -> None:
    assert next_prime(7, residue=1, step=2) == 11
    assert next_prime(6, residue=1, step=2) == 7
