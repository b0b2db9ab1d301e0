"""The proof system: complete, sound on what no honest bank would send, and the same as its naive restatement."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.secagg.proofs.circuit import Circuit
from secure_fl.secagg.proofs.field import PRIME, FieldArray, add, expand, subtract
from secure_fl.secagg.proofs.flp import Query, decide, prove, query
from secure_fl.secagg.proofs.polynomials import roots
from tests.secagg.proofs.naive import NaiveProof


def fresh(count: int) -> FieldArray:
    return expand(secrets.token_bytes(32), count)


def asked(circuit: Circuit) -> Query:
    """Somewhere at random; no point that is drawn is a root of unity, but for 2**-40."""
    return Query(circuit, fresh(2), int(fresh(1)[0]))


def passes(circuit: Circuit, inputs: FieldArray, proof: FieldArray, joint: FieldArray) -> bool:
    """On three shares of it, which the verifiers never put together."""
    question, whole_proof, whole_inputs = asked(circuit), proof, inputs
    verifier = np.zeros(circuit.verifier_length, dtype=np.uint64)
    for _ in range(2):
        share, proof_share = fresh(circuit.inputs), fresh(circuit.proof_length)
        whole_inputs, whole_proof = subtract(whole_inputs, share), subtract(whole_proof, proof_share)
        verifier = add(verifier, query(question, share, proof_share, joint, 3))
    return decide(add(verifier, query(question, whole_inputs, whole_proof, joint, 3)))


def proved(circuit: Circuit, inputs: FieldArray) -> bool:
    """Whether an honestly made proof about these inputs passes."""
    joint = fresh(circuit.joint_length)
    return passes(circuit, inputs, prove(circuit, inputs, fresh(circuit.arity), joint), joint)


circuits = st.builds(
    lambda parameters, bits, share, chunk: Circuit(
        parameters, bits, None if share is None else int(share * parameters * 4 ** (bits - 1)), chunk
    ),
    st.integers(1, 12),
    st.integers(4, 24),
    st.one_of(st.none(), st.floats(0, 1)),
    st.integers(1, 9),
)


def within(circuit: Circuit, draw: Any) -> np.ndarray[Any, Any]:
    """Values of the circuit, shrunk towards the middle until they are under the bound."""
    numbers = draw(
        st.lists(st.integers(0, 2**circuit.bits - 1), min_size=circuit.parameters, max_size=circuit.parameters)
    )
    values = np.array(numbers)
    while circuit.squared_bound is not None and circuit.squared_norm(values) > circuit.squared_bound:
        values = circuit.centre + np.fix((values - circuit.centre) / 2).astype(np.int64)
    return values


@given(circuits, st.data())
@settings(max_examples=60)
def test_every_valid_vector_is_proved(circuit: Circuit, data: st.DataObject) -> None:
    values = within(circuit, data.draw)
    inputs = circuit.encode(values)
    assert circuit.truncate(inputs).tolist() == values.tolist()
    assert proved(circuit, inputs)


@given(circuits, st.data())
@settings(max_examples=60)
def test_one_input_that_is_no_bit_is_found_out(circuit: Circuit, data: st.DataObject) -> None:
    inputs = circuit.encode(within(circuit, data.draw))
    inputs[data.draw(st.integers(0, circuit.inputs - 1))] = data.draw(
        st.one_of(st.sampled_from([2, 3, PRIME - 1, 2**32, (PRIME + 1) // 2]), st.integers(2, PRIME - 1))
    )
    assert not proved(circuit, inputs)


@pytest.mark.slow
@given(st.integers(1, 12), st.integers(4, 24), st.integers(1, 9), st.data())
@settings(max_examples=60)
def test_a_norm_of_one_above_the_bound_is_found_out(
    parameters: int, bits: int, chunk: int, data: st.DataObject
) -> None:
    anything = Circuit(parameters, bits, None, chunk)
    values = within(anything, data.draw)
    norm = anything.squared_norm(values)
    assert norm == sum((int(value) - 2 ** (bits - 1)) ** 2 for value in values)
    just = Circuit(parameters, bits, norm, chunk)
    assert proved(just, just.encode(values))
    if norm:
        above = Circuit(parameters, bits, norm - 1, chunk)
        for slack in range(min(1 << above.slack_bits, 4)):  # no slack helps
            bits_of_slack = [slack >> place & 1 for place in range(above.slack_bits)]
            inputs = np.array([*anything.encode(values).tolist(), *bits_of_slack], dtype=np.uint64)
            assert not proved(above, inputs)
        if above.slack_bits:  # nor does a negative one, which makes the norm check zero
            negative = [PRIME - 1] + [0] * (above.slack_bits - 1)
            assert not proved(above, np.array([*anything.encode(values).tolist(), *negative], dtype=np.uint64))


@given(circuits.filter(lambda c: c.slack_bits > 0), st.data())
@settings(max_examples=40)
def test_slack_that_is_not_the_slack_is_found_out(circuit: Circuit, data: st.DataObject) -> None:
    inputs = circuit.encode(within(circuit, data.draw))
    place = data.draw(st.integers(circuit.parameters * circuit.bits, circuit.inputs - 1))
    inputs[place] ^= 1
    assert not proved(circuit, inputs)


def test_inputs_that_cancel_each_other_are_found_out() -> None:
    """Without random weights b (b - 1) could add up to zero over the inputs of a call, and of two calls."""
    circuit = Circuit(2, 4, None, 4)
    root = next(b for b in range(2, 1000) if pow(1 - 4 * b * (b - 1), (PRIME - 1) // 2, PRIME) == 1)
    # Another c with c (c - 1) = -b (b - 1): c = (1 + sqrt(1 - 4 b (b - 1))) / 2.
    square = (1 - 4 * root * (root - 1)) % PRIME
    other = (1 + _square_root(square)) * pow(2, -1, PRIME) % PRIME
    assert (root * (root - 1) + other * (other - 1)) % PRIME == 0
    for place in (1, 4, 7):
        inputs = circuit.encode(np.array([3, 9]))
        inputs[0], inputs[place] = root, other
        assert not proved(circuit, inputs)


def test_whoever_knew_the_point_could_cheat_there_and_nowhere_else() -> None:
    """As often as the bound on soundness says: at 2 (wires_length - 1) points."""
    circuit = Circuit(1, 4, None, 4)
    assert circuit.wires_length == 2
    inputs = np.array([2, 0, 1, 0], dtype=np.uint64)
    joint = fresh(circuit.joint_length)
    proof = prove(circuit, inputs, fresh(circuit.arity), joint)
    a, b = map(int, fresh(2))
    nodes = roots(4).tolist()
    output, minus_one = int(proof[circuit.arity + 2]), nodes[2]
    scale = -output * pow((minus_one - a) * (minus_one - b), -1, PRIME)
    error = np.array([scale * (node - a) * (node - b) % PRIME for node in nodes[:3]], dtype=np.uint64)
    proof[circuit.arity :] = add(proof[circuit.arity :], error)
    holds = [decide(query(Query(circuit, fresh(2), t), inputs, proof, joint, 1)) for t in (a, b, *map(int, fresh(50)))]
    assert holds == [True, True] + [False] * 50


def test_whoever_knew_joint_randomness_before_sharing_could_cheat() -> None:
    """With b (b - 1) and c (c - 1) that cancel under that r; under any other they do not."""
    circuit = Circuit(1, 4, None, 4)
    joint = fresh(1)
    for b in range(2, 100):
        square = (1 - 4 * b * (b - 1) * pow(int(joint[0]), -1, PRIME)) % PRIME
        if pow(square, (PRIME - 1) // 2, PRIME) == 1:
            break
    c = (1 + _square_root(square)) * pow(2, -1, PRIME) % PRIME
    inputs = np.array([b, c, 0, 1], dtype=np.uint64)
    assert passes(circuit, inputs, prove(circuit, inputs, fresh(circuit.arity), joint), joint)
    assert not proved(circuit, inputs)


def _square_root(square: int) -> int:
    """Tonelli and Shanks, modulo p = 1 + 2**32 q; 7 is no square."""
    q = (PRIME - 1) >> 32
    order, c, t, r = 32, pow(7, q, PRIME), pow(square, q, PRIME), pow(square, (q + 1) // 2, PRIME)
    while t != 1:
        least, power = 0, t
        while power != 1:
            power, least = power * power % PRIME, least + 1
        b = pow(c, 1 << (order - least - 1), PRIME)
        order, c = least, b * b % PRIME
        t, r = t * c % PRIME, r * b % PRIME
    return r


@given(circuits, st.data())
@settings(max_examples=40)
def test_an_altered_proof_or_another_ones_does_not_pass(circuit: Circuit, data: st.DataObject) -> None:
    inputs, joint = circuit.encode(within(circuit, data.draw)), fresh(circuit.joint_length)
    proof = prove(circuit, inputs, fresh(circuit.arity), joint)
    assert passes(circuit, inputs, proof, joint)
    altered = proof.copy()
    altered[data.draw(st.integers(0, circuit.proof_length - 1))] ^= 1
    assert not passes(circuit, inputs, altered, joint)
    if inputs.any():  # on zeros it weighs nothing
        assert not passes(circuit, inputs, proof, fresh(circuit.joint_length)), "for other joint randomness"
    other = inputs.copy()
    place = data.draw(st.integers(0, circuit.parameters * circuit.bits - 1))
    other[place] ^= 1
    assert not passes(circuit, other, proof, joint), "of another vector"


def test_a_prover_that_cheats_with_the_output_is_caught_by_the_gadget_and_the_other_way_round() -> None:
    """Both tests of a verifier: an output of zero that no gadget gave, and a gadget with another output."""
    circuit = Circuit(3, 4, None, 4)
    inputs = circuit.encode(np.array([1, 2, 3]))
    inputs[0] = 2
    joint = fresh(circuit.joint_length)
    proof = prove(circuit, inputs, fresh(circuit.arity), joint)
    question = asked(circuit)
    honest = query(question, inputs, proof, joint, 1)
    assert honest[0] != 0
    without_output = honest.copy()
    without_output[0] = 0
    assert decide(without_output), "only its output tells"
    zeroed = proof.copy()
    zeroed[circuit.arity + 2] = subtract(zeroed[circuit.arity + 2], honest[0])
    verifier = query(question, inputs, zeroed, joint, 1)
    assert verifier[0] == 0
    assert not decide(verifier)


@given(
    st.integers(1, 4),
    st.integers(2, 5),
    st.one_of(st.none(), st.integers(1, 200)),
    st.integers(1, 5),
    st.integers(1, 3),
    st.data(),
)
@settings(max_examples=40)
def test_proofs_and_queries_are_those_of_the_definition(
    parameters: int, bits: int, bound: int | None, chunk: int, shares: int, data: st.DataObject
) -> None:
    """For any inputs, bits or not."""
    circuit = Circuit(parameters, bits, bound, chunk)
    naive = NaiveProof(parameters, bits, bound, chunk, PRIME)
    inputs, joint = fresh(circuit.inputs), fresh(circuit.joint_length)
    seeds, question = fresh(circuit.arity), asked(circuit)
    ints: list[Sequence[int]] = [array.tolist() for array in (inputs, seeds, joint, question.reduction)]
    proof = prove(circuit, inputs, seeds, joint)
    assert proof.tolist() == naive.prove(ints[0], ints[1], ints[2])
    other = fresh(circuit.proof_length)
    for share in (proof, other):
        verifier = query(question, inputs, share, joint, shares)
        expected = naive.query(ints[0], share.tolist(), ints[2], ints[3], question.point, shares)
        assert verifier.tolist() == expected
        assert decide(verifier) == naive.decide(expected)
    values = within(Circuit(parameters, bits, None, chunk), data.draw)
    if bound is None or circuit.squared_norm(values) <= bound:
        assert circuit.encode(values).tolist() == naive.encode(values.tolist())


@pytest.mark.parametrize(("parameters", "bits", "bound"), [(10_369, 8, None), (10_369, 8, 10**6), (10_369, 16, 10**11)])
def test_a_whole_update_is_proved_and_one_bit_in_it_found_out(parameters: int, bits: int, bound: int | None) -> None:
    circuit = Circuit.smallest(parameters, bits, bound)
    spread = 2 ** (bits - 1) / 20
    drawn = np.random.default_rng(1).normal(circuit.centre, spread, parameters)
    values = np.clip(np.rint(drawn), 0, 2**bits - 1).astype(np.int64)
    inputs = circuit.encode(values)
    assert proved(circuit, inputs)
    inputs[77_777] = 2
    assert not proved(circuit, inputs)


@given(st.integers(1, 300), st.integers(1, 24), st.one_of(st.none(), st.integers(1, 10**6)))
@settings(max_examples=50)
def test_no_other_chunk_makes_a_shorter_proof(parameters: int, bits: int, bound: int | None) -> None:
    best = Circuit.smallest(parameters, bits, bound)
    assert best.calls + 1 <= best.wires_length
    for chunk in range(1, 2 * parameters * bits):
        assert best.proof_length <= Circuit(parameters, bits, bound, chunk).proof_length
