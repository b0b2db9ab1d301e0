"""The fully linear proof of `circuit`: prove, query, decide (draft-irtf-cfrg-vdaf, section 7.3; BBCGGI, theorem 4.3).

Each wire of the gadget is a polynomial whose values at roots of unity are a random seed and what the calls put on it;
the gadget's polynomial is the gadget of those. A proof is seeds and gadget polynomial. A verifier that has a share of
the inputs and of the proof computes, linearly, its share of the circuit's output and of all polynomials at one random
point; the sum of those shares tells whether the proof holds, and nothing else: the output is zero, and each wire is
masked by its seed. That takes a point that is no root of unity, and inputs that are queried at one point only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from secure_fl.secagg.proofs.circuit import Circuit, gadget
from secure_fl.secagg.proofs.field import FieldArray, multiply, total
from secure_fl.secagg.proofs.polynomials import values_between, weights_at, weights_of_all_but_last

_BLOCK = 1 << 15
"""Elements of wires that are transformed at a time."""


@dataclass(frozen=True)
class Query:
    """Where a proof is queried: query randomness, and what follows from it."""

    circuit: Circuit
    reduction: FieldArray
    """Multipliers of the outputs, where there are two."""
    point: int
    """No root of unity of the order of a wire polynomial."""

    @cached_property
    def wire_weights(self) -> FieldArray:
        return weights_at(self.point, self.circuit.wires_length)

    @cached_property
    def gadget_weights(self) -> FieldArray:
        return weights_of_all_but_last(self.point, 2 * self.circuit.wires_length)


def prove(circuit: Circuit, inputs: FieldArray, seeds: FieldArray, joint: FieldArray) -> FieldArray:
    """A proof for inputs [inputs], of fresh random seeds [arity] and joint randomness [joint_length]."""
    wires = circuit.wires(inputs, joint, shares=1)
    wires[0] = seeds
    outputs = np.empty(2 * circuit.wires_length, dtype=np.uint64)
    outputs[0::2] = gadget(wires)
    outputs[1::2] = _gadget_between(wires)
    return np.concatenate([seeds, outputs[:-1]])


def _gadget_between(wires: FieldArray) -> FieldArray:
    """The gadget's polynomial between the roots, of a few wires at a time, so that they stay in the cache."""
    step = 2 * max(1, _BLOCK // (2 * len(wires)))
    parts = [gadget(values_between(wires[:, start : start + step])) for start in range(0, wires.shape[1], step)]
    return total(np.stack(parts))


def query(query_: Query, inputs: FieldArray, proof: FieldArray, joint: FieldArray, shares: int) -> FieldArray:
    """One verifier's share of the verifier's message, from its shares of inputs and proof: [verifier_length]."""
    circuit = query_.circuit
    seeds, polynomial = proof[: circuit.arity], proof[circuit.arity :]
    wires = circuit.wires(inputs, joint, shares)
    wires[0] = seeds
    called = polynomial[2 : 2 * circuit.calls + 1 : 2]
    output = circuit.output(inputs, called, query_.reduction, shares)
    at_point = total(multiply(wires, query_.wire_weights[:, None]))
    return np.concatenate([[output], at_point, [total(multiply(polynomial, query_.gadget_weights))]])


def decide(verifier: FieldArray) -> bool:
    """Whether the proof holds whose verifier's message this is, the sum of all shares: [verifier_length]."""
    return bool(verifier[0] == 0 and gadget(verifier[1:-1]) == verifier[-1])
