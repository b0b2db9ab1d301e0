"""All parties of a homomorphic sum, by the steps of the protocol but without its envelopes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from secure_fl.secagg.budget import BfvPlan, HePlan
from secure_fl.secagg.he.deployment import HeDeployment
from secure_fl.secagg.he.encoding import decode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.public_keys import moduli_of
from secure_fl.secagg.he.secret_keys import SealSecretKey
from secure_fl.secagg.he.words import Adder, pack_sum, pack_upload, unpack_sum
from secure_fl.secagg.packing import IntVector, Words
from secure_fl.secagg.planning import plan
from secure_fl.secagg.rlwe.opening import RlweSecretKey

DEGREE = 4096
Small = NDArray[np.int64]
"""A polynomial with coefficients -1, 0, 1."""


def he_plan(scheme: str, banks: int, parameters: int, bits: int = 8) -> HePlan:
    planned = plan(scheme, banks, parameters, bits)
    assert isinstance(planned, HePlan)
    return planned


class Parties:
    """With keys of their own; everything travels as words."""

    def __init__(self, plan: HePlan) -> None:
        self.plan, self.deployment = plan, HeDeployment(plan)
        self.secret, self.public = self.deployment._authority._secret, self.deployment._public

    @property
    def modulus(self) -> int:
        """Of schemes with one data prime."""
        (prime,) = moduli_of(self.plan.parameters_of_context)
        return prime

    def encrypted(self, values: IntVector) -> Halves:
        """With words that are reduced, as uploads are not."""
        return Halves(*(half % np.uint64(self.modulus) for half in self.public.encrypt(self.plan, values)))

    def upload(self, values: IntVector) -> memoryview:
        return packed(self.plan, self.public.encrypt(self.plan, values))

    def summed(self, uploads: Iterable[memoryview]) -> memoryview:
        """What the aggregator sends to the key authority."""
        adder = Adder(self.plan)
        for upload in uploads:
            adder.add(upload)
        return memoryview(b"".join(pack_sum(self.plan, adder.total())))

    def opened(self, summed: memoryview, contributors: int) -> IntVector:
        """What the key authority makes of that."""
        found = self.secret.decrypt(self.plan, unpack_sum(self.plan, summed, contributors))
        return decode_slots(self.plan, found, contributors)

    def total(self, updates: Sequence[IntVector] | IntVector) -> IntVector:
        return self.opened(self.summed(self.upload(row) for row in updates), len(updates))

    @cached_property
    def keys(self) -> list[Small]:
        """The secret polynomials of BFV, or of our own ring."""
        if isinstance(self.secret, RlweSecretKey):
            return list(self.secret._s)
        assert isinstance(self.plan, BfvPlan)
        assert isinstance(self.secret, SealSecretKey)
        step = np.zeros(DEGREE, dtype=np.uint64)
        step[0] = round(self.modulus / self.plan.plain_modulus)
        opened = self.secret.decrypt(self.plan, Halves(np.zeros_like(step), step))  # c0 + c1 s = (q / t) s
        return [np.where(opened > 1, -1, opened)]

    def phases(self, total: Halves) -> NDArray[np.int64]:
        """All c0 + c1 s modulo q, nearest to zero, of the coefficients in use. Sums of zeros have nothing but noise."""
        first, second = total
        found = np.empty(self.plan.slots, dtype=np.int64)
        per_ciphertext = len(self.keys)
        for place, start in enumerate(range(0, self.plan.slots, DEGREE)):
            ciphertext, key = divmod(place, per_ciphertext)
            c1 = second[ciphertext * DEGREE : (ciphertext + 1) * DEGREE]
            part = slice(start, min(start + DEGREE, self.plan.slots))
            product = negacyclic(self.keys[key], c1, self.modulus)[: part.stop - start]
            found[part] = [nearest(int(a) + int(b), self.modulus) for a, b in zip(first[part], product, strict=True)]
        return found


def packed(plan: HePlan, halves: Halves) -> memoryview:
    """An upload of any words."""
    return memoryview(b"".join(pack_upload(plan, halves)))


def nearest(number: int, modulus: int) -> int:
    return (number + modulus // 2) % modulus - modulus // 2


def negacyclic(small: Small, large: Words, modulus: int) -> Words:
    """The product modulo X**N + 1 with a polynomial of coefficients -1, 0, 1, from its definition."""
    halves = []
    for half in (large % np.uint64(modulus) & np.uint64((1 << 30) - 1), large % np.uint64(modulus) >> np.uint64(30)):
        total = np.zeros(2 * DEGREE, dtype=np.int64)
        for place in np.flatnonzero(small):
            total[place : place + DEGREE] += small[place] * half.astype(np.int64)
        halves.append((total[:DEGREE] - total[DEGREE:]).astype(object))
    low, high = halves
    return np.asarray(((high << 30) + low) % modulus, dtype=np.uint64)
