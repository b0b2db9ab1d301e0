"""The proof system once more, by its definition: Python integers, Lagrange's formula, any prime. For tests only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def interpolated(xs: Sequence[int], ys: Sequence[int], at: int, p: int) -> int:
    """The value at `at` of the polynomial of least degree through all points: Lagrange's formula."""
    total = 0
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        above, below = 1, 1
        for j, other in enumerate(xs):
            if i != j:
                above, below = above * (at - other) % p, below * (x - other) % p
        total += y * above * pow(below, -1, p)
    return total % p


def root_of_unity(order: int, p: int, generator: int = 7) -> int:
    """Of that order, a power of two that divides p - 1; `generator` of the whole group, or at least no square."""
    return pow(generator, (p - 1) // order, p)


@dataclass(frozen=True)
class NaiveProof:
    """SumVec with an optional L2 bound, with its fully linear proof."""

    parameters: int
    bits: int
    bound: int | None
    chunk: int
    p: int
    generator: int = 7

    @property
    def slack_bits(self) -> int:
        return len(f"{self.bound:b}") if self.bound else 0

    def encode(self, values: Sequence[int]) -> list[int]:
        inputs = [value >> place & 1 for value in values for place in range(self.bits)]
        if self.bound is not None:
            slack = self.bound - sum((value - 2 ** (self.bits - 1)) ** 2 for value in values)
            inputs += [slack >> place & 1 for place in range(self.slack_bits)]
        return inputs

    def values(self, inputs: Sequence[int]) -> list[int]:
        return [
            sum(2**place * inputs[self.bits * row + place] for place in range(self.bits)) % self.p
            for row in range(self.parameters)
        ]

    def products(self, inputs: Sequence[int], joint: Sequence[int], shares: int) -> list[list[tuple[int, int]]]:
        """For each call of the gadget, the pairs that it multiplies."""
        one = pow(shares, -1, self.p)
        calls = []
        for call in range(0, len(inputs), self.chunk):
            part = [*inputs[call : call + self.chunk], *[0] * self.chunk][: self.chunk]
            r = joint[call // self.chunk]
            calls.append([(pow(r, j + 1, self.p) * b % self.p, (b - one) % self.p) for j, b in enumerate(part)])
        if self.bound is not None:
            centred = [(value - 2 ** (self.bits - 1) * one) % self.p for value in self.values(inputs)]
            for call in range(0, len(centred), self.chunk):
                part = [*centred[call : call + self.chunk], *[0] * self.chunk][: self.chunk]
                calls.append([(value, value) for value in part])
        return calls

    def wires(self, inputs: Sequence[int], seeds: Sequence[int], joint: Sequence[int], shares: int) -> list[list[int]]:
        """The values of each wire's polynomial at roots of unity."""
        calls = self.products(inputs, joint, shares)
        length = 2
        while length < 1 + len(calls):
            length *= 2
        wires = [[seed] + [0] * (length - 1) for seed in seeds]
        for k, pairs in enumerate(calls, start=1):
            for j, pair in enumerate(pairs):
                wires[2 * j][k], wires[2 * j + 1][k] = pair
        return wires

    def nodes(self, order: int) -> list[int]:
        w = root_of_unity(order, self.p, self.generator)
        return [pow(w, i, self.p) for i in range(order)]

    def prove(self, inputs: Sequence[int], seeds: Sequence[int], joint: Sequence[int]) -> list[int]:
        wires = self.wires(inputs, seeds, joint, 1)
        length = len(wires[0])
        polynomial = []
        for at in self.nodes(2 * length)[:-1]:
            values = [interpolated(self.nodes(length), wire, at, self.p) for wire in wires]
            polynomial.append(sum(a * b for a, b in zip(values[::2], values[1::2], strict=True)) % self.p)
        return [*seeds, *polynomial]

    def query(
        self,
        inputs: Sequence[int],
        proof: Sequence[int],
        joint: Sequence[int],
        reduction: Sequence[int],
        point: int,
        shares: int,
    ) -> list[int]:
        seeds, polynomial = proof[: 2 * self.chunk], proof[2 * self.chunk :]
        wires = self.wires(inputs, seeds, joint, shares)
        length = len(wires[0])
        calls = len(self.products(inputs, joint, shares))
        outputs = [polynomial[2 * k] for k in range(1, calls + 1)]
        ranged = -(-len(inputs) // self.chunk)
        output = sum(outputs[:ranged])
        if self.bound is not None:
            slack = sum(2**place * bit for place, bit in enumerate(inputs[self.parameters * self.bits :]))
            norm = sum(outputs[ranged:]) + slack - self.bound * pow(shares, -1, self.p)
            output = reduction[0] * output + reduction[1] * norm
        at_point = [interpolated(self.nodes(length), wire, point, self.p) for wire in wires]
        gadget = interpolated(self.nodes(2 * length)[:-1], polynomial, point, self.p)
        return [output % self.p, *at_point, gadget]

    def decide(self, verifier: Sequence[int]) -> bool:
        wires = verifier[1:-1]
        products = sum(a * b for a, b in zip(wires[::2], wires[1::2], strict=True))
        return verifier[0] == 0 and products % self.p == verifier[-1]
