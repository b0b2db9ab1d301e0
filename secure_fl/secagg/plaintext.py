"""The scheme without secrecy: banks send their updates in the clear, as 4..24-bit integers or as float32.

It is the baseline for bytes and seconds, and the scheme that the attacks succeed on. FedAvg as in McMahan, Moore,
Ramage, Hampson, Aguera y Arcas, "Communication-Efficient Learning of Deep Networks from Decentralized Data",
AISTATS 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.custody import STEERING, Custody
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import pack_bits, unpack_bits
from secure_fl.secagg.protocol import Attendance, Party, ServerHalf, Values, request, require_values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript

UPLOAD = "upload"

CUSTODY = Custody(
    scheme="plaintext",
    summary="No secrecy at all: every update reaches the aggregator in the clear.",
    can_decrypt={
        "banks": ("their own update", "the sum of all updates"),
        AGGREGATOR: ("every bank's update", "every bank's number of examples", "the sum of all updates"),
        "observer": ("every bank's update, unless the transport encrypts it",),
    },
    broken_by=("the aggregator alone",),
    assumptions=("Every bank trusts the aggregator with its single updates.", STEERING),
    papers=("McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017",),
)


class PlaintextClient:
    """A bank's half: one upload."""

    def __init__(self, cohort: Cohort[Plan], bank: str, values: Values) -> None:
        require_values(cohort.plan, values)
        self._cohort, self._bank, self._values = cohort, bank, values

    def respond(self, request: bytes) -> bytes:
        open_message(self._cohort, request, recipient=self._bank, sender=AGGREGATOR, stage=UPLOAD)
        return seal(self._cohort, UPLOAD, self._bank, AGGREGATOR, encode_values(self._cohort.plan, self._values))


def plaintext_server(
    cohort: Cohort[Plan], look: Callable[[str, Values], None] = lambda bank, values: None
) -> ServerHalf:
    """The aggregator's half: add what arrives.

    `look`: is shown each bank's values, and raises `ProtocolError` where they cannot be used.
    """

    def read(bank: str, payload: memoryview) -> Values:
        values = decode_values(cohort.plan, payload)
        look(bank, values)
        return values

    total: NDArray[Any] = np.zeros(cohort.plan.parameters, dtype=np.int64 if cohort.plan.bits else np.float64)
    contributors, attendance = set(), Attendance(cohort)
    asked = request(cohort, UPLOAD, cohort.banks)
    for bank, values in attendance.answers(asked, (yield asked), read):
        total += values
        contributors.add(bank)
    attendance.require_threshold(contributors)
    return attendance.finish(total, contributors)


def encode_values(plan: Plan, values: Values) -> bytes:
    """One bank's values as they travel in the clear."""
    if plan.bits is None:
        return values.astype("<f4").tobytes()
    return pack_bits(values.astype(np.int64), plan.bits)


def decode_values(plan: Plan, payload: bytes | memoryview) -> Values:
    """The inverse of `encode_values`."""
    if plan.bits is not None:
        return unpack_bits(payload, plan.bits, plan.parameters)
    if len(payload) != 4 * plan.parameters:
        raise MessageError(f"a payload of {len(payload)} bytes is not {plan.parameters} float32 values; send it again")
    values: NDArray[np.float32] = np.frombuffer(payload, dtype="<f4")
    if not np.isfinite(values).all():
        raise MessageError("a float32 payload holds values that are not finite; its bank must train again")
    return values


class PlaintextDeployment:
    """There are no keys and nobody to trust with them."""

    def setup(self, cohort: Cohort[Plan], transcript: Transcript) -> None:
        """Nothing is exchanged."""

    def client(self, cohort: Cohort[Plan], bank: str, values: Values) -> Party:
        return PlaintextClient(cohort, bank, values)

    def trustees(self, cohort: Cohort[Plan]) -> Mapping[str, Party]:
        return {}

    def server(self, cohort: Cohort[Plan]) -> ServerHalf:
        return plaintext_server(cohort)


def _plan(banks: int, parameters: int, bits: int | None, threshold: int) -> Plan:
    return Plan(scheme="plaintext", banks=banks, parameters=parameters, bits=bits, threshold=threshold)


SCHEME = Scheme(
    name="plaintext",
    title="plaintext",
    stages=(UPLOAD,),
    input_stage=UPLOAD,
    trustees=(),
    custody=CUSTODY,
    plan=_plan,
    deploy=lambda plan: PlaintextDeployment(),
    read_upload=decode_values,
    takes_float32=True,
)
