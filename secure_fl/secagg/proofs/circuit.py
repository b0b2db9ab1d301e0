"""What is valid: a circuit that is zero for vectors in range, and under an L2 bound, and for no others.

A bank's inputs are the bits of its values, in order, and the bits of the slack, bound - |x - centre|**2. The circuit
makes two sums (draft-irtf-cfrg-vdaf, section 7.4: SumVec; libprio: FixedPointBoundedL2VecSum),

    range check   sum over inputs b of r**i b (b - 1)
    norm check    sum over parameters of (x - centre)**2, plus slack, minus bound

whose products are all made by one gadget, a sum of `chunk` products, in `calls` calls; r is random, one for each call.
All is linear but the gadget, so that it can be computed on shares; 1 is then 1 / shares.

*Why a sum of zero means valid.* If each input is 0 or 1, values x = sum 2**l b_l are integers in [0, 2**bits), the
squared norm is an integer of at most `largest_squared_norm`, the slack one of [0, 2**slack_bits), and together they
stay below p (the planner sees to that). So norm + slack = bound in the field is the same in integers, and
norm <= bound.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.proofs.field import PRIME, FieldArray, add, element, multiply, powers, subtract, total


@dataclass(frozen=True)
class Circuit:
    """The numbers of one circuit; all lengths are in elements of the field."""

    parameters: int
    bits: int
    squared_bound: int | None
    """The largest squared norm, measured from the middle of the range; None: no norm check."""
    chunk: int

    @property
    def centre(self) -> int:
        return 1 << (self.bits - 1)

    @property
    def largest_squared_norm(self) -> int:
        """Of any vector in range."""
        return self.parameters * self.centre**2

    @property
    def slack_bits(self) -> int:
        return 0 if self.squared_bound is None else self.squared_bound.bit_length()

    @property
    def exact(self) -> bool:
        """Whether the norm check is about integers: no norm with any slack reaches p."""
        return self.squared_bound is None or self.parameters <= self.most_parameters

    @property
    def most_parameters(self) -> int:
        """For which a norm check of these bits and this bound is exact."""
        return (PRIME - (1 << self.slack_bits)) // self.centre**2

    @property
    def inputs(self) -> int:
        return self.parameters * self.bits + self.slack_bits

    @property
    def range_calls(self) -> int:
        return _calls(self.inputs, self.chunk)

    @property
    def norm_calls(self) -> int:
        return 0 if self.squared_bound is None else _calls(self.parameters, self.chunk)

    @property
    def calls(self) -> int:
        return self.range_calls + self.norm_calls

    @property
    def outputs(self) -> int:
        return 1 if self.squared_bound is None else 2

    @property
    def wires_length(self) -> int:
        """Of a wire polynomial: a seed and one value for each call, up to a power of two."""
        return 1 << self.calls.bit_length()

    @property
    def arity(self) -> int:
        """Wires of the gadget."""
        return 2 * self.chunk

    @property
    def joint_length(self) -> int:
        return self.range_calls

    @property
    def proof_length(self) -> int:
        """A seed for each wire, and the values of the gadget's polynomial but the last."""
        return self.arity + 2 * self.wires_length - 1

    @property
    def verifier_length(self) -> int:
        """The output, the wires and the gadget, at a random point."""
        return self.arity + 2

    @property
    def soundness_error(self) -> float:
        """The chance that an invalid input passes one proof, over joint and query randomness.

        A range check that is not the zero polynomial has degree `chunk` in each r; two outputs that are not both zero
        vanish for one of p multipliers; a gadget's polynomial that is wrong agrees at 2 (wires_length - 1) points.
        """
        reduction = (self.outputs - 1) / PRIME
        return self.chunk / PRIME + reduction + 2 * (self.wires_length - 1) / (PRIME - self.wires_length)

    @classmethod
    def smallest(cls, parameters: int, bits: int, squared_bound: int | None) -> Circuit:
        """The one with the shortest proof."""
        whole = cls(parameters, bits, squared_bound, chunk=1)
        candidates = []
        for log in range(whole.outputs, whole.calls.bit_length() + 1):
            chunks = range(1, whole.inputs + 1)
            least = bisect_left(chunks, True, key=lambda chunk: replace(whole, chunk=chunk).calls < 1 << log)
            candidates.append(replace(whole, chunk=chunks[least]))
        return min(candidates, key=lambda circuit: (circuit.proof_length, circuit.chunk))

    @cached_property
    def _powers_of_two(self) -> FieldArray:
        return np.array([1 << place for place in range(max(self.bits, self.slack_bits))], dtype=np.uint64)

    def squared_norm(self, values: IntVector) -> int:
        """Of a vector of at most `bits` bits, from the middle of the range; exact."""
        centred = values.astype(np.int64) - self.centre
        # Squares are below 2**46: a block of 2**16 of them stays below 2**63.
        return sum(int((part**2).sum()) for part in np.array_split(centred, -(-len(centred) // (1 << 16))))

    def encode(self, values: IntVector) -> FieldArray:
        """The inputs of a vector in range and under the bound: [inputs]."""
        inputs = _bits(values.astype(np.uint64), self.bits).reshape(-1)
        if self.squared_bound is None:
            return inputs
        slack = np.array([self.squared_bound - self.squared_norm(values)], dtype=np.uint64)
        return np.concatenate([inputs, _bits(slack, self.slack_bits).reshape(-1)])

    def truncate(self, inputs: FieldArray) -> FieldArray:
        """Values of inputs, or their shares: [parameters]."""
        columns = inputs[: self.parameters * self.bits].reshape(self.parameters, self.bits)
        return total(multiply(columns, self._powers_of_two[: self.bits]), axis=1)

    def wires(self, inputs: FieldArray, joint: FieldArray, shares: int) -> FieldArray:
        """What goes into the gadget, without seeds, which belong into the first row: [wires_length, arity].

        Of each product the left side is in an even column, the right one in the next.
        """
        one = pow(shares, -1, PRIME)
        wires = np.zeros((self.wires_length, self.chunk, 2), dtype=np.uint64)
        ranged = _rows(inputs, self.range_calls, self.chunk)
        made = slice(1, 1 + self.range_calls)
        wires[made, :, 0] = multiply(powers(joint, self.chunk), ranged)
        wires[made, :, 1] = subtract(ranged, element(one))
        if self.squared_bound is not None:
            centred = subtract(self.truncate(inputs), element(self.centre * one))
            made = slice(1 + self.range_calls, 1 + self.calls)
            wires[made] = _rows(centred, self.norm_calls, self.chunk)[:, :, None]
        return wires.reshape(self.wires_length, self.arity)

    def output(self, inputs: FieldArray, gadget: FieldArray, reduction: FieldArray, shares: int) -> FieldArray:
        """The checks, from the gadget's outputs [calls], in one element: each times its multiplier; shape []."""
        in_range = total(gadget[: self.range_calls])
        if self.squared_bound is None:
            return in_range
        slack = inputs[self.parameters * self.bits :]
        norm = add(total(gadget[self.range_calls :]), total(multiply(slack, self._powers_of_two[: self.slack_bits])))
        norm = subtract(norm, element(self.squared_bound * pow(shares, -1, PRIME)))
        return add(multiply(reduction[0], in_range), multiply(reduction[1], norm))


def gadget(wires: FieldArray) -> FieldArray:
    """The sum of products, for each row of wires: [rows]."""
    return total(multiply(wires[..., 0::2], wires[..., 1::2]), axis=-1)


def _bits(values: NDArray[np.uint64], count: int) -> FieldArray:
    return (values[:, None] >> np.arange(count, dtype=np.uint64)) & np.uint64(1)


def _rows(elements: FieldArray, rows: int, chunk: int) -> FieldArray:
    padded = np.zeros(rows * chunk, dtype=np.uint64)
    padded[: len(elements)] = elements
    return padded.reshape(rows, chunk)


def _calls(products: int, chunk: int) -> int:
    return -(-products // chunk)
