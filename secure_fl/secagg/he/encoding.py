"""How a vector of small integers becomes ciphertexts, and summed ciphertexts the exact integer sum.

Slots carry `fields_per_slot` values side by side (see `budget.he`). For CKKS every bank subtracts the same constant
from each slot, so that the sum is centred on zero and uses the whole modulus; the key authority adds it back as often
as there are contributors. Rounding to integers takes CKKS's approximation error away before anything is released: that
error depends on the secret key, and publishing it can give the key away (Li, Micciancio, EUROCRYPT 2021). Rounding
makes the released value independent of it, except with the planner's failure probability; it is not a proof of
IND-CPA-D security. BFV is exact by itself, with such a probability.

No field of a sum can exceed what its contributors can have put in, and a sum in which one does is not released. Under
another key, or where one coefficient of a BFV sum is wrong, all slots are random, which shows in that almost surely.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.packing import IntVector, pack_fields, unpack_fields

KEY_AUTHORITY = "key-authority"
UPLOAD, DECRYPT = "upload", "decrypt"

_LENGTH = struct.Struct("<I")
MAX_CIPHERTEXT_BYTES = 1 << 17


def encode_slots(plan: HePlan, values: IntVector) -> IntVector:
    """int64 [ciphertexts, slots of one]: one bank's values, packed and centred; unused slots are zero."""
    slots = np.zeros((plan.ciphertexts, plan.parameters_of_context.slots), dtype=np.int64)
    slots.reshape(-1)[: plan.slots] = pack_fields(values, plan.fields_per_slot, plan.field_bits) - plan.centre
    return slots


def decode_slots(plan: HePlan, slots: NDArray[np.float64] | IntVector, contributors: int) -> IntVector:
    """The exact sum over `contributors` banks from the decrypted slots of all ciphertexts. Or `ProtocolError`."""
    assert plan.bits is not None
    packed = np.rint(slots[: plan.slots]) + contributors * plan.centre
    if not ((packed >= 0) & (packed < 2 ** (plan.fields_per_slot * plan.field_bits))).all():
        raise _out_of_range()
    total = unpack_fields(packed.astype(np.int64), plan.fields_per_slot, plan.field_bits, plan.parameters)
    if total.max() > contributors * ((1 << plan.bits) - 1):
        raise _out_of_range()
    return total


def _out_of_range() -> ProtocolError:
    return ProtocolError("the decrypted sum lies outside its range; some bank encrypted values beyond the plan")


def join_ciphertexts(ciphertexts: Iterable[bytes]) -> Iterator[bytes]:
    """A payload, in parts: each ciphertext behind its length."""
    for ciphertext in ciphertexts:
        yield _LENGTH.pack(len(ciphertext))
        yield ciphertext


def split_ciphertexts(payload: memoryview, count: int) -> list[bytes]:
    """The ciphertexts in a payload, which must hold exactly `count`. Raises `MessageError`."""
    ciphertexts: list[bytes] = []
    offset = 0
    while offset + _LENGTH.size <= len(payload) and len(ciphertexts) < count:
        (length,) = _LENGTH.unpack_from(payload, offset)
        if length > MAX_CIPHERTEXT_BYTES:
            break
        offset += _LENGTH.size
        ciphertexts.append(bytes(payload[offset : offset + length]))
        offset += length
    if offset != len(payload) or len(ciphertexts) != count:
        raise MessageError(f"a payload does not hold the {count} ciphertexts of the plan; send it again")
    return ciphertexts
