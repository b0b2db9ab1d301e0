"""Arithmetic modulo p on arrays, against Python's integers; transforms and evaluation, against their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from secure_fl.errors import MessageError
from secure_fl.secagg.proofs import field
from secure_fl.secagg.proofs.field import PRIME, FieldArray, expand, from_bytes, to_bytes
from secure_fl.secagg.proofs.polynomials import (
    coefficients,
    root,
    roots,
    values,
    values_between,
    weights_at,
    weights_of_all_but_last,
)
from tests.secagg.proofs.naive import interpolated

EDGES = [0, 1, 2, 2**31, 2**32 - 2, 2**32 - 1, 2**32, 2**32 + 1, 2**63, PRIME - 2**32, PRIME - 2, PRIME - 1]
elements = st.one_of(st.sampled_from(EDGES), st.integers(0, PRIME - 1))


def array(numbers: Iterable[int]) -> FieldArray:
    return np.array(list(numbers), dtype=np.uint64)


def test_the_modulus_is_the_prime_of_the_draft() -> None:
    assert PRIME == 2**32 * 4294967295 + 1
    assert all(pow(base, PRIME - 1, PRIME) == 1 for base in range(2, 50))
    # Lucas: 7 has order p - 1, so p is prime.
    assert all(pow(7, (PRIME - 1) // factor, PRIME) != 1 for factor in (2, 3, 5, 17, 257, 65537))
    assert PRIME - 1 == 2**32 * 3 * 5 * 17 * 257 * 65537


@pytest.mark.parametrize(
    ("computed", "meant"),
    [
        (field.add, lambda a, b: a + b),
        (field.subtract, lambda a, b: a - b),
        (field.multiply, lambda a, b: a * b),
    ],
    ids=["add", "subtract", "multiply"],
)
def test_all_edges_meet(computed: Callable[..., FieldArray], meant: Callable[[int, int], int]) -> None:
    a, b = np.meshgrid(array(EDGES), array(EDGES))
    expected = [[meant(x, y) % PRIME for x in EDGES] for y in EDGES]
    assert computed(a, b).tolist() == expected


@given(st.lists(st.tuples(elements, elements), min_size=1, max_size=40))
@settings(max_examples=300)
def test_arithmetic_is_that_of_integers(pairs: list[tuple[int, int]]) -> None:
    a, b = array(x for x, _ in pairs), array(y for _, y in pairs)
    assert field.add(a, b).tolist() == [(x + y) % PRIME for x, y in pairs]
    assert field.subtract(a, b).tolist() == [(x - y) % PRIME for x, y in pairs]
    assert field.multiply(a, b).tolist() == [x * y % PRIME for x, y in pairs]
    assert int(field.total(a)) == sum(x for x, _ in pairs) % PRIME
    assert int(field.multiply(a[0], b[0])) == pairs[0][0] * pairs[0][1] % PRIME


def test_long_arrays_are_multiplied_in_blocks_and_shapes_broadcast() -> None:
    a, b = expand(bytes(32), 70_000).reshape(7, 100, 100), expand(b"1" * 32, 700).reshape(7, 100, 1)
    product = field.multiply(a, b)
    assert product.shape == (7, 100, 100)
    expected = [
        x * int(y) % PRIME for row, y in zip(a.reshape(700, 100).tolist(), b.reshape(-1), strict=True) for x in row
    ]
    assert product.reshape(-1).tolist() == expected
    long = expand(bytes(32), 3 * field._BLOCK + 5)
    assert field.multiply(long, long[0]).tolist() == [x * int(long[0]) % PRIME for x in long.tolist()]


def test_sums_of_many_of_the_largest_do_not_wrap_around() -> None:
    many = np.full((3, 100_000), PRIME - 1, dtype=np.uint64)
    assert field.total(many, axis=1).tolist() == [(PRIME - 100_000) % PRIME] * 3


@given(st.lists(elements, min_size=1, max_size=5), st.integers(1, 40))
def test_powers(bases: list[int], count: int) -> None:
    expected = [[pow(base, power, PRIME) for power in range(1, count + 1)] for base in bases]
    assert field.powers(array(bases), count).tolist() == expected


def test_elements_travel_as_eight_bytes_and_nothing_else_is_read() -> None:
    numbers = array(EDGES)
    assert to_bytes(numbers) == b"".join(number.to_bytes(8, "little") for number in EDGES)
    assert from_bytes(to_bytes(numbers), len(EDGES)).tolist() == EDGES
    for data, count in ((bytes(15), 2), (bytes(17), 2), (bytes(16), 3)):
        with pytest.raises(MessageError, match=r"are not . elements"):
            from_bytes(data, count)
    for word in (PRIME, 2**64 - 1):
        with pytest.raises(MessageError, match="no element"):
            from_bytes(word.to_bytes(8, "little"), 1)


def test_expanded_elements_are_uniform_and_of_one_seed_each() -> None:
    drawn = expand(b"s" * 32, 100_000)
    assert drawn.max() < PRIME
    assert abs(float((drawn.astype(np.float64) / PRIME).mean()) - 0.5) < 5 / np.sqrt(12 * 100_000)
    assert (expand(b"s" * 32, 1000) == drawn[:1000]).all(), "a longer vector begins like a shorter one"
    assert not (expand(b"t" * 32, 1000) == drawn[:1000]).any()


def test_words_that_are_no_elements_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """One word of 2**32 is none; here all of the first twenty are."""

    def drawn(_: bytes, count: int) -> FieldArray:
        return np.array([2**64 - 1 - n for n in range(20)] + list(range(count)), dtype=np.uint64)[:count]

    monkeypatch.setattr(field, "words", drawn)
    assert expand(bytes(32), 5).tolist() == [0, 1, 2, 3, 4]


# Polynomials


@pytest.mark.parametrize("n", [1, 2, 4, 8, 32])
def test_the_transform_is_its_definition(n: int) -> None:
    polynomials = expand(bytes(32), 3 * n).reshape(n, 3)
    w = root(n)
    expected = [
        [sum(int(c) * pow(w, i * k, PRIME) for k, c in enumerate(column)) % PRIME for column in polynomials.T]
        for i in range(n)
    ]
    assert values(polynomials).tolist() == expected
    assert coefficients(values(polynomials)).tolist() == polynomials.tolist()


@pytest.mark.parametrize("n", [2, 1 << 8, 1 << 16])
def test_roots_have_the_order_that_they_should(n: int) -> None:
    w = root(n)
    assert pow(w, n, PRIME) == 1
    assert pow(w, n // 2, PRIME) == PRIME - 1
    assert root(2 * n) ** 2 % PRIME == w
    assert roots(n)[:2].tolist() == [1, w]
    with pytest.raises(ValueError, match="read-only"):
        roots(n)[0] = 5


@given(st.integers(1, 4), st.data())
def test_values_between_are_those_of_the_same_polynomial(log: int, data: st.DataObject) -> None:
    n = 1 << log
    known = data.draw(st.lists(elements, min_size=n, max_size=n))
    between = values_between(array(known))
    v = root(2 * n)
    for i in range(n):
        assert int(between[i]) == interpolated(roots(n).tolist(), known, v * int(roots(n)[i]) % PRIME, PRIME)


@given(st.integers(1, 4), st.data())
@example(1, None)
def test_weights_evaluate_where_nobody_knows_a_value(log: int, data: st.DataObject | None) -> None:
    n = 1 << log
    known = data.draw(st.lists(elements, min_size=n, max_size=n)) if data else [5, PRIME - 1]
    point = data.draw(elements.filter(lambda x: pow(x, n, PRIME) != 1)) if data else 2
    value = field.total(field.multiply(array(known), weights_at(point, n)))
    assert int(value) == interpolated(roots(n).tolist(), known, point, PRIME)
    nodes = roots(n).tolist()
    without = field.total(field.multiply(array(known[:-1]), weights_of_all_but_last(point, n)))
    assert int(without) == interpolated(nodes[:-1], known[:-1], point, PRIME)


def test_no_weights_are_given_at_a_root() -> None:
    with pytest.raises(ValueError, match="not invertible"):
        weights_at(root(8), 8)
