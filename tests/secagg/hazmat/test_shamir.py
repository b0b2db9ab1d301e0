"""Secret sharing: any t shares open the secret, fewer say nothing, and what is no secret is refused."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import secrets
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import ProtocolError
from secure_fl.secagg.hazmat import shamir
from secure_fl.secagg.hazmat.shamir import PRIME, SHARE_BYTES, combine, on_one_polynomial, open_secret, split

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
    for beyond in (2**256, 2**256 + 5):
        with pytest.raises(ProtocolError, match="do not belong together"):
            combine({1: beyond.to_bytes(SHARE_BYTES, "big")}, 1)


@pytest.mark.parametrize("points", [[0, 1, 2], [1, 1, 2], [3, 2, 3], [-1, 2, 3], [0]])
def test_points_at_which_a_secret_would_lie_open_or_shares_repeat_are_refused(points: list[int]) -> None:
    """The share at 0 is the secret itself, and two shares at one point are one."""
    with pytest.raises(ProtocolError, match="points that repeat or are below 1"):
        split(bytes(32), points, 1)


def test_shares_are_spread_over_the_whole_field() -> None:
    """Of one secret, all zeros, at point 1: each quarter of the field is hit; it is missed once in 2**37 tries."""
    values = [int.from_bytes(split(bytes(32), [1], 2)[1], "big") for _ in range(96)]
    assert {value * 4 // PRIME for value in values} == {0, 1, 2, 3}
    assert len(set(values)) == len(values)


# Wrong shares


def altered(share: bytes) -> bytes:
    """By an amount that looks random, as shares shifted alike may open the secret (below)."""
    amount = int.from_bytes(hashlib.sha256(share).digest(), "big")
    return ((int.from_bytes(share, "big") + amount) % PRIME).to_bytes(SHARE_BYTES, "big")


@given(any_secret, st.integers(1, 6), st.integers(0, 6), st.data())
def test_shares_of_one_secret_always_lie_on_one_polynomial(
    secret: bytes, threshold: int, more: int, data: st.DataObject
) -> None:
    count = threshold + more
    points = data.draw(st.lists(st.integers(1, 10_000), min_size=count, max_size=count, unique=True))
    shares = split(secret, points, threshold)
    assert on_one_polynomial(shares, threshold)
    assert on_one_polynomial(shares, threshold + 1)
    assert open_secret(shares, threshold, secret.__eq__) == (secret, frozenset())
    if more:
        wrong = data.draw(st.sampled_from(points))
        assert not on_one_polynomial({**shares, wrong: altered(shares[wrong])}, threshold)


@pytest.mark.parametrize(("threshold", "count"), [(1, 2), (2, 3), (2, 5), (3, 5), (4, 6), (5, 5)])
def test_wrong_shares_at_every_position_are_told_from_the_others(threshold: int, count: int) -> None:
    """As many as leave a threshold of right ones; one more and nothing opens. Half as many are told for certain."""
    secret = bytes(range(32))
    shares = split(secret, range(3, count + 3), threshold)
    for size in range(count + 1):
        for wrong in itertools.combinations(shares, size):
            some = {point: altered(share) if point in wrong else share for point, share in shares.items()}
            if 2 * size <= count + 1 - threshold:
                assert open_secret(some, threshold, secret.__eq__) == (secret, frozenset(wrong))
            elif size <= count - threshold:
                opened, named = open_secret(some, threshold, secret.__eq__)
                assert opened == secret
                assert named >= set(wrong)
            else:
                with pytest.raises(ProtocolError, match="do not open the secret"):
                    open_secret(some, threshold, secret.__eq__)


@pytest.mark.parametrize("share", [bytes(SHARE_BYTES), b"\xff" * SHARE_BYTES], ids=["zeros", "ones"])
def test_constant_shares_are_told_from_the_others(share: bytes) -> None:
    secret = b"\xff" * 32
    shares = split(secret, range(1, 8), 4)
    for wrong in range(1, 8):
        assert open_secret({**shares, wrong: share}, 4, secret.__eq__) == (secret, frozenset({wrong}))


def test_wrong_shares_that_agree_with_each_other_do_not_win() -> None:
    """They lie on a polynomial of their own, even more of them than of the right ones; what was announced decides."""
    secret, other = bytes(32), b"\1" * 32
    shares = {**split(other, range(1, 8), 3), **split(secret, (2, 5, 6), 3)}
    assert open_secret(shares, 3, secret.__eq__) == (secret, frozenset({1, 3, 4, 7}))


def test_holders_of_wrong_shares_cannot_put_them_on_others() -> None:
    """Shifted along a polynomial that is 0 at 0 and at one honest share, they open the same secret.

    With t = 3, two liars of six stand against four; of five, two stand against two; of seven, with a third one who lies
    alone, two against four.
    """
    secret = bytes(range(32))
    for count, named in ((6, {1, 2}), (5, {1, 2, 4, 5}), (7, {1, 2, 7})):
        shares = split(secret, range(1, count + 1), 3)
        shares |= {7: altered(shares[7])} if count == 7 else {}
        for liar in (1, 2):
            shifted = (int.from_bytes(shares[liar], "big") + 77 * liar * (liar - 3)) % PRIME
            shares[liar] = shifted.to_bytes(SHARE_BYTES, "big")
        for _ in range(5):
            assert open_secret(shares, 3, secret.__eq__) == (secret, frozenset(named))


def test_too_few_shares_open_nothing() -> None:
    shares = split(bytes(32), (1, 2), 3)
    with pytest.raises(ProtocolError):
        open_secret(shares, 3, lambda secret: True)


def test_a_consistent_secret_that_was_not_announced_is_refused() -> None:
    shares = split(bytes(32), range(1, 6), 3)
    with pytest.raises(ProtocolError, match="do not open the secret that was announced"):
        open_secret(shares, 3, lambda secret: False)


def test_of_many_shares_random_sets_are_tried() -> None:
    """60 over 30 are more sets than can be tried: four wrong ones are found all the same."""
    rng = random.Random(0)
    for _ in range(5):
        secret = rng.randbytes(32)
        shares = split(secret, range(1, 61), 30)
        wrong = rng.sample(range(1, 61), 4)
        some = {point: altered(share) if point in wrong else share for point, share in shares.items()}
        assert open_secret(some, 30, secret.__eq__) == (secret, frozenset(wrong))


def test_the_test_for_one_polynomial_is_not_fooled_by_a_fixed_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knows the word of the dual code can shift shares along it; so it is drawn anew each time."""
    drawn: list[int] = []

    def draw(bound: int) -> int:
        drawn.append(secrets.SystemRandom().randrange(bound))
        return drawn[-1]

    monkeypatch.setattr(secrets, "randbelow", draw)
    shares = split(bytes(32), range(1, 6), 3)
    drawn.clear()
    on_one_polynomial(shares, 3)
    on_one_polynomial(shares, 3)
    assert len(drawn) == len(set(drawn)) == 2 * (5 - 3)


@pytest.mark.parametrize("points", [(1, 1, 2), (0, 1, 2), (-1, 1, 2)])
def test_points_that_repeat_or_give_the_secret_away_are_refused(points: tuple[int, ...]) -> None:
    with pytest.raises(ProtocolError, match="points"):
        split(bytes(32), points, 2)
