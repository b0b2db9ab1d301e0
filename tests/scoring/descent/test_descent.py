"""Encrypted descent against the same descent in float64, and against the definition written out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import PlanError
from secure_fl.scoring.descent import DescentPlan, descend, plan_descent, read_plan
from secure_fl.scoring.descent.error_bound import DescentScales, gradient_error, weights_error
from secure_fl.scoring.descent.plain import gradient, stepped, with_ones
from secure_fl.scoring.hazmat.objects import chain_of
from secure_fl.scoring.network import Matrix, Vector
from secure_fl.scoring.parameters import CkksParameters
from tests.scoring.descent.scene import CLIP, random_examples, small_plan, small_training, training_of


def _naive(plan: DescentPlan, rows: Matrix, labels: Vector) -> Vector:
    """Row by row, feature by feature; the bias apart."""
    task, weights, bias = plan.task, [0.0] * plan.task.features, 0.0
    for _ in range(task.epochs):
        slopes, slope = [0.0] * task.features, 0.0
        for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
            z = bias + sum(w * x for w, x in zip(weights, row, strict=True))
            wrong = 0.5 + task.sigmoid.linear * z - task.sigmoid.cubic * z**3 - label
            slope += wrong / len(rows)
            slopes = [s + wrong * x / len(rows) for s, x in zip(slopes, row, strict=True)]
        bias -= task.rate * slope
        weights = [w - task.rate * (s + task.weight_decay * w) for w, s in zip(weights, slopes, strict=True)]
    return np.array([bias, *weights])


def _off(found: Vector, wanted: Vector) -> float:
    return float(np.linalg.norm(found - wanted))


def test_plain_descent_is_the_definition() -> None:
    plan = plan_descent(3, 40, clip=CLIP, rate=0.7, epochs=4, weight_decay=0.1)
    rows, labels = random_examples(np.random.default_rng(1), 40, 3)
    assert np.allclose(descend(plan.task, rows, labels), _naive(plan, rows, labels), atol=1e-14)


def test_encrypted_weights_are_those_of_plain_descent() -> None:
    training = small_training()
    reached = training.run()
    wanted = descend(training.plan.task, training.rows, training.labels)
    assert np.abs(wanted).max() > 0.1
    assert _off(reached, wanted) <= training.plan.error_bound <= 1e-3


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_for_all_rows_that_the_task_allows_the_bound_holds(data: st.DataObject) -> None:
    """Rows of every shape, corners of the clip range included."""
    features, count = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5000))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    plan = plan_descent(
        features,
        count,
        clip=CLIP,
        rate=data.draw(st.floats(0.01, 0.6)),
        epochs=data.draw(st.integers(1, 4)),
        interval=data.draw(st.sampled_from([8.0, 12.0, 30.0])),
        weight_decay=data.draw(st.floats(0, 0.5)),
        mean_square=CLIP**2,
        tolerance=1e-2,
    )
    rows = CLIP * rng.choice([-1.0, 0.0, 1.0], (count, features))
    inside = rng.random((count, features)) < data.draw(st.floats(0, 1))
    rows[inside] = rng.uniform(-CLIP, CLIP, int(inside.sum()))
    labels = (rng.random(count) < data.draw(st.floats(0, 1))).astype(np.float64)
    wanted = descend(plan.task, rows, labels)
    columns = with_ones(rows)
    before = [
        descend(dataclasses.replace(plan.task, epochs=epoch), rows, labels) for epoch in range(1, plan.task.epochs)
    ]
    if all(np.abs(columns @ weights).max() < plan.reach - 0.1 for weights in before):
        assert _off(training_of(plan, rows, labels).run(), wanted) <= plan.error_bound


@pytest.mark.slow
def test_three_epochs_on_4096_rows() -> None:
    plan = plan_descent(32, 4096, clip=4.0, rate=1.0, epochs=3)
    rows, labels = random_examples(np.random.default_rng(3), 4096, 32)
    training = training_of(plan, rows, labels)
    assert plan.parameters.degree == 8192
    assert plan.batches == 1
    assert _off(training.run(), descend(plan.task, rows, labels)) <= plan.error_bound <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("count", [4097, 9000])
def test_rows_beyond_one_ciphertext_take_part_in_the_same_gradient(count: int) -> None:
    training = small_training(plan=small_plan(rows=count))
    assert training.plan.batches > 1
    wanted = descend(training.plan.task, training.rows, training.labels)
    assert _off(training.run(), wanted) <= training.plan.error_bound


@pytest.mark.slow
def test_a_smaller_tolerance_takes_the_larger_ring() -> None:
    plan = plan_descent(2, 50, clip=CLIP, rate=1.0, epochs=2, tolerance=1e-7)
    assert plan.parameters.degree == 16384
    training = small_training(plan=plan)
    assert _off(training.run(), descend(plan.task, training.rows, training.labels)) <= plan.error_bound <= 1e-7


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [(34, 36), (36, 34), (32, 40), (28, 44)])
@pytest.mark.parametrize("count", [600, 4096, 9000])
def test_where_few_digits_are_left_the_bound_still_holds_and_is_not_empty(numbers: tuple[int, int], count: int) -> None:
    """Scales that lose digits: errors are large enough to be compared with the bound on one gradient."""
    plan = plan_descent(2, count, clip=CLIP, rate=1.0, epochs=2, tolerance=1e-2)
    scales = DescentScales(*numbers)
    error = gradient_error(plan.task, chain_of(plan.parameters), scales)
    assert error is not None
    training = small_training(plan=dataclasses.replace(plan, scales=scales, gradient_error=error, error_bound=0.01))
    training.send_rows().step()
    before = training.reached()
    training.step()
    columns = with_ones(training.rows)
    wanted = before - plan.task.rate * gradient(plan.task, columns, training.labels, before)
    off = _off(training.reached(), wanted)
    assert off <= error
    assert error < 1e5 * off  # an error of three noisy numbers can be small by chance, though not by a factor of 100


@pytest.mark.slow
@pytest.mark.parametrize("count", [50, 8192])
def test_noise_of_divisions_is_in_the_bound(count: int) -> None:
    """A large prime after the residuals: they keep 30 bits, everything else many, so their noise is what is left."""
    parameters = CkksParameters(16384, (60, 30, 60, 30, 50), 60)
    plan = plan_descent(2, count, clip=CLIP, rate=1.0, epochs=1, tolerance=1e-2)
    error = gradient_error(plan.task, chain_of(parameters), DescentScales(45, 45))
    assert error is not None
    changed = dataclasses.replace(
        plan, parameters=parameters, scales=DescentScales(45, 45), gradient_error=error, error_bound=1e-3
    )
    training = small_training(plan=changed)
    off = _off(training.run(), descend(plan.task, training.rows, training.labels))
    assert off <= error < 2e4 * off  # an error of three noisy numbers can be small by chance, though not by 100


@pytest.mark.parametrize("rate", [0.1, 3.0, 8.0])
def test_errors_of_gradients_can_grow_as_much_as_the_bound_says_and_no_more(rate: float) -> None:
    """All rows alike and as long as allowed, labels half and half: logits stay near 0, where the cubic is steepest."""
    plan = plan_descent(3, 20, clip=1.0, rate=rate, epochs=5, mean_square=1.0, tolerance=1.0)
    task, tiny = plan.task, 1e-9
    columns, labels = np.ones((20, 4)), np.tile([0.0, 1.0], 10)
    along, across = np.full(4, 0.5), np.array([0.5, -0.5, 0.5, -0.5])
    reached = []
    for direction in (along, across):
        weights = np.zeros(4)
        for _ in range(task.epochs):
            honest = gradient(task, columns, labels, weights)
            worst = max(
                (stepped(task, weights, honest + sign * tiny * direction) for sign in (1, -1)), key=np.linalg.norm
            )
            weights = worst
        reached.append(float(np.linalg.norm(weights)))
    assert max(reached) == pytest.approx(weights_error(task, tiny), rel=1e-6)


def test_scales_that_leave_the_modulus_have_no_bound() -> None:
    plan = small_plan()
    chain, scales = chain_of(plan.parameters), plan.scales
    assert gradient_error(plan.task, chain, DescentScales(scales.rows + 12, scales.weights)) is None
    assert gradient_error(plan.task, chain, DescentScales(scales.rows, scales.weights + 12)) is None


def test_weight_decay_leaves_the_bias_alone() -> None:
    rows, labels = np.zeros((50, 2)), np.ones(50)
    strong, none = (
        plan_descent(2, 50, clip=CLIP, rate=1.0, epochs=3, weight_decay=decay, tolerance=1e-2) for decay in (0.9, 0.0)
    )
    assert descend(strong.task, rows, labels)[0] == descend(none.task, rows, labels)[0] > 1


def test_a_plan_travels_as_its_task() -> None:
    plan = small_plan()
    again = read_plan(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest != small_plan(rate=0.5).digest
    assert plan.parameters.modulus_bits <= 214
    assert plan.derived()["batches"] == 1


def test_errors_that_would_grow_beyond_the_tolerance_are_refused() -> None:
    with pytest.raises(PlanError, match=r"weights could be off by .* lower rate"):
        plan_descent(100, 1000, clip=8.0, rate=50.0, epochs=20)
