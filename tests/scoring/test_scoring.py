"""Encrypted logits are the plain ones, within the bound of the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from secure_fl.errors import MessageError, PlanError, ScoringError
from secure_fl.scoring import (
    Layer,
    Linear,
    PlannedModel,
    Quadratic,
    ScoringPlan,
    compile_model,
    plan_batched,
    plan_hidden,
    plan_single,
)
from secure_fl.scoring.network import reach_of
from tests.scoring.scene import CLIP, open_session, random_layers, random_rows, rows_at_the_edge, session_of


def test_a_logistic_regression_in_several_batches() -> None:
    session, rng = session_of(1, (6, 1)), np.random.default_rng(1)
    plan = session.model.plan
    rows = random_rows(rng, plan.rows_per_batch + 3, 6)
    requests = list(session.owner.encrypt(rows))
    assert len(requests) == 2
    replies = [session.scorer.score(request) for request in requests]
    opened = [session.owner.open(reply) for reply in reversed(replies)]  # in any order
    assert [len(logits) for logits in opened] == [3, plan.rows_per_batch]
    wanted = session.model.network.logits(rows)
    assert np.abs(np.concatenate(opened[::-1]) - wanted).max() < plan.error_bound < 1e-3
    assert abs(len(requests[0]) / plan.upload_bytes - 1) < 0.01
    assert plan.key_bytes == 0


@pytest.mark.parametrize("weights", [[1.0], [0.0, 2.0, -1.0], [0.7, 0.0, 0.0, 0.0, 1.3], [1e-3, -5.0, 3.0, 1e-9]])
def test_a_logistic_regression_takes_two_features_in_a_ciphertext(weights: list[float]) -> None:
    """An odd one, and pairs without a weight, included; at the corners, where both parts are largest."""
    model = plan_batched(compile_model([Linear(np.array([weights]), np.array([0.25]))], None, CLIP))
    sent = sum(weight != 0 for weight in weights)
    assert model.plan.paired
    assert model.plan.ciphertexts == (sent + 1) // 2
    rows = rows_at_the_edge(np.random.default_rng(1), 60, len(weights))
    assert open_session(model).errors(rows).max() < model.plan.error_bound


def test_what_is_squared_or_hidden_or_single_takes_one_feature_in_a_slot() -> None:
    plan = session_of(2, (3, 2, 1)).model.plan
    assert not plan.paired
    with pytest.raises(MessageError):
        ScoringPlan.from_json(replace(plan, paired=True).to_json())
    linear = compile_model([Linear(np.ones((1, 2)), np.zeros(1))], None, CLIP)
    for other in (plan_single(linear), plan_hidden(linear)):
        assert not other.plan.paired
        with pytest.raises(MessageError):
            ScoringPlan.from_json(replace(other.plan, paired=True).to_json())


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(5, 4, 1), (5, 4, 3, 1), (4, 3, 2, 2, 1), (3, 2, 2, 2, 2, 1)])
def test_networks_in_batches(widths: tuple[int, ...]) -> None:
    session = session_of(2, widths)
    errors = session.errors(random_rows(np.random.default_rng(2), 300, widths[0]))
    assert 0 < errors.max() < session.model.plan.error_bound
    assert abs(len(session.keys) / session.model.plan.key_bytes - 1) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(9, 1), (70, 64, 1), (12, 8, 4, 1), (100, 40, 16, 1)])
def test_single_rows(widths: tuple[int, ...]) -> None:
    session, rng = session_of(3, widths, single=True), np.random.default_rng(3)
    rows = np.concatenate([random_rows(rng, 2, widths[0]), rows_at_the_edge(rng, 2, widths[0])])
    requests = list(session.owner.encrypt(rows))
    assert len(requests) == 4
    logits = np.concatenate([session.owner.open(session.scorer.score(request)) for request in requests])
    plan = session.model.plan
    assert np.abs(logits - session.model.network.logits(rows)).max() < plan.error_bound
    assert abs(len(requests[0]) / plan.upload_bytes - 1) < 0.05
    assert abs(len(session.keys) / plan.key_bytes - 1) < 0.05


@pytest.mark.slow
def test_the_bound_holds_in_ten_thousand_random_cases() -> None:
    """200 networks x 60 rows at the edge of the clip range: 12,000. How loose the bound is, is held as well."""
    ratios = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        hidden = [int(width) for width in rng.integers(1, 5, seed % 3)]
        widths = (int(rng.integers(1, 6)), *hidden, 1)
        session = session_of(seed, widths)
        plan, rows = session.model.plan, rows_at_the_edge(rng, 60, widths[0])
        ratios.append(float(session.errors(rows).max()) / plan.error_bound)
    assert max(ratios) < 1, f"exceeded by {max(ratios)}"
    assert np.median(ratios) > 1e-3


@pytest.mark.slow
def test_the_bound_for_usual_rows_holds_for_training_rows() -> None:
    ratios = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = random_rows(rng, 400, 5)
        session = open_session(plan_batched(compile_model(random_layers(rng, (5, 4, 1)), rows, CLIP), 1e9))
        ratios.append(float(session.errors(rows).max()) / session.model.plan.usual_error_bound)
    assert 1e-3 < max(ratios) < 1


def test_more_reach_never_makes_the_bound_smaller() -> None:
    model = session_of(5, (4, 3, 1)).model
    assert model.plan.usual_error_bound < model.plan.error_bound
    assert model.plan.largest_logit >= reach_of(model.network, np.full((1, 4), CLIP)).neurons[-1][0]


def test_too_deep_a_model_is_refused() -> None:
    rng = np.random.default_rng(0)
    deep = compile_model(random_layers(rng, (2, 2, 2, 2, 2, 2, 2, 1)), random_rows(rng, 50, 2), CLIP)
    with pytest.raises(ScoringError, match=r"squares 6 times in a row.* 5; use fewer layers"):
        plan_batched(deep)
    shallow = compile_model(random_layers(rng, (2, 2, 2, 2, 1)), random_rows(rng, 50, 2), CLIP)
    with pytest.raises(PlanError, match="score in batches"):
        plan_single(shallow)


def test_logits_that_fit_no_modulus_are_refused() -> None:
    rows = random_rows(np.random.default_rng(0), 50, 2)
    compiled = compile_model([Linear(np.full((1, 2), 1e17), np.zeros(1))], rows, CLIP)
    with pytest.raises(PlanError, match=r"2\*\*60 within the clip range.*narrow the clip range"):
        plan_batched(compiled)


def test_weights_that_all_round_to_zero_are_refused() -> None:
    rows = random_rows(np.random.default_rng(0), 50, 2)
    with pytest.raises(ScoringError, match="round to zero"):
        plan_batched(compile_model([Linear(np.full((1, 2), 1e-25), np.zeros(1))], rows, CLIP))


def test_layers_beyond_float64_are_refused() -> None:
    layers: list[Layer] = [Linear(np.full((1, 2), 1e300), np.zeros(1)), Quadratic(np.ones(1), np.zeros(1), np.zeros(1))]
    with np.errstate(all="ignore"), pytest.raises(PlanError, match="the range of float64"):
        plan_batched(compile_model([*layers, Linear(np.ones((1, 1)), np.zeros(1))], None, CLIP))


@pytest.mark.parametrize("plan", [plan_batched, plan_single])
@pytest.mark.parametrize(("clip", "weight"), [(1e-6, 1e6), (1e-12, 1e12), (2.0**17, 2.0**-17), (2.0**19, 1e-9)])
def test_what_is_planned_can_be_encoded(plan: Callable[..., PlannedModel], clip: float, weight: float) -> None:
    """Weights and rows of very different size; SEAL encodes nothing near the modulus."""
    session = open_session(plan(compile_model([Linear(np.full((1, 2), weight), np.zeros(1))], None, clip), 1e9))
    rows = clip * np.array([[1.0, 1.0], [-1.0, 1.0]])
    assert session.errors(rows).max() < session.model.plan.error_bound


@pytest.mark.parametrize("last", [[1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [2.0, -1.0, -0.5]])
def test_neurons_that_are_alike_do_not_cancel_on_ciphertexts(last: list[float]) -> None:
    """Three copies of one neuron, up to the sign: sums of them on the way must not be ciphertexts of nothing."""
    first = Linear(np.array([[0.7, 0.1], [-0.7, -0.1], [0.7, 0.1]]), np.array([0.2, -0.2, 0.2]))
    layers: list[Layer] = [
        first,
        Quadratic(np.ones(3), np.zeros(3), np.zeros(3)),
        Linear(np.array([last]), np.zeros(1)),
    ]
    rows = random_rows(np.random.default_rng(0), 50, 2)
    session = open_session(plan_batched(compile_model(layers, rows, CLIP), 1e9))
    assert session.errors(rows).max() < session.model.plan.error_bound


def test_only_features_that_count_are_sent_and_tiny_weights_are_left_out() -> None:
    """The first feature is zero in all training rows, the third has no weight and the last one hardly any."""
    rows = random_rows(np.random.default_rng(0), 50, 5)
    rows[:, 0] = 0.0
    compiled = compile_model([Linear(np.array([[9.0, 1.0, 0.0, -0.5, 1e-30]]), np.ones(1))], rows, CLIP)
    session = open_session(plan_batched(compiled))
    assert session.model.plan.positions == (1, 3, 4)
    assert session.errors(rows).max() < session.model.plan.error_bound


def test_weights_that_round_to_zero_are_left_out_of_a_network_too() -> None:
    first = Linear(np.array([[1.0, 1e-30], [0.5, 1.0]]), np.zeros(2))
    layers: list[Layer] = [first, Quadratic(np.ones(2), np.zeros(2), np.zeros(2)), Linear(np.ones((1, 2)), np.zeros(1))]
    rows = random_rows(np.random.default_rng(0), 50, 2)
    session = open_session(plan_batched(compile_model(layers, rows, CLIP), 1e9))
    assert session.errors(rows).max() < session.model.plan.error_bound


def test_an_error_beyond_the_tolerance_is_refused_with_the_numbers() -> None:
    rows = random_rows(np.random.default_rng(0), 50, 2)
    compiled = compile_model([Linear(np.ones((1, 2)), np.zeros(1))], rows, CLIP)
    bound = plan_batched(compiled).plan.error_bound
    with pytest.raises(PlanError, match="allow more, narrow the clip range"):
        plan_batched(compiled, bound / 2)
    with pytest.raises(PlanError, match="nan is allowed"):
        plan_batched(compiled, float("nan"))


def test_a_plan_travels_whole_and_says_nothing_of_weights() -> None:
    plan = session_of(4, (5, 4, 1)).model.plan
    assert ScoringPlan.from_json(plan.to_json()) == plan
    assert ScoringPlan.from_json(plan.to_json()).digest == plan.digest
    assert plan.block == 1
    assert all(number not in plan.to_json() for number in (b"weights", b"bias"))


def test_batches_are_numbered_across_calls() -> None:
    session = session_of(1, (3, 1))
    rows = random_rows(np.random.default_rng(0), 2, 3)
    first, second = next(session.owner.encrypt(rows)), next(session.owner.encrypt(rows))
    numbers = [int.from_bytes(request[54:58], "little") for request in (first, second)]
    assert all(later == earlier + 1 for earlier, later in pairwise(numbers))
