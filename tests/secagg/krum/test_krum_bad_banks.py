"""Banks that send what they should not, or vanish: each is its own dropout, is refused by name, or is not chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import tenseal as ts

from secure_fl.errors import ConfigurationError, DropoutError, PlanError, ProtocolError
from secure_fl.secagg.attempts import attempt_sum
from secure_fl.secagg.budget.krum import WEIGHTS_WIDTH, KrumPlan, plan_krum
from secure_fl.secagg.hazmat.he_public import fingerprint
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.hazmat.he_words import data_moduli
from secure_fl.secagg.he.client import HeClient
from secure_fl.secagg.he.public_keys import accept_public_key
from secure_fl.secagg.he.words import KEY_AUTHORITY, UPLOAD, pack_upload
from secure_fl.secagg.krum.distances import IMPOSSIBLE, TOO_LONG, Distances, least_bad, proven_bad, refused
from secure_fl.secagg.krum.server import random_weights
from secure_fl.secagg.messages import AGGREGATOR, seal
from secure_fl.secagg.packing import Words
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.protocol import Outcome
from tests.secagg.krum.scene import Scene, Sends, poisoned, squared_distances

pytestmark = pytest.mark.slow

SLOTS = 2048


@pytest.fixture
def scene() -> Scene:
    return Scene(poisoned(7, 3000, 0, seed=3), byzantine=1)


def other_key(scene: Scene) -> Any:
    parameters = scene.plan.parameters_of_context
    key = SecretContext(parameters).public_key()
    return accept_public_key(key, fingerprint(key), parameters)


def test_a_bank_under_another_key_is_refused_by_name(scene: Scene) -> None:
    cohort = scene.cohort()
    liar = HeClient(cohort, "bank-3", scene.updates[2], other_key(scene))
    outcome = scene.run({2: liar}, cohort=cohort)
    assert outcome.refused == {"bank-3": IMPOSSIBLE}
    assert 2 not in scene.chosen(outcome)


@pytest.mark.parametrize("liars", [(2,), (0, 6)])
def test_garbage_of_the_right_form_is_refused_or_not_chosen(scene: Scene, liars: Sequence[int]) -> None:
    """Random coefficients: one total in a few looks possible by itself, and hardly ever all of a bank."""
    named = 0
    for round_ in range(1, 6):
        cohort = scene.cohort(round_)
        public = other_key(scene)
        instead = {row: HeClient(cohort, scene.banks[row], scene.updates[row], public) for row in liars}
        outcome = scene.run(instead, cohort=cohort)
        assert not set(scene.chosen(outcome)) & set(liars)
        assert set(outcome.refused) <= {scene.banks[row] for row in liars}
        named += len(outcome.refused)
    assert named >= 4 * len(liars)


BEYOND = {"a large slot": (0, 2.0**14), "all slots too large": (slice(None), 2000.0)}


@pytest.mark.parametrize(("where", "value"), BEYOND.values(), ids=BEYOND)
def test_values_beyond_the_range_are_refused_or_not_chosen(scene: Scene, where: Any, value: float) -> None:
    slots = scene.slots(4).astype(np.float64)
    slots[0, where] = value
    cohort = scene.cohort()
    outcome = scene.run({4: Sends(scene, cohort, "bank-5", scene.encrypted_slots(slots))}, cohort=cohort)
    assert 4 not in scene.chosen(outcome)
    assert set(outcome.refused) <= {"bank-5"}


def test_no_ciphertext_of_what_is_no_number_can_be_made(scene: Scene) -> None:
    """A residue is always a number: what decrypts to none does not exist, and SEAL encodes none either."""
    slots = scene.slots(4).astype(np.float64)
    slots[0, 5] = np.nan
    cohort = scene.cohort()
    try:
        ciphertexts = scene.encrypted_slots(slots)
    except (ValueError, RuntimeError):
        return
    outcome = scene.run({4: Sends(scene, cohort, "bank-5", ciphertexts)}, cohort=cohort)
    assert 4 not in scene.chosen(outcome)


TENSEAL: Any = ts.context(ts.SCHEME_TYPE.CKKS, 4096, -1, [60, 46], n_threads=1)
FORMS: dict[str, Any] = {
    "one ciphertext too few": lambda whole: whole[: len(whole) // 2],
    "one ciphertext too many": lambda whole: whole + whole[: len(whole) // 2],
    "none": lambda whole: b"",
    "a word less": lambda whole: whole[:-8],
    "a byte more": lambda whole: whole + b"\0",
    "tenseal's": lambda whole: ts.ckks_vector(TENSEAL, [1.0] * SLOTS, scale=2.0**19).serialize(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_upload_of_another_form_is_its_banks_dropout(scene: Scene, form: Any) -> None:
    cohort = scene.cohort()
    liar = Sends(scene, cohort, "bank-2", form(scene.upload(scene.ciphertexts(scene.updates[1], cohort))))
    outcome = scene.run({1: liar}, cohort=cohort)
    assert set(outcome.refused) == {"bank-2"}
    assert 1 not in scene.chosen(outcome)
    assert "bank-2" not in outcome.sum.passed_over


def no_random_half(ciphertexts: Words, scene: Scene) -> bytes:
    """Words of q count as none."""
    changed = ciphertexts.copy()
    changed[1, 1] = 0
    parts = scene.halves(changed)
    parts.second[parts.second == 0] = scene.moduli[0, 0]
    return b"".join(pack_upload(scene.plan, parts))


NOTHING: dict[str, Any] = {
    "zeros": lambda ciphertexts, scene: bytes(len(scene.upload(ciphertexts))),
    "one without a random half": no_random_half,
}


@pytest.mark.parametrize("what", NOTHING.values(), ids=NOTHING)
def test_ciphertexts_that_hide_nothing_are_their_banks_dropout(scene: Scene, what: Any) -> None:
    """SEAL would stop at the square of one."""
    cohort = scene.cohort()
    liar = Sends(scene, cohort, "bank-2", what(scene.ciphertexts(scene.updates[1], cohort), scene))
    outcome = scene.run({1: liar}, cohort=cohort)
    assert "random half is zero" in outcome.refused["bank-2"]
    assert set(outcome.refused) == {"bank-2"}
    assert 1 not in scene.chosen(outcome)


@pytest.mark.parametrize("fill", ["noise", "ones"])
def test_any_words_of_the_right_length_are_refused_or_not_chosen(scene: Scene, fill: str) -> None:
    length = len(scene.upload(scene.ciphertexts(scene.updates[1])))
    cohort = scene.cohort()
    words = np.random.default_rng(0).bytes(length) if fill == "noise" else b"\xff" * length
    outcome = scene.run({1: Sends(scene, cohort, "bank-2", words)}, cohort=cohort)
    assert set(outcome.refused) <= {"bank-2"}
    assert 1 not in scene.chosen(outcome)


@pytest.mark.parametrize("times", [2, 1 << 19])
def test_a_ciphertext_of_another_scale_is_a_multiple_and_is_not_chosen(scene: Scene, times: int) -> None:
    """Words say nothing of a scale: at twice the scale a value is twice as large."""
    cohort = scene.cohort()
    honest = scene.ciphertexts(scene.updates[1], cohort).astype(object)
    scaled = (times * honest % scene.moduli.astype(object)).astype(np.uint64)
    outcome = scene.run({1: Sends(scene, cohort, "bank-2", scaled)}, cohort=cohort)
    assert set(outcome.refused) <= {"bank-2"}
    assert 1 not in scene.chosen(outcome)


def attempted(scene: Scene, liars: dict[int, Any]) -> tuple[Outcome, int, dict[str, str]]:
    """With new attempts without those to blame. `liars`: row -> cohort to party."""

    def once(cohort: Any, left_out: Any) -> Outcome:
        instead = {row: make(cohort) for row, make in liars.items()}
        return scene.run(instead, cohort=cohort, left_out=tuple(left_out))

    done = attempt_sum(scene.cohort(), once)
    return done.outcome, done.attempts, dict(done.refused)


def test_a_copied_ciphertext_costs_the_copier_its_place(scene: Scene) -> None:
    """The one that came later: nobody can copy what is not there yet."""
    kept: dict[int, Words] = {}

    def first(cohort: Any) -> Sends:
        kept[cohort.attempt] = scene.ciphertexts(scene.updates[1], cohort)
        return Sends(scene, cohort, "bank-2", kept[cohort.attempt])

    def copier(cohort: Any) -> Sends:
        return Sends(scene, cohort, "bank-5", kept[cohort.attempt])

    outcome, attempts, out = attempted(scene, {1: first, 4: copier})
    assert attempts == 2
    assert set(out) == {"bank-5"}
    assert "copy of another bank's" in out["bank-5"]
    assert 4 not in scene.chosen(outcome)


def test_minus_another_ones_ciphertext_is_summed_as_what_it_is() -> None:
    """The mirror image of that bank's update: where all are chosen, it takes that one out of the sum."""
    scene = Scene(poisoned(3, 300, 0, seed=3), byzantine=0)
    assert [line for line in scene.scheme.custody.broken_by if "where the rule takes all banks" in line]
    cohort = scene.cohort()
    seen = scene.ciphertexts(scene.updates[1], cohort)
    liars: dict[int, Any] = {
        0: Sends(scene, cohort, "bank-1", scene.negated(seen)),
        1: Sends(scene, cohort, "bank-2", seen),
    }
    outcome = scene.run(liars, cohort=cohort)
    assert len(outcome.sum.contributors) == 3
    assert (outcome.sum.total == scene.updates[2] + 2 * 128).all()


def test_a_bank_whose_squares_cancel_is_named() -> None:
    """i times the first ciphertext as the second one: their squares sum to nothing, but not those of differences."""
    scene = Scene(poisoned(7, 2 * SLOTS, 0, seed=3))

    def liar(cohort: Any) -> Sends:
        one = scene.ciphertexts(scene.updates[2], cohort)[0]
        return Sends(scene, cohort, "bank-3", np.stack([one, turned(scene, one)]))

    outcome, _, out = attempted(scene, {2: liar})
    assert set(out) == {"bank-3"}
    assert 2 not in scene.chosen(outcome)


def turned(scene: Scene, ciphertexts: Words) -> Words:
    """Times X**(N/2), which is i in all slots or -i in all: [..., 2, data primes, N]."""
    words = ciphertexts.astype(object)
    for place, (prime,) in enumerate(scene.moduli.tolist()):
        root = root_of_minus_one(prime, 2 * SLOTS)
        words[..., place, :SLOTS] = words[..., place, :SLOTS] * root % prime
        words[..., place, SLOTS:] = words[..., place, SLOTS:] * (prime - root) % prime
    return words.astype(np.uint64)


def root_of_minus_one(prime: int, degree: int) -> int:
    """The power N/2 of the smallest primitive 2N-th root, which is the one that SEAL takes."""
    generator = next(
        g for a in range(2, 1000) for g in [pow(a, (prime - 1) // (2 * degree), prime)] if pow(g, degree, prime) != 1
    )
    return pow(min(pow(generator, odd, prime) for odd in range(1, 2 * degree, 2)), degree // 2, prime)


def complex_upload(scene: Scene, cohort: Any, bank: str, real: Any, imaginary: Any) -> Sends:
    """Ciphertexts with an imaginary part in each slot, which an honest encoder never makes."""
    whole = scene.added(scene.encrypted_slots(real), turned(scene, scene.encrypted_slots(imaginary)))
    return Sends(scene, cohort, bank, whole)


def poisoned_far_away(banks: int, byzantine: int) -> Scene:
    """The last ones are 50 steps off in each value, to either side: far from all others, and as long as they."""
    scene = Scene(poisoned(banks, SLOTS, 0, seed=8), byzantine)
    shift = np.where(np.random.default_rng(1).random(SLOTS) < 0.5, -50, 50)
    for row in range(banks - byzantine, banks):
        scene.updates[row] = np.rint(scene.updates[: banks - byzantine].mean(axis=0)) + shift
    return scene


@pytest.mark.parametrize("signs", [(1,), (1, -1), (1, 1, -2)])
def test_imaginary_parts_that_would_bring_banks_closer_are_refused_by_name(signs: tuple[int, ...]) -> None:
    """Squares of i y are negative. Opposite ones leave no trace in a sum, but random weights find each."""
    scene = poisoned_far_away(9, len(signs))
    rows = range(9 - len(signs), 9)
    assert not set(rows) & set(scene.chosen(scene.run()))
    imaginary = np.full((1, SLOTS), 49.0)
    cohort = scene.cohort(2)
    liars: dict[int, Any] = {
        row: complex_upload(scene, cohort, scene.banks[row], scene.slots(row), sign * imaginary)
        for row, sign in zip(rows, signs, strict=True)
    }
    outcome = scene.run(liars, cohort=cohort)
    assert outcome.refused == {scene.banks[row]: IMPOSSIBLE for row in rows}
    assert set(scene.chosen(outcome)) == set(range(9)) - set(rows)


def test_without_the_weights_an_imaginary_part_would_be_chosen_and_the_opened_sum_would_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The attack works where nobody looks; the last line of defence is that the sum is as long as distances say."""
    scene = poisoned_far_away(5, 1)
    monkeypatch.setattr(KrumPlan, "imaginary_errors", lambda self, norms: np.full_like(norms, np.inf))
    cohort = scene.cohort()
    liar = complex_upload(scene, cohort, "bank-5", scene.slots(4), np.full((1, SLOTS), 49.9))
    with pytest.raises(ProtocolError, match="does not fit the distances"):
        scene.run({4: liar}, cohort=cohort)


def test_banks_that_get_an_honest_one_refused_do_not_count_it_among_the_byzantine() -> None:
    """Two derive theirs from the first one's ciphertexts, each with a negative squared distance to it and none between
    them, by imaginary parts too short to show. It loses its place, but the rule still expects both liars among others.
    """
    scene = Scene(poisoned(9, 5 * SLOTS, 0, seed=8), byzantine=2)
    cohort, nothing = scene.cohort(), np.zeros((5, SLOTS))
    target = scene.ciphertexts(scene.updates[0], cohort)
    imaginary, shift = nothing.copy(), nothing.copy()
    imaginary[0, :2], shift[0, 0] = 1.0, 1.0
    assert scene.plan.imaginary_length_shown > 200 * math.sqrt(2)
    liars: dict[int, Any] = {0: Sends(scene, cohort, "bank-1", target)}
    for row, real in ((7, nothing), (8, shift)):
        derived = complex_upload(scene, cohort, scene.banks[row], real, imaginary)
        assert not isinstance(derived.sent, bytes)
        derived.sent = scene.added(target, derived.sent)
        liars[row] = derived
    outcome = scene.run(liars, cohort=cohort)
    assert outcome.refused == {"bank-1": IMPOSSIBLE}
    assert len(outcome.sum.contributors) == 8 - 2
    assert [line for line in scene.scheme.custody.assumptions if "cost that one its place" in line]


@pytest.mark.parametrize("banks", [1, 2])
def test_a_square_that_wraps_around_the_modulus_shortens_distances_and_shows_in_the_sum_or_between_two(
    banks: int,
) -> None:
    """Where all others have nothing, here behind the last parameter. Two equal banks cancel it, but stand apart."""
    scene = Scene(np.pad(poisoned_far_away(9, banks).updates[:, :3000], ((0, 0), (0, 3000 - SLOTS))), byzantine=banks)
    plan = scene.plan
    rows = range(9 - banks, 9)
    assert not set(rows) & set(scene.chosen(scene.run()))
    modulus = math.prod(data_moduli(plan.parameters_of_context))
    large = math.sqrt(modulus * plan.unit - 0.99 * 50**2 * SLOTS)
    cohort = scene.cohort(2)
    liars: dict[int, Any] = {}
    for row, sign in zip(rows, (1, -1), strict=False):
        slots = scene.slots(row).astype(np.float64)
        slots[-1, -1] = sign * large
        liars[row] = Sends(scene, cohort, scene.banks[row], scene.encrypted_slots(slots))
    assert [line for line in scene.scheme.custody.assumptions if "wraps around" in line]
    if banks == 1:
        with pytest.raises(ProtocolError, match="does not fit the distances") as caught:
            scene.run(liars, cohort=cohort)
        assert not caught.value.refused, "so that each further attempt fails as this one"
    else:
        assert set(scene.run(liars, cohort=cohort).refused) == {scene.banks[row] for row in rows}


def test_a_bank_that_takes_an_honest_one_with_it_makes_no_room_for_a_third() -> None:
    """Its large value fits to all who have the middle of the range there, and to nobody else: bank-1. Both go, one of
    them is bad, and so one bad one is left among five."""
    scene = poisoned_far_away(7, 2)
    scene.updates[:, 100] = 128
    scene.updates[0, 100] = 127
    assert not {5, 6} & set(scene.chosen(scene.run()))
    cohort = scene.cohort(2)
    slots = np.rint(scene.updates[:5].mean(axis=0))[None] - 128
    slots[0, 100] = wrapping(scene.plan)
    outcome = scene.run({5: Sends(scene, cohort, "bank-6", scene.encrypted_slots(slots))}, cohort=cohort)
    assert outcome.refused == {"bank-1": IMPOSSIBLE, "bank-6": IMPOSSIBLE}
    assert scene.chosen(outcome) == [1, 2, 3, 4]
    assert [line for line in scene.scheme.custody.assumptions if "wraps around the modulus at that one's only" in line]


def wrapping(plan: KrumPlan) -> float:
    """A number whose square is nothing modulo what distances count in, and twice of which is half of that."""
    modulus = math.prod(data_moduli(plan.parameters_of_context)) * plan.unit
    roots = np.sqrt(modulus * np.arange(1e6, 2e6))
    return float(roots[np.argmin(np.abs(2 * roots % modulus - 0.49 * modulus))])


def test_imaginary_parts_show_as_often_as_the_planner_says() -> None:
    """Of the length that shows in 99 of 100 cases, in one slot or in all; honest ones never do."""
    plan = plan_krum(5, SLOTS, 8, 3)
    length, rng = plan.imaginary_length_shown, np.random.default_rng(3)
    bound = float(plan.imaginary_errors(np.array(plan.largest_squared_norm / 4)))
    shapes = (np.eye(1, SLOTS)[0], np.full(SLOTS, SLOTS**-0.5), rng.normal(size=SLOTS) / SLOTS**0.5)
    for shape in shapes:
        seen = [abs(float(random_weights(SLOTS) @ shape)) * length > bound * WEIGHTS_WIDTH for _ in range(8000)]
        assert np.mean(seen) > 0.99 - 6 * (0.01 * 0.99 / len(seen)) ** 0.5


# Dropouts and thresholds


def test_banks_that_vanish_are_missing_and_nothing_else(scene: Scene) -> None:
    outcome = scene.run(drop={"bank-1": UPLOAD, "bank-4": UPLOAD})
    assert set(scene.chosen(outcome)) < {1, 2, 4, 5, 6}
    assert len(outcome.sum.contributors) == 4


def test_below_the_threshold_there_is_no_sum(scene: Scene) -> None:
    with pytest.raises(DropoutError, match="only 3 of 7 banks contributed"):
        scene.run(drop=dict.fromkeys(scene.banks[:4], UPLOAD))


def test_too_few_for_the_rule_is_a_dropout_that_says_so() -> None:
    scene = Scene(poisoned(7, 300, 0, seed=3), byzantine=2)
    with pytest.raises(DropoutError, match="the rule cannot choose among 6 banks: Krum with f = 2 needs 7 banks"):
        scene.run(drop={"bank-1": UPLOAD})


def test_a_choice_below_the_threshold_is_not_opened() -> None:
    scene = Scene(poisoned(7, 300, 0, seed=3), byzantine=2, threshold=6)
    with pytest.raises(DropoutError, match="open a sum of 5 banks"):
        scene.run()


def test_so_many_refused_that_too_few_are_left_is_a_dropout_that_names_them() -> None:
    scene = Scene(poisoned(4, 300, 0, seed=3), byzantine=0, threshold=4)
    cohort = scene.cohort()
    liar = HeClient(cohort, "bank-3", scene.updates[2], other_key(scene))
    with pytest.raises(DropoutError) as caught:
        scene.run({2: liar}, cohort=cohort)
    assert caught.value.refused == {"bank-3": IMPOSSIBLE}


def test_a_silent_authority_is_a_dropout(scene: Scene) -> None:
    for stage in ("select", "decrypt"):
        fresh = Scene(scene.updates, scene.byzantine)
        with pytest.raises(DropoutError, match="key authority did not answer"):
            fresh.run(drop={KEY_AUTHORITY: stage})


# Norms


def test_longer_updates_than_the_bound_are_refused_by_name_and_shorter_ones_are_not() -> None:
    updates = poisoned(6, 500, 0, seed=2)
    updates[3] = np.where(np.arange(500) % 2, 255, 0)
    norms = np.sqrt(((updates - 128) ** 2).sum(axis=1))
    scene = Scene(updates, norm_bound=float(np.sort(norms)[-2]) + 1)
    outcome = scene.run()
    assert outcome.refused == {"bank-4": TOO_LONG}
    assert 3 not in scene.chosen(outcome)


def test_a_norm_at_the_bound_is_no_reason() -> None:
    updates = poisoned(5, 500, 0, seed=2)
    norms = np.sqrt(((updates - 128) ** 2).sum(axis=1))
    assert not Scene(updates, norm_bound=float(norms.max())).run().refused


@pytest.mark.parametrize("bound", [0, -1.0, float("inf"), float("nan")])
def test_a_bound_that_bounds_nothing_is_refused(bound: float) -> None:
    with pytest.raises(PlanError, match="norm bound"):
        plan_krum(5, 100, 8, 3, bound)


# Distances that cannot be


def measured(plan: KrumPlan, updates: Any) -> Distances:
    squared = squared_distances(updates)
    norms = [float(((u - 128) ** 2).sum()) for u in updates]
    return Distances.measured(plan, norms, squared[np.triu_indices(len(updates), k=1)].tolist(), [0.0] * len(updates))


@pytest.fixture
def plan() -> KrumPlan:
    return plan_krum(6, 2500, 8, 4)


@pytest.mark.parametrize("seed", range(30))
def test_distances_of_any_updates_are_possible(plan: KrumPlan, seed: int) -> None:
    rng = np.random.default_rng(seed)
    updates = rng.integers(0, 256, (6, 2500)) if seed % 2 else poisoned(6, 2500, 2, seed)
    updates[rng.integers(6)] = updates[0]
    updates[rng.integers(6)] = 255 * rng.integers(2)
    assert refused(plan, measured(plan, updates)) == {}


CHANGES = {
    "a negative distance": (1, 4, -1e6),
    "one beyond the range": (1, 4, 2500 * 256.0**2 * 1.1),
    "a side longer than two others": (1, 4, 100.0),
}


@pytest.mark.parametrize(("one", "other", "square"), CHANGES.values(), ids=CHANGES)
def test_one_impossible_distance_costs_one_of_both_or_both(plan: KrumPlan, one: int, other: int, square: float) -> None:
    updates = poisoned(6, 2500, 0, seed=1)
    updates[4] = 255 - updates[4]
    distances = measured(plan, updates)
    distances.squared[one, other] = distances.squared[other, one] = square
    assert set(refused(plan, distances)) <= {one, other}
    assert refused(plan, distances)


@pytest.mark.parametrize("bad", range(6))
def test_the_bank_that_fits_to_nobody_is_the_one(plan: KrumPlan, bad: int) -> None:
    distances = measured(plan, poisoned(6, 2500, 0, seed=1))
    rng = np.random.default_rng(bad)
    garbage = rng.uniform(-4, 4, 7) * plan.largest_squared_distance
    distances.squared[bad], distances.squared[:, bad] = garbage, garbage
    distances.squared[bad, bad] = 0
    assert refused(plan, distances) == {bad: IMPOSSIBLE}


def test_only_its_own_upload_proves_a_bank_bad(plan: KrumPlan) -> None:
    """Norms and imaginary parts are of one bank; a distance is of two."""
    distances = measured(plan, poisoned(6, 2500, 0, seed=1))
    distances.squared[1, 4] = distances.squared[4, 1] = -1e6
    assert proven_bad(plan, distances) == {}
    for row, norm in ((0, -1e6), (2, 2.0 * plan.largest_squared_norm)):
        distances.squared[row, -1] = distances.squared[-1, row] = norm
    distances.imaginary[3] = 1e6
    assert proven_bad(plan, distances) == dict.fromkeys((0, 2, 3), IMPOSSIBLE)
    assert proven_bad(plan, distances).keys() <= refused(plan, distances).keys()


@pytest.mark.parametrize(
    ("pairs", "out", "bad"),
    [
        ([(1, 4)], {1, 4}, 1),
        ([(0, 4), (0, 5)], {0}, 0),
        ([(0, 1), (2, 3)], {0, 1, 2, 3}, 2),
        ([(0, 1), (1, 2), (0, 2)], {0, 1, 2}, 1),
    ],
)
def test_of_the_refused_no_more_are_certain_to_be_bad_than_any_blame_needs(
    plan: KrumPlan, pairs: list[tuple[int, int]], out: set[int], bad: int
) -> None:
    """Whoever the bad banks are, one of each impossible pair is among them: tried for all sets of banks."""
    distances = measured(plan, poisoned(6, 2500, 0, seed=1))
    for one, other in pairs:
        distances.squared[one, other] = distances.squared[other, one] = -1e6
    found = refused(plan, distances)
    assert set(found) == out
    assert least_bad(plan, distances, found) == bad
    explaining = [s for n in range(7) for s in combinations(range(6), n) if all({*pair} & {*s} for pair in pairs)]
    assert bad <= min(len(out & {*s}) for s in explaining)


def test_of_those_who_go_each_counts_that_is_bad_by_itself_and_one_of_two_that_do_not_fit(plan: KrumPlan) -> None:
    """Bad ones are few enough to be counted by trying all sets that explain what cannot be."""
    rng = np.random.default_rng(5)
    counts = []
    for _ in range(200):
        distances = measured(plan, poisoned(6, 2500, 0, seed=1))
        wrong = [tuple(rng.choice(7, 2, replace=False)) for _ in range(rng.integers(1, 5))]
        for one, other in wrong:
            distances.squared[one, other] = distances.squared[other, one] = -1e6
        out = refused(plan, distances)
        explained = [
            len(bad & out.keys())
            for size in range(7)
            for bad in map(set, combinations(range(6), size))
            if all(bad & {one, other} for one, other in wrong)
        ]
        assert least_bad(plan, distances, out) <= min(explained)
        counts.append((least_bad(plan, distances, out), min(explained), len(out)))
    assert any(bad < gone for bad, _, gone in counts)
    assert np.mean([bad == fewest for bad, fewest, _ in counts]) > 0.9


# Plans


def test_a_rule_is_asked_for_sums_that_a_plan_can_be_for() -> None:
    scene = Scene(poisoned(5, 50, 0, seed=1))
    for banks, match in ((2, "with two"), (101, "at most 100 banks")):
        with pytest.raises(PlanError, match=match):
            plan_for(scene.scheme, banks, 50)
    with pytest.raises(PlanError, match="use at most 18 bits"):
        plan_for(scene.scheme, 10, 1_000_000, 24)
    with pytest.raises(PlanError, match="not float32"):
        plan_for(scene.scheme, 10, 100, "float32")
    with pytest.raises(ConfigurationError):
        scene.deployment.client(scene.cohort(), "bank-1", scene.updates[0][:-1])


def test_requests_of_another_round_are_not_answered(scene: Scene) -> None:
    client = scene.parties(scene.cohort())["bank-1"]
    with pytest.raises(ProtocolError, match="belongs to round 2"):
        client.respond(seal(scene.cohort(2), UPLOAD, AGGREGATOR, "bank-1"))
