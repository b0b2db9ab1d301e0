"""Secret sharing: any t shares open the secret, fewer say nothing, and what is no secret is refused."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import ProtocolError
from secure_fl.secagg.hazmat import shamir
from secure_fl.secagg.hazmat.shamir import PRIME, SHARE_BYTES, combine, split

any_secret = st.binary(min_size=32, max_size=32)


def interpolate_at_zero(points: dict[int, int], prime: int) -> int:
    """Lagrange over the rationals first, modulo the prime last: shares no code with `combine`."""
    total = 0
    for x, y in points.items():
        weight = Fraction(1)
        for other in points:
            if other != x:
                weight *= Fraction(-other, x - other)
        total += y * weight.numerator * pow(weight.denominator, -1, prime)
    return total % prime


def is_prime(number: int) -> bool:
    """Miller and Rabin's test; 40 bases leave an error below 2**-80."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in range(2, 42):
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        if not any((power := power * power % number) == number - 1 for _ in range(twos - 1)):
            return False
    return True


def test_the_field_is_a_field_and_holds_every_secret() -> None:
    assert is_prime(PRIME)
    assert not is_prime(PRIME - 2)
    assert 2**256 < PRIME < 1 << (8 * SHARE_BYTES)


@given(any_secret, st.integers(1, 12), st.integers(0, 6), st.data())
def test_any_threshold_of_shares_opens_the_secret(
    secret: bytes, threshold: int, more: int, data: st.DataObject
) -> None:
    points = data.draw(
        st.lists(st.integers(1, 10_000), min_size=threshold + more, max_size=threshold + more, unique=True)
    )
    shares = split(secret, points, threshold)
    assert set(shares) == set(points)
    assert {len(share) for share in shares.values()} == {SHARE_BYTES}
    some = data.draw(st.lists(st.sampled_from(points), min_size=threshold, unique=True))
    assert combine({point: shares[point] for point in some}, threshold) == secret


@given(any_secret, st.integers(2, 8))
def test_an_independent_interpolation_agrees(secret: bytes, threshold: int) -> None:
    shares = split(secret, range(1, threshold + 1), threshold)
    values = {point: int.from_bytes(share, "big") for point, share in shares.items()}
    assert interpolate_at_zero(values, PRIME).to_bytes(32, "big") == secret


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32, bytes(31) + b"\1", b"\x80" + bytes(31)])
def test_the_smallest_and_the_largest_secret_survive(secret: bytes) -> None:
    assert combine(split(secret, range(1, 6), 3), 3) == secret


@given(any_secret, any_secret, st.integers(2, 8))
def test_one_share_too_few_is_consistent_with_any_secret(secret: bytes, other: bytes, threshold: int) -> None:
    """For whatever secret one hopes for there is a last share that opens it."""
    known = split(secret, range(1, threshold), threshold)
    last = threshold
    weights = {x: interpolate_at_zero({p: int(p == x) for p in (*known, last)}, PRIME) for x in (*known, last)}
    partial = sum(int.from_bytes(share, "big") * weights[x] for x, share in known.items())
    wanted = (int.from_bytes(other, "big") - partial) * pow(weights[last], -1, PRIME) % PRIME
    assert combine({**known, last: wanted.to_bytes(SHARE_BYTES, "big")}, threshold) == other


def test_over_a_small_field_fewer_shares_are_uniform_whatever_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every polynomial of a field of 7 elements, drawn in turn: two of three shares take all pairs equally often."""
    monkeypatch.setattr(shamir, "PRIME", 7)
    for secret in range(7):
        seen: Counter[tuple[bytes, ...]] = Counter()
        for drawn in itertools.product(range(7), repeat=2):
            coefficients = iter(drawn)
            monkeypatch.setattr(secrets, "randbelow", lambda bound, left=coefficients: next(left))
            shares = split(secret.to_bytes(32, "big"), (1, 2, 5), 3)
            seen[shares[2], shares[5]] += 1
        assert len(seen) == 49
        assert set(seen.values()) == {1}


def test_the_same_secret_is_never_shared_the_same_way() -> None:
    assert len({split(bytes(32), (1,), 2)[1] for _ in range(50)}) == 50


@pytest.mark.parametrize("threshold", [2, 3, 7])
def test_too_few_shares_are_refused(threshold: int) -> None:
    shares = split(bytes(32), range(1, threshold), threshold)
    with pytest.raises(ProtocolError, match=f"{threshold - 1} shares"):
        combine(shares, threshold)


@given(any_secret, st.integers(1, 3), st.integers(0, 8 * SHARE_BYTES - 1))
def test_an_altered_share_never_opens_the_secret(secret: bytes, point: int, bit: int) -> None:
    shares = split(secret, (1, 2, 3), 3)
    altered = bytearray(shares[point])
    altered[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(ProtocolError):
        assert combine({**shares, point: bytes(altered)}, 3) != secret


def test_shares_of_no_secret_are_refused() -> None:
    """A field element beyond 32 bytes."""
    with pytest.raises(ProtocolError, match="do not belong together"):
        combine({1: (2**256 + 5).to_bytes(SHARE_BYTES, "big")}, 1)
