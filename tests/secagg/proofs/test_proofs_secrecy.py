"""What all parties but one see is the same for every valid update; and what would tell, if a step were left out."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstest

from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.proofs import fiat_shamir
from secure_fl.secagg.proofs.circuit import Circuit, gadget
from secure_fl.secagg.proofs.fiat_shamir import queries
from secure_fl.secagg.proofs.field import PRIME, FieldArray, add, expand, multiply, subtract, total
from secure_fl.secagg.proofs.flp import Query, decide, prove, query
from secure_fl.secagg.proofs.polynomials import root, roots
from tests.secagg.proofs.scene import Scene, drawn

CIRCUITS = [Circuit.smallest(12, 4, None), Circuit.smallest(12, 4, 500), Circuit.smallest(3, 8, 3000)]
each_circuit = pytest.mark.parametrize("circuit", CIRCUITS, ids=["range", "norm", "few"])


def fresh(count: int) -> FieldArray:
    return expand(secrets.token_bytes(32), count)


def vector(circuit: Circuit, seed: int) -> IntVector:
    spread = np.random.default_rng(seed).normal(circuit.centre, 2, circuit.parameters)
    return np.clip(np.rint(spread), 0, 2**circuit.bits - 1).astype(np.int64)


def shifted_seeds(question: Query, joint: FieldArray, before: FieldArray, after: FieldArray) -> FieldArray:
    """What wire seeds must change by, so that other inputs give the same wires at the point."""
    circuit, weights = question.circuit, question.wire_weights
    change = subtract(circuit.wires(before, joint, 1), circuit.wires(after, joint, 1))
    moved = total(multiply(change, weights[:, None]))
    shift: FieldArray = multiply(moved, np.array(pow(int(weights[0]), -1, PRIME), dtype=np.uint64))
    return shift


@each_circuit
@given(st.integers(0, 2**32), st.integers(0, 2**32))
@settings(max_examples=20)
def test_each_view_of_one_update_is_a_view_of_any_other(circuit: Circuit, one: int, two: int) -> None:
    """Zero-knowledge, exactly: to wire seeds under which a verifier's message arises for one vector belong others, by
    adding a constant, under which the same one arises for another vector. Uniform seeds plus a constant are uniform; so
    messages have one distribution for both. All shares but one are independent of the vector anyway, and the last
    party's share of the message is what the others' leave.
    """
    x, y = circuit.encode(vector(circuit, one)), circuit.encode(vector(circuit, two))
    joint, seeds = fresh(circuit.joint_length), fresh(circuit.arity)
    question = Query(circuit, fresh(2), int(fresh(1)[0]))
    of_others = [(fresh(circuit.inputs), fresh(circuit.proof_length)) for _ in range(2)]
    known = [query(question, *shares, joint, 3) for shares in of_others]

    def last_share(inputs: FieldArray, seeds: FieldArray) -> list[int]:
        proof = prove(circuit, inputs, seeds, joint)
        for share, proof_share in of_others:
            inputs, proof = subtract(inputs, share), subtract(proof, proof_share)
        answer = query(question, inputs, proof, joint, 3)
        assert decide(add(add(answer, known[0]), known[1]))
        message: list[int] = answer.tolist()
        return message

    other_seeds = add(seeds, shifted_seeds(question, joint, x, y))
    assert last_share(x, seeds) == last_share(y, other_seeds)
    if (x != y).any():
        assert last_share(x, seeds) != last_share(y, seeds)


@each_circuit
def test_a_second_point_would_tell_updates_apart(circuit: Circuit) -> None:
    """No seeds fit both points, which is why a holder verifies once."""
    x, y = circuit.encode(vector(circuit, 1)), circuit.encode(vector(circuit, 2))
    joint = fresh(circuit.joint_length)
    first, second = (Query(circuit, fresh(2), int(point)) for point in fresh(2))
    shift = shifted_seeds(first, joint, x, y)
    assert shift.tolist() != shifted_seeds(second, joint, x, y).tolist()
    assert shift.tolist() == shifted_seeds(first, joint, x, y).tolist()


@each_circuit
def test_under_other_joint_randomness_the_message_would_show_an_equation_about_the_update(circuit: Circuit) -> None:
    """A verifier that could be told another r than the bank's: its message no longer follows from what is known."""
    inputs = circuit.encode(vector(circuit, 3))
    joint, wrong = fresh(circuit.joint_length), fresh(circuit.joint_length)
    proof = prove(circuit, inputs, fresh(circuit.arity), joint)
    question = Query(circuit, fresh(2), int(fresh(1)[0]))
    right, message = (query(question, inputs, proof, r, 1) for r in (joint, wrong))
    surplus = subtract(message[-1:], gadget(message[None, 1:-1]))
    # sum over products of (left under r - left under r') * right at the point: known factors times the secret bits.
    change = subtract(right[1:-1:2], message[1:-1:2])
    assert surplus.tolist() == [int(total(multiply(change, message[2:-1:2])))]
    assert surplus[0] != 0
    assert decide(right)


def test_a_root_of_unity_would_show_what_is_on_the_wires() -> None:
    circuit = CIRCUITS[0]
    inputs, joint = circuit.encode(vector(circuit, 4)), fresh(circuit.joint_length)
    proof = prove(circuit, inputs, fresh(circuit.arity), joint)
    near = int(roots(circuit.wires_length)[1])
    with pytest.raises(ValueError, match="not invertible"):
        query(Query(circuit, fresh(2), near), inputs, proof, joint, 1)


def test_points_are_never_roots_of_unity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the order of the gadget's polynomial or less: those are drawn again."""
    scene = Scene(drawn(3, 4))
    order = 2 * scene.plan.circuit.wires_length
    bad = [1, root(order), root(order // 2), PRIME - 1, root(4), pow(root(order), 3, PRIME)]
    monkeypatch.setattr(
        fiat_shamir, "expand", lambda _, count: np.array([5, 6, *bad, *[7] * count], dtype=np.uint64)[:count]
    )
    assert [asked.point for asked in queries(scene.plan, bytes(32))] == [7] * scene.plan.proofs
    assert [asked.reduction.tolist() for asked in queries(scene.plan, bytes(32))] == [[5, 6]] * scene.plan.proofs


def test_proofs_are_queried_at_points_of_their_own_and_of_the_key() -> None:
    plan = Scene(drawn(3, 4)).plan
    points = [asked.point for key in (bytes(32), b"k" * 32) for asked in queries(plan, key)]
    assert len(set(points)) == 2 * plan.proofs
    assert [asked.point for asked in queries(plan, bytes(32))] == points[: plan.proofs]


@pytest.mark.slow
def test_the_same_through_the_whole_protocol_by_statistics() -> None:
    """All zeros against all at the top: the aggregator's view of one bank, number by number."""
    views: list[FieldArray] = []
    for value in (0, 255):
        scene = Scene(np.array([[value] * 4, [7] * 4, [9] * 4]))
        seen = []
        for attempt in range(1, 151):
            cohort = scene.cohort(attempt)
            uploads = scene.uploads(cohort)
            answers = [scene.verify(holder, uploads, secrets.token_bytes(32), cohort)[0][1] for holder in range(2)]
            mine = uploads[0].share
            seen.append(np.concatenate([mine.inputs, mine.proofs.reshape(-1), *(a.reshape(-1) for a in answers)]))
        views.append(np.array(seen).T)
    places = len(views[0])
    for one, other in zip(*views, strict=True):
        a, b = one.astype(np.float64) / PRIME, other.astype(np.float64) / PRIME
        assert ks_2samp(a, b).pvalue > 1e-6 / places
        assert kstest(a, "uniform").pvalue > 1e-6 / places
