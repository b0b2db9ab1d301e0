"""Encryption under Ring-LWE: what a bank does with the key authority's public key."""

from __future__ import annotations

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HePlan, RlweParameters, RlwePlan
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.packing import IntVector, pack_bits, pack_fields, packed_bytes, unpack_bits
from secure_fl.secagg.rlwe.ring import (
    DEGREE,
    EXCESS,
    MODULUS,
    MODULUS_BITS,
    Polynomials,
    Small,
    product,
    reduced,
    small_spectrum,
    spectrum,
)
from secure_fl.secagg.rlwe.sampling import errors, ternary, uniform


class RlwePublicKey:
    """A common a and b_1 ... b_L, as spectra, ready to be multiplied."""

    def __init__(self, seed: bytes, b: Polynomials) -> None:
        """`seed`: what a is drawn from; `b`: [L, N]."""
        self._seed, self._b = seed, b
        self._spectra = spectrum(np.concatenate([uniform(seed)[None], b]))

    def serialize(self) -> bytes:
        return self._seed + pack_bits(self._b.reshape(-1), MODULUS_BITS)

    @classmethod
    def load(cls, data: bytes, parameters: RlweParameters) -> RlwePublicKey:
        """Raises `MessageError`."""
        count = parameters.keys * DEGREE
        if len(data) != SEED_BYTES + packed_bytes(count, MODULUS_BITS):
            raise MessageError("a public key has other parameters than the plan; ask the key authority for the plan's")
        b = unpack_bits(data[SEED_BYTES:], MODULUS_BITS, count).view(np.uint64)
        if (b >= MODULUS).any():
            raise MessageError("a public key holds numbers beyond its modulus; ask the key authority for it again")
        return cls(bytes(data[:SEED_BYTES]), b.reshape(parameters.keys, DEGREE))

    def encrypt(self, plan: HePlan, values: IntVector) -> Halves:
        """Of d_i as many coefficients as are in use, and all of c."""
        assert isinstance(plan, RlwePlan)
        messages = pack_fields(values, plan.fields_per_slot, plan.field_base)
        c = np.empty((plan.ciphertexts, 1, DEGREE), dtype=np.uint64)
        d = np.empty((plan.ciphertexts, plan.keys, DEGREE), dtype=np.uint64)
        for place in range(plan.ciphertexts):
            products = product(self._spectra, small_spectrum(ternary(1)))
            c[place], d[place] = products[:1], products[1:]
        used = d.reshape(-1)[: plan.slots].view(np.int64)
        used += scaled(messages, plan.message_bits)
        return Halves(_with_errors(used), _with_errors(c.reshape(-1).view(np.int64)))


def scaled(messages: IntVector, message_bits: int) -> IntVector:
    """round(q m / t) for t = 2**message_bits, exactly: since q = 2**54 - EXCESS, it is m 2**54 / t - EXCESS m / t."""
    half = 1 << (message_bits - 1)
    return (messages << (MODULUS_BITS - message_bits)) - ((messages * EXCESS + half) >> message_bits)


def _with_errors(numbers: Small) -> Polynomials:
    """In place, of numbers in [0, 2q)."""
    numbers += errors(len(numbers))
    return reduced(numbers)
