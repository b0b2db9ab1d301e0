"""What the aggregator holds of one upload, read as if it were an update.

The same for every scheme: take the values that travelled, decode them with the public codec. Under plaintext that gives
the update. Under the others it gives what an attacker gets who ignores the cryptography: masked words, an additive
share, the bytes of ciphertexts. The attacker is told the number of examples, and so the weight of an update in the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from secure_fl.codec.quantization import Codec, Contribution, FloatVector
from secure_fl.errors import MessageError
from secure_fl.federation.exhibit import Overheard
from secure_fl.secagg import ring
from secure_fl.secagg.additive.wire import split_upload
from secure_fl.secagg.budget import AdditivePlan, HePlan, Plan, RingPlan
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.committed.wire import PROOF_BYTES
from secure_fl.secagg.he.words import unpack_upload
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import packed_bytes, unpack_bits
from secure_fl.secagg.plaintext import decode_values
from secure_fl.secagg.protocol import Values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.threshold.wire import sum_of_seconds, unpack_first


def read_upload(
    scheme: Scheme, overheard: Overheard, cohort: Cohort[Plan], codec: Codec, parameters: int, weight: float
) -> FloatVector:
    """The update [parameters] as the aggregator reads it from one bank's upload."""
    values = _values(scheme, cohort, overheard.payload)
    return decoded(values, codec, parameters, 1, weight)


@dataclass(frozen=True)
class Uploaded:
    """What travelled in one upload."""

    words: Values
    """The numbers, [n]."""
    modulus: float
    """What they live in; 0: none."""
    uniform: NDArray[np.uint8]
    """Those bytes of theirs that are uniform where they are."""


def uploaded(cohort: Cohort[Plan], payload: memoryview) -> Uploaded:
    """Of a ciphertext the words of both halves, with zeros in the place of bits that were not sent.

    What cannot be read as what the scheme sends is read as plain values.
    """
    plan = cohort.plan
    if plan.commits:
        payload = payload[PROOF_BYTES:]
    if isinstance(plan, AdditivePlan):
        payload = split_upload(cast("Cohort[AdditivePlan]", cohort), payload).share
    if isinstance(plan, RingPlan):
        words = ring.from_bytes(plan, payload).astype(np.int64)
        return Uploaded(words, float(1 << plan.ring_bits), _low_bytes(words, plan.ring_bits))
    if isinstance(plan, ThresholdPlan):
        first, second = payload[: plan.first.nbytes], payload[plan.first.nbytes :]
        pieces = np.concatenate([unpack_first(plan, first), sum_of_seconds(plan, [second])])
        runs = ((plan.first, first), (plan.second, second))
        low = [_low_bytes(unpack_bits(each, run.bits, run.count), run.bits) for run, each in runs]
        return Uploaded(pieces.reshape(-1), 2.0**plan.ring.word_bits, np.concatenate(low))
    if isinstance(plan, HePlan):
        try:
            halves = unpack_upload(plan, payload)
        except MessageError:
            return _in_the_clear(_as_plain(plan, payload))
        parts = zip(halves, plan.words, plan.dropped, strict=True)
        sent = [_low_bytes(half >> np.uint64(dropped), run.bits) for half, run, dropped in parts]
        return Uploaded(np.concatenate(halves), 2.0**plan.modulus_bits, np.concatenate(sent))
    return _in_the_clear(decode_values(plan, payload))


def _in_the_clear(values: Values) -> Uploaded:
    floats = np.issubdtype(values.dtype, np.floating)
    return Uploaded(values, 0.0, values.astype("<f4").view(np.uint8) if floats else _low_bytes(values, 32))


def _low_bytes(words: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Whole bytes of words of so many bits, and no more than the low half of a prime of 54."""
    return words.astype("<u8").view(np.uint8).reshape(-1, 8)[:, : min(bits // 8, 4)].ravel()


def decoded(values: Values, codec: Codec, parameters: int, banks: int, weight: float) -> FloatVector:
    """The mean update over `banks` of that weight from their sum; the count in it is replaced by nothing clipped."""
    nothing_clipped = codec.encode(Contribution(np.zeros(parameters), 1), _ROUNDING)[parameters:]
    total = np.concatenate([values[:parameters], nothing_clipped])
    return codec.decode(total, banks).update.astype(np.float64) / weight


_ROUNDING = np.random.default_rng(0)
"""Counts are not rounded; the codec asks for a generator all the same."""


def _values(scheme: Scheme, cohort: Cohort[Plan], payload: memoryview) -> Values:
    plan = cohort.plan
    if scheme.read_upload is not None:
        return scheme.read_upload(plan, payload)
    assert plan.bits is not None, "only plaintext sends floats"
    if isinstance(plan, AdditivePlan):
        payload = split_upload(cast("Cohort[AdditivePlan]", cohort), payload).share
    if isinstance(plan, RingPlan):
        words: Values = ring.from_bytes(plan, payload).astype(np.int64) % (1 << plan.bits)
        return words
    return _as_plain(plan, payload)


def _as_plain(plan: Plan, payload: memoryview) -> Values:
    """The first bytes of a payload as if they were values in the clear."""
    bits = cast("int", plan.bits)
    return unpack_bits(payload[: packed_bytes(plan.parameters, bits)], bits, plan.parameters)
