"""The planner: what it states of soundness, sizes and exactness, recomputed."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.proofs import HASHES, LIFE_BITS, UPLOADS, ProofsPlan, plan_proofs
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.proofs.deployment import proven_scheme
from secure_fl.secagg.proofs.field import PRIME

SIZES = [(3, 1, 4, None), (10, 10_369, 8, None), (10, 10_369, 8, 1000.0), (10, 10_369, 16, 10.5), (5, 200_000, 24, 1e6)]
every_size = pytest.mark.parametrize(("banks", "parameters", "bits", "bound"), SIZES)


def planned(banks: int, parameters: int, bits: int, bound: float | None) -> ProofsPlan:
    return plan_proofs(banks, parameters, bits, banks // 2 + 1, bound)


@every_size
def test_a_forgers_chance_is_recomputed(banks: int, parameters: int, bits: int, bound: float | None) -> None:
    plan = planned(banks, parameters, bits, bound)
    circuit, p = plan.circuit, Fraction(PRIME)
    joint = circuit.chunk / p
    reduction = 0 if circuit.squared_bound is None else 1 / p
    gadget = Fraction(2 * (circuit.wires_length - 1), PRIME - circuit.wires_length)
    one = joint + reduction + gadget
    assert circuit.soundness_error == pytest.approx(float(one))
    assert plan.forgery_bits == pytest.approx(-plan.proofs * math.log2(one))
    assert plan.forgery_bits_of_a_life == pytest.approx(-math.log2((HASHES + UPLOADS) * one**plan.proofs))
    assert plan.forgery_bits_of_a_life >= LIFE_BITS
    fewer = (HASHES + UPLOADS) * one ** (plan.proofs - 1)
    assert fewer > Fraction(1, 2**LIFE_BITS), "one proof less would not do"


def test_three_proofs_are_enough_for_all_sizes_that_are_planned_and_less_than_the_draft_asks_for_is_never_used() -> (
    None
):
    """The draft: with Field64 at least three proofs, and about 2**-128."""
    for size in SIZES:
        plan = planned(*size)
        assert plan.proofs == 3
        assert plan.forgery_bits >= 128


@every_size
def test_nothing_wraps_around(banks: int, parameters: int, bits: int, bound: float | None) -> None:
    plan = planned(banks, parameters, bits, bound)
    if bound is not None:
        assert parameters * 4 ** (bits - 1) + 2**plan.circuit.slack_bits - 1 < PRIME
    assert banks * (2**bits - 1) < PRIME


def test_the_bound_is_squared_exactly_and_dropped_where_it_says_nothing() -> None:
    assert planned(3, 100, 8, 10.5).circuit.squared_bound == 110
    assert planned(3, 100, 8, 1279.0).circuit.squared_bound == 1279**2
    assert planned(3, 100, 8, 1280.0).circuit.squared_bound is None, "128 times the root of 100"
    assert planned(3, 100, 8, 0.1 + 0.2 + 1).circuit.squared_bound == 1
    assert planned(3, 100, 8, 2.0).resized(50).circuit.squared_bound == 4
    assert planned(3, 100, 8, 500.0).resized(10).circuit.squared_bound is None


@pytest.mark.parametrize("bound", [0.0, 0.5, -3.0, math.inf, math.nan])
def test_bounds_that_mean_nothing_are_refused(bound: float) -> None:
    with pytest.raises(PlanError, match="use a finite number of at least 1"):
        planned(3, 10, 8, bound)


def test_what_is_too_much_to_prove_says_which_number_to_change() -> None:
    with pytest.raises(PlanError, match=r"16800000 bits to prove.*use at most 23 bits"):
        planned(3, 700_000, 24, None)
    with pytest.raises(PlanError, match="use at most 4194304 parameters"):
        planned(3, 5_000_000, 4, None)


def test_norms_that_reach_the_modulus_are_refused_where_they_are_proved() -> None:
    assert planned(3, 262_143, 24, 1e6).circuit.exact
    with pytest.raises(PlanError, match="wrap around; use at most 262143 parameters or fewer bits"):
        planned(3, 262_144, 24, 1e6)
    with pytest.raises(PlanError, match="wrap around; use at most 245759 parameters"):
        planned(3, 262_143, 24, 1e9)
    assert planned(3, 600_000, 24, None).circuit.exact, "nothing is squared"


def test_plans_are_made_by_the_planner_of_all_schemes_and_shown_like_others() -> None:
    plan = plan_for(proven_scheme(1000.0), 10, 10_369)
    assert isinstance(plan, ProofsPlan)
    assert plan == planned(10, 10_369, 8, 1000.0)
    figures = plan.derived()
    assert figures["scheme"] == "additive-proofs"
    assert (figures["norm_bound"], figures["squared_bound"]) == (1000.0, 1_000_000)
    assert figures["inputs"] == 10_369 * 8 + 20
    assert figures["may_collude_curious"] == plan.threshold - 2
    assert figures["may_collude_lying"] is None
    with pytest.raises(PlanError, match="sums integers, not float32"):
        plan_for(proven_scheme(), 10, 10_369, "float32")
    with pytest.raises(PlanError, match="threshold of 5"):
        plan_for(proven_scheme(), 10, 10_369, 8, 5)
