"""What answers of a hidden plan tell of the weights: nothing that the flood does not drown, and all of them without."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from secure_fl.scoring import DataOwner, ModelOwner, PlannedModel, model_owner
from secure_fl.scoring.custody import CUSTODY, DATA_OWNER, HIDDEN_CUSTODY, MODEL_OWNER, custody_of
from secure_fl.scoring.flooding import SHARE_BITS, ceil_log2, distance, draw_flood, flooding_bits
from secure_fl.scoring.hazmat.hiding import Hiding
from secure_fl.scoring.hazmat.objects import chain_of
from tests.scoring.exact import (
    Words,
    answer_parts,
    decrypted,
    encoded,
    hidden_linear,
    imaginary_unit,
    noise_of_answer,
    planned_hidden,
    request_parts,
)
from tests.scoring.scene import Session, open_session, random_rows, rows_at_the_edge, session_of

ALIKE = np.linspace(-1, 1, 64)[:, None].repeat(2, axis=1)
"""Rows with both features equal: weights (1, 1) and (5, -3) give the same logits."""


def test_the_distance_is_that_of_the_formula() -> None:
    assert distance(10, 16, 3.0) == (4 * 3 + 8) / 1024
    assert distance(41, 4, 0.0) == 2.0**-40
    assert flooding_bits(4, 1.0) == SHARE_BITS + 2  # (2 + 2) / 2**b
    assert flooding_bits(4, 1.01) == SHARE_BITS + 3


@pytest.mark.parametrize(("number", "power"), [(1.0, 0), (1.0 + 2**-52, 1), (0.75, 0), (2.0**40, 40), (2.0**-9, -9)])
def test_powers_of_two_are_exact(number: float, power: int) -> None:
    assert ceil_log2(number) == power


@settings(max_examples=200)
@given(degree=st.sampled_from([4, 4096, 16384]), deviation=st.floats(0, 1e30))
def test_the_flood_is_as_narrow_as_the_distance_allows(degree: int, deviation: float) -> None:
    bits = flooding_bits(degree, deviation)
    assert distance(bits, degree, deviation) <= 2.0**-SHARE_BITS < distance(bits - 1, degree, deviation)


@settings(max_examples=100)
@given(bits=st.integers(1, 4), errors=st.lists(st.floats(-3, 3), min_size=2, max_size=2), start=st.floats(-9, 9))
def test_two_floods_are_as_close_as_the_distance_says(bits: int, errors: list[float], start: float) -> None:
    """Total variation of the two distributions, counted; degree 2, whose slot is i."""
    exact = [start, -start]
    answer = [math.floor(f + e) for f, e in zip(exact, errors, strict=True)]
    left = [a - f for a, f in zip(answer, exact, strict=True)]
    width = range(2**bits)
    one = {(answer[0] + x, answer[1] + y) for x in width for y in width}
    other = {(round(exact[0]) + x, round(exact[1]) + y) for x in width for y in width}
    counted = len(one - other) / len(one)
    assert counted <= distance(bits, 2, abs(complex(*left))) + 1e-12


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), power=st.integers(2, 8), sparse=st.booleans())
def test_coefficients_are_no_larger_than_slots(seed: int, power: int, sparse: bool) -> None:
    """|e|_1 <= sqrt(N) max |slot|, also for polynomials that come near it."""
    rng, degree = np.random.default_rng(seed), 1 << power
    values = rng.normal(size=degree) * (rng.random(degree) < (0.1 if sparse else 1.0))
    roots = np.exp(1j * np.pi * np.arange(1, 2 * degree, 2) / degree)
    slots = np.abs(np.polynomial.polynomial.polyval(roots, values))
    assert np.abs(values).sum() <= math.sqrt(degree) * slots.max() * (1 + 1e-9)
    assert np.sum(values**2) * degree == pytest.approx(np.sum(slots**2))


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 64, 91])
def test_the_flood_is_uniform_over_its_whole_width(bits: int) -> None:
    """Eight cells, a chance of one in 10**9 to fail; and both ends are reached where there are few."""
    drawn = draw_flood(bits, 8192)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    assert low <= min(drawn)
    assert max(drawn) <= high
    cells = min(8, 2**bits)
    counts = np.bincount([(number - low) * cells >> bits for number in drawn], minlength=cells)
    assert stats.chisquare(counts).pvalue > 1e-9
    assert {number & 1 for number in drawn} == {0, 1}
    if bits < 9:
        assert {low, high} <= set(drawn)


def _pair() -> tuple[PlannedModel, PlannedModel]:
    """Two models of one plan that agree on `ALIKE`."""
    steep = hidden_linear([5.0, -3.0], 0.25)
    return hidden_linear([1.0, 1.0], 0.25, like=steep), steep


def _noise(model: PlannedModel) -> tuple[Any, list[Any]]:
    owner = DataOwner(model.plan)
    return noise_of_answer(owner, ModelOwner(model, owner.keys()), model, ALIKE)


def _weights_seen(noise: Any, inputs: list[Any]) -> Any:
    """Least squares of the answer's noise on the noise of the inputs, which the key's holder knows."""
    columns = np.stack([one.astype(float) for one in inputs], axis=1)
    solved, *_ = np.linalg.lstsq(columns, noise.astype(float), rcond=None)
    return solved


def _without_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_owner, "draw_flood", lambda _bits, count: [0] * count)


def test_noise_of_two_models_that_agree_cannot_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """8,192 coefficients each. Without the flood the same tests read the weights, so they would notice."""
    models = _pair()
    unit = 2.0 ** models[0].scales.weights[0]
    hidden = [_noise(model) for model in models]
    seen = [_weights_seen(*one) / unit for one in hidden]
    _without_flood(monkeypatch)
    bare = [_noise(model) for model in models]
    read = [_weights_seen(*one) / unit for one in bare]

    assert np.allclose(read, [[1, 1], [5, -3]], atol=1e-2)
    assert stats.ks_2samp(*[one.astype(float) for one, _ in bare]).pvalue < 1e-12
    assert np.abs(seen).min() > 1e6, "of no use: off by a million times the weights"
    assert stats.ks_2samp(*[one.astype(float) for one, _ in hidden]).pvalue > 1e-9
    bits = models[0].plan.flooding_bits
    for noise, _ in hidden:
        assert stats.kstest(noise.astype(float) / 2.0**bits + 0.5, "uniform").pvalue > 1e-9


def test_what_float64_leaves_of_rows_is_not_drowned() -> None:
    """As custody says: (3, 1) and (-3, 3) agree on rows (x, 3 x) to the last bit, and not on what is encoded of them.

    The distance of two products of intervals is 1 - prod(1 - |shift| / width).
    """
    model, other = hidden_linear([3.0, 1.0], 0.25), np.array([-3.0, 3.0])
    x = np.round(np.random.default_rng(0).uniform(-1, 1, 4096) * 2**20) / 2**20
    rows = np.stack([x, 3 * x], axis=1)
    weights = model.network.linears[0].weights[0]
    assert (rows @ weights == rows @ other).all()
    owner = DataOwner(model.plan)
    columns = [np.array(encoded(owner, np.ascontiguousarray(column)), dtype=object) for column in rows.T]
    units = [round(weight) * 2 ** model.scales.weights[0] for weight in (weights - other).tolist()]
    shifts = sum(unit * column for unit, column in zip(units, columns, strict=True))
    far = -math.expm1(sum(math.log1p(-abs(int(shift)) / 2.0**model.plan.flooding_bits) for shift in np.asarray(shifts)))
    assert far > 2.0**-10 > model.plan.hiding_distance()
    assert "as they were encoded" in HIDDEN_CUSTODY.can_decrypt[DATA_OWNER][0]
    assert any("agree on every row that is sent" in text for text in HIDDEN_CUSTODY.broken_by)


def test_what_is_drowned_stays_below_what_the_flood_was_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured exactly, coefficient by coefficient, and not far below: a flood of 2**41 times that is no more."""
    _without_flood(monkeypatch)
    for model in _pair():
        left, _ = _noise(model)
        measured = float(sum(abs(int(number)) for number in left))
        allowed = 2.0 ** (model.plan.flooding_bits - SHARE_BITS)
        assert measured < allowed < 2000 * measured


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(4, 3, 1), (4, 3, 2, 1)])
def test_what_is_drowned_of_networks_stays_below_as_well(
    widths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two answers to the same rows differ by what is drowned in both: what depends on keys and encryptions."""
    _without_flood(monkeypatch)
    for seed in range(3):
        session = open_session(planned_hidden(seed, widths))
        rows = rows_at_the_edge(np.random.default_rng(seed), 500, widths[0])
        answers = [
            decrypted(session.owner, answer_parts(session.model.plan, session.scorer.score(request)))
            for request in (next(session.owner.encrypt(rows)), next(session.owner.encrypt(rows)))
        ]
        measured = float(sum(abs(one - other) for one, other in zip(*answers, strict=True)))
        allowed = 2.0 ** (session.model.plan.flooding_bits - SHARE_BITS)
        assert allowed / 1e6 < measured < 2 * allowed


@pytest.mark.slow
def test_the_bound_of_a_hidden_plan_holds() -> None:
    """15 models x 60 rows at the edge of the clip range, flood included; how loose it is, is held as well."""
    ratios = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        widths = (int(rng.integers(1, 6)), *(int(width) for width in rng.integers(1, 4, (0, 0, 0, 1, 2)[seed % 5])), 1)
        session = open_session(planned_hidden(seed, widths))
        errors = session.errors(rows_at_the_edge(rng, 60, widths[0]))
        ratios.append(float(errors.max()) / session.model.plan.error_bound)
    assert max(ratios) < 1, f"exceeded by {max(ratios)}"
    assert np.median(ratios) > 1e-3


def _solved(columns: list[Words], target: Words, places: list[int], modulus: int) -> list[int]:
    """Weights w with sum w_i a_i = target at so many roots, modulo a prime: Gauss."""
    size = len(columns)
    rows = [[int(column[at]) for column in columns] + [int(target[at])] for at in places]
    for pivot in range(size):
        best = next(row for row in range(pivot, size) if rows[row][pivot])
        rows[pivot], rows[best] = rows[best], rows[pivot]
        inverse = pow(rows[pivot][pivot], -1, modulus)
        rows[pivot] = [number * inverse % modulus for number in rows[pivot]]
        for row in range(size):
            if row != pivot:
                factor = rows[row][pivot]
                rows[row] = [(a - factor * b) % modulus for a, b in zip(rows[row], rows[pivot], strict=True)]
    return [(row[-1] + modulus // 2) % modulus - modulus // 2 for row in rows]


def _from_second_polynomial(session: Session) -> list[list[int]]:
    """The weights of a linear model as integers, solved for twice at different roots, from what needs no key."""
    plan, count = session.model.plan, 3
    request = next(session.owner.encrypt(random_rows(np.random.default_rng(0), 5, count)))
    modulus = chain_of(plan.parameters).data[0]
    target = answer_parts(plan, session.scorer.score(request))[1][0]
    columns = [part[1][0] for part in request_parts(plan, request)]
    if not plan.paired:
        return [_solved(columns, target, places, modulus) for places in ([0, 1, 2], [70, 80, 90])]
    turn = imaginary_unit(plan)[0].astype(object)  # a weight of v - i w is one of v, and one of -w of what i times is
    columns = [values for column in columns for values in (column, -turn * column.astype(object) % modulus)]
    either = [np.flatnonzero(turn == root).tolist() for root in set(turn.tolist())]
    places = [[*either[0][start : start + 2], *either[1][start : start + 2]] for start in (0, 50)]
    return [_solved(columns, target, chosen, modulus)[:count] for chosen in places]


def test_the_second_polynomial_gives_the_weights_unless_zero_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flood does not help there: it is all in the first one."""
    model = hidden_linear([0.5, -1.25, 2.0], 0.1)
    true = [round(weight * 2 ** model.scales.weights[0]) for weight in (0.5, -1.25, 2.0)]
    first, second = _from_second_polynomial(open_session(model))
    assert first != second
    assert not {*first, *second} & set(true)
    monkeypatch.setattr(Hiding, "add_encrypted_zero", lambda _self, _value: None)
    assert _from_second_polynomial(open_session(model)) == [true, true]


def test_without_hiding_the_second_polynomial_gives_the_weights() -> None:
    session = session_of(1, (3, 1))
    weights, bits = session.model.network.linears[0].weights[0], session.model.scales.weights[0]
    units = np.array([1.0, 2**0.5, 1.0]) / 2**bits  # two features share a slot
    assert _from_second_polynomial(session) == [np.rint(weights / units).tolist()] * 2


def test_the_same_request_is_answered_differently() -> None:
    session = open_session(hidden_linear([0.5, -1.25], 0.1))
    request = next(session.owner.encrypt(ALIKE))
    first, second = (answer_parts(session.model.plan, session.scorer.score(request)) for _ in range(2))
    assert (first != second).mean() > 0.99


def test_the_size_of_an_answer_tells_nothing_of_the_weights() -> None:
    """It is compressed, and what is compressed looks random."""
    sizes = []
    for model in _pair():
        session = open_session(model)
        sizes += [len(session.scorer.score(next(session.owner.encrypt(ALIKE)))) for _ in range(3)]
    assert max(sizes) - min(sizes) < 1e-3 * min(sizes)


def test_custody_says_what_is_hidden_and_from_whom() -> None:
    model = hidden_linear([0.5, -1.25], 0.1)
    assert custody_of(model.plan) is HIDDEN_CUSTODY
    assert custody_of(session_of(1, (3, 1)).model.plan) is CUSTODY
    assert HIDDEN_CUSTODY.can_decrypt[MODEL_OWNER] == HIDDEN_CUSTODY.can_decrypt["observer"] == ()
    assert "logit of a row of zeros" in HIDDEN_CUSTODY.can_decrypt[DATA_OWNER][0]
    for told in ("which no training row had", "scales of rows and of logits", "width of the noise"):
        assert told in HIDDEN_CUSTODY.can_decrypt[DATA_OWNER][1]
    assert "follows the protocol" in HIDDEN_CUSTODY.summary
    assert any("2^-40" in text and "as they were encoded" in text for text in HIDDEN_CUSTODY.assumptions)
    assert not any("circuit privacy" in text for text in HIDDEN_CUSTODY.broken_by)
    assert model.plan.hiding_distance() == 2.0**-40
    assert model.plan.hiding_distance(1024) == 2.0**-30
    assert model.plan.hiding_distance(2**50) == session_of(1, (3, 1)).model.plan.hiding_distance() == 1.0


def test_a_row_of_zeros_is_read_in_unused_slots() -> None:
    """As custody says."""
    session = open_session(hidden_linear([0.5, -1.25], 0.1))
    reply = session.scorer.score(next(session.owner.encrypt(ALIKE)))
    part = reply[86 + 4 :]
    plan = session.model.plan
    slots = session.owner._key.decrypt(memoryview(part), plan.result_scale, plan.answer_primes)
    assert np.allclose(slots[len(ALIKE) :], 0.1, atol=plan.error_bound)


def test_a_linear_model_is_still_solved_for_from_its_logits() -> None:
    """As custody says: hiding keeps what scores do not tell."""
    session = open_session(hidden_linear([0.5, -1.25, 2.0], 0.1))
    rows = random_rows(np.random.default_rng(0), 4, 3)
    solved, *_ = np.linalg.lstsq(np.hstack([rows, np.ones((4, 1))]), session.score(rows), rcond=None)
    assert np.allclose(solved, [0.5, -1.25, 2.0, 0.1], atol=1e-3)
    assert "one row more than it has features" in HIDDEN_CUSTODY.broken_by[0]


def test_numbers_of_the_plan_are_powers_of_two() -> None:
    plan = hidden_linear([0.517, -1.25], 0.1).plan
    numbers = (plan.largest_logit, plan.error_bound, plan.usual_error_bound)
    assert all(math.frexp(number)[0] == 0.5 for number in numbers)
