"""What t - 1 members of a committee and the aggregator make of all that they hold: one bank's numbers stay a guess.

Two sums are alike, and two banks have swapped their numbers or not, in each coefficient by a coin of its own. So a sum
is as many runs as a polynomial has coefficients. A distinguisher is given every message, the parts of the corrupt
member, what both honest members answer for the part that it lacks, and the sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from secure_fl.secagg.budget.threshold import BFV_RING, KeyRing
from secure_fl.secagg.hazmat.collective import Transform, data_moduli, product
from secure_fl.secagg.hazmat.collective_secret import KeyPart
from secure_fl.secagg.packing import Words
from secure_fl.secagg.threshold.encoding import encode
from secure_fl.secagg.threshold.wire import ciphertexts_of, sum_of_seconds, unpack_first
from tests.secagg.test_committee_attacks import divided
from tests.secagg.test_threshold import Q, Scene, integers

RUNS = 10_000
DEGREE = BFV_RING.degree
MODULI = data_moduli(BFV_RING)

Floats = NDArray[np.float64]
Coins = NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """All that the corrupt member and the aggregator hold of one sum; polynomials are [data primes, N]."""

    swapped: Coins
    """What is to be guessed: whose numbers are 255, and whose zero."""
    number: Words
    """What the numbers of a bank that has 255 are encoded to."""
    known: tuple[KeyPart, ...]
    lacking: KeyPart
    """For controls alone."""
    firsts: tuple[Words, ...]
    seconds: tuple[Words, ...]
    answers: tuple[Words, ...]
    """Of the honest members, for the part that the corrupt one lacks."""
    total: Words
    """What the sum is encoded to, which all may know."""

    def opened(self, bank: int, *more: KeyPart) -> Words:
        """What the parts that are known, and more, leave of one bank's ciphertext."""
        return self.without(self.firsts[bank], self.seconds[bank], *self.known, *more)

    @staticmethod
    def without(first: Words, second: Words, *parts: KeyPart) -> Words:
        found: Words = (first + sum(part.times(second[None])[0] for part in parts)) % MODULI
        return found

    @property
    def left(self) -> Words:
        """What members' answers leave of the sum, less the sum: noise of encryption and of the answer."""
        first, second = (np.sum(each, axis=0, dtype=np.uint64) % MODULI for each in (self.firsts, self.seconds))
        found: Words = (self.without(first, second, *self.known) + self.answers[0] + MODULI - self.total) % MODULI
        return found


def seen() -> View:
    """A committee's first sum."""
    scene = Scene(3, 2, parameters=Scene(3, 2, parameters=100_000).plan.fields * DEGREE)
    assert scene.plan.coefficients == DEGREE
    swapped = np.random.default_rng().integers(0, 2, DEGREE).astype(bool)
    ones = np.tile(swapped, scene.plan.fields)
    scene.updates[0], scene.updates[1] = 255 * ones, 255 * ~ones
    clients = {
        bank: scene.there.client(scene.cohort, bank, row)
        for bank, row in zip(scene.cohort.banks, scene.updates, strict=True)
    }
    gathered, _ = scene.gathered_of(clients)
    keys = scene.there._members
    corrupt, *honest = scene.members
    (lacking,) = set(range(len(scene.plan.committee.subsets))) - set(keys[corrupt].parts)
    return View(
        swapped,
        encode(scene.plan, np.full(scene.plan.parameters, 255)).T,
        tuple(keys[corrupt].parts.values()),
        keys[honest[0]].parts[lacking],
        tuple(unpack_first(scene.plan, memoryview(client._pieces[0])).T for client in clients.values()),
        tuple(
            ciphertexts_of(scene.plan, sum_of_seconds(scene.plan, [gathered.uploads[number].shown]))[0]
            for number in range(4)
        ),
        tuple(unpack_first(scene.plan, memoryview(scene.ask(name, (lacking,), gathered))).T for name in honest),
        np.sum([encode(scene.plan, row) for row in scene.updates], axis=0, dtype=np.uint64).T % MODULI,
    )


def shares(polynomial: Words) -> Floats:
    """Of q, in (-1/2, 1/2]."""
    return np.array([number / Q for number in integers(polynomial.T)])


def nearer(view: View, polynomial: Words) -> Coins:
    """Whether a number is nearer to that of 255s than to zero."""
    return np.abs(shares((polynomial + MODULI - view.number) % MODULI)) < np.abs(shares(polynomial))


def by_its_ciphertext(view: View) -> Coins:
    return nearer(view, view.opened(0))


def by_dividing_an_answer(view: View) -> Coins:
    """An answer over the second polynomial that it is of is the part, but for noise; with it bank-1's upload opens."""
    part = divided(view.answers[0], np.sum(view.seconds, axis=0, dtype=np.uint64) % MODULI)
    part_values, second_values = Transform(BFV_RING).to_values(np.stack([part, view.seconds[0]]))
    values = product(part_values, second_values, MODULI)
    return nearer(view, (view.opened(0) + Transform(BFV_RING).to_coefficients(values[None])[0]) % MODULI)


def by_the_noise_that_is_left(view: View) -> Coins:
    return shares(view.left) > 0


def by_where_answers_differ(view: View) -> Coins:
    return shares((view.answers[0] + MODULI - view.answers[1]) % MODULI) > 0


def require_chance(right: Coins) -> None:
    assert len(right) == RUNS
    assert abs(right.sum() - RUNS / 2) < 5 * math.sqrt(RUNS / 4)


def by_learning(views: Sequence[View], *, whole_key: bool) -> Coins:
    """Trees that learn from other runs, also of the same keys and sums, what tells the coins: where they are right."""
    rows = np.concatenate([columns(view, *([view.lacking] if whole_key else [])) for view in views])
    swapped = np.concatenate([view.swapped for view in views])
    order = np.random.default_rng().permutation(len(rows))
    tried, learnt = order[:RUNS], order[RUNS:]
    trees = HistGradientBoostingClassifier(max_iter=60).fit(rows[learnt], swapped[learnt])
    right: Coins = trees.predict(rows[tried]) == swapped[tried]
    return right


def columns(view: View, *more: KeyPart) -> Floats:
    """Numbers and low bits of all that is held, and of what follows from it, by coefficients."""
    opened = [view.opened(bank, *more) for bank in range(2)]
    both = [(one + answer) % MODULI for one in opened for answer in view.answers]
    differing = (view.answers[0] + MODULI - view.answers[1]) % MODULI
    held = [*view.firsts, *view.seconds, *opened, *view.answers, *both, differing, view.left]
    return np.array([shares(each) for each in held] + [each[0] % np.uint64(256) for each in held]).T


@pytest.fixture(scope="module")
def views() -> list[View]:
    return [seen() for _ in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "guess", [by_its_ciphertext, by_dividing_an_answer, by_the_noise_that_is_left, by_where_answers_differ]
)
def test_one_less_than_a_quorum_guesses_an_update_as_if_blind(
    views: list[View], guess: Callable[[View], Coins]
) -> None:
    require_chance(np.concatenate([guess(view) == view.swapped for view in views])[:RUNS])


@pytest.mark.slow
def test_one_less_than_a_quorum_learns_nothing_from_other_runs(views: list[View]) -> None:
    require_chance(by_learning(views, whole_key=False))


@pytest.mark.slow
def test_with_all_parts_both_ways_of_guessing_are_right(views: list[View]) -> None:
    """So they can be."""
    for view in views:
        assert (nearer(view, view.opened(0, view.lacking)) == view.swapped).all()
    assert by_learning(views, whole_key=True).mean() > 0.99


@pytest.mark.slow
def test_without_smudging_an_answer_opens_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(ring: KeyRing, seed: bytes, bits: int, count: int) -> Words:
        return np.zeros((count, ring.primes), dtype=np.uint64)

    monkeypatch.setattr("secure_fl.secagg.threshold.member.smudging", nothing)
    view = seen()
    assert (by_dividing_an_answer(view) == view.swapped).all()
