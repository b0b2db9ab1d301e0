"""A federation whose banks prove what they send, with every party within reach of whoever attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from secure_fl.secagg.additive.deployment import HOLDERS
from secure_fl.secagg.additive.wire import SUM_SHARES, UPLOAD
from secure_fl.secagg.budget.proofs import ProofsPlan
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.numbering import encode_numbers
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.proofs.client import ProvingClient
from secure_fl.secagg.proofs.deployment import ProofsDeployment, proven_scheme
from secure_fl.secagg.proofs.field import FieldArray, add, from_bytes
from secure_fl.secagg.proofs.wire import (
    VERIFY,
    Upload,
    decode_upload,
    decode_verifiers,
    encode_questions,
)
from secure_fl.secagg.protocol import Outcome, Party, run_protocol
from secure_fl.secagg.transcript import Transcript

KEY = b"any key that is not all zeros..."


def drawn(banks: int, parameters: int, bits: int = 8, seed: int = 0) -> IntVector:
    """Values around the middle of the range; int64 [banks, parameters]."""
    middle = 1 << (bits - 1)
    values = np.random.default_rng(seed).normal(middle, middle / 8, (banks, parameters))
    return np.clip(np.rint(values), 0, 2**bits - 1).astype(np.int64)


@dataclass
class Scene:
    updates: IntVector
    bits: int = 8
    norm_bound: float | None = None
    threshold: int | None = None
    plan: ProofsPlan = field(init=False)
    deployment: ProofsDeployment = field(init=False)

    def __post_init__(self) -> None:
        self.scheme = proven_scheme(self.norm_bound)
        planned = plan_for(self.scheme, len(self.updates), self.updates.shape[1], self.bits, self.threshold)
        assert isinstance(planned, ProofsPlan)
        self.plan, self.deployment = planned, ProofsDeployment(planned)

    @property
    def banks(self) -> tuple[str, ...]:
        return tuple(f"bank-{row + 1}" for row in range(len(self.updates)))

    def cohort(self, attempt: int = 1, round_: int = 1) -> Cohort[Any]:
        return replace(self.scheme.cohort(self.plan, round_, self.banks, b"model"), attempt=attempt)

    def client(self, row: int, cohort: Cohort[Any] | None = None, values: IntVector | None = None) -> ProvingClient:
        chosen = self.updates[row] if values is None else values
        party = self.deployment.client(cohort or self.cohort(), self.banks[row], chosen)
        assert isinstance(party, ProvingClient)
        return party

    def liar(self, row: int, inputs: Mapping[int, int], cohort: Cohort[Any] | None = None) -> ProvingClient:
        """A bank that shares other inputs than its bits, and proves them as well as it can."""
        client = self.client(row, cohort)
        for place, value in inputs.items():
            client._inputs[place] = value
        return client

    def parties(self, cohort: Cohort[Any], instead: Mapping[str, Party] | None = None) -> dict[str, Party]:
        clients = {bank: self.client(row, cohort) for row, bank in enumerate(self.banks)}
        return {**clients, **self.deployment.trustees(cohort), **(instead or {})}

    def run(
        self,
        instead: Mapping[str, Party] | None = None,
        drop: Mapping[str, str] | None = None,
        left_out: Sequence[str] = (),
        cohort: Cohort[Any] | None = None,
    ) -> Outcome:
        cohort = cohort or self.cohort()
        server = self.deployment.server(cohort)
        return run_protocol(cohort, server, self.parties(cohort, instead), Transcript(), drop, left_out)

    def total(self, rows: Iterable[int]) -> list[int]:
        total: list[int] = self.updates[list(rows)].sum(axis=0).tolist()
        return total

    # What a lying aggregator does, step by step

    def upload(self, party: Party, bank: str, cohort: Cohort[Any] | None = None) -> Upload:
        cohort = cohort or self.cohort()
        answer = party.respond(seal(cohort, UPLOAD, AGGREGATOR, bank))
        return decode_upload(self.plan, open_message(cohort, answer, recipient=AGGREGATOR, sender=bank).payload)

    def uploads(self, cohort: Cohort[Any] | None = None) -> dict[int, Upload]:
        """Of all banks, honest."""
        return {row: self.upload(self.client(row, cohort), bank, cohort) for row, bank in enumerate(self.banks)}

    def ask(self, holder: int, stage: str, payload: bytes | list[bytes], cohort: Cohort[Any] | None = None) -> Any:
        cohort, name = cohort or self.cohort(), HOLDERS[holder]
        party = self.deployment.trustees(cohort)[name]
        answer = party.respond(seal(cohort, stage, AGGREGATOR, name, payload))
        return open_message(cohort, answer, recipient=AGGREGATOR, sender=name).payload

    def verify(
        self, holder: int, uploads: Mapping[int, Upload], key: bytes = KEY, cohort: Cohort[Any] | None = None
    ) -> dict[int, tuple[bytes, FieldArray]]:
        mail = {row: upload.mail[holder] for row, upload in uploads.items()}
        cohort = cohort or self.cohort()
        return decode_verifiers(cohort, self.ask(holder, VERIFY, encode_questions(key, mail), cohort))

    def sum_of(self, holder: int, rows: Iterable[int], cohort: Cohort[Any] | None = None) -> FieldArray:
        answer = self.ask(holder, SUM_SHARES, encode_numbers(rows), cohort)
        return from_bytes(answer, self.plan.parameters)

    def opened(self, uploads: Mapping[int, Upload], rows: Sequence[int], others: Sequence[FieldArray]) -> list[int]:
        """What the aggregator makes of its shares and the holders' answers."""
        total = np.zeros(self.plan.parameters, dtype=np.uint64)
        for share in [*others, *(self.plan.circuit.truncate(uploads[row].share.inputs) for row in rows)]:
            total = add(total, share)
        opened: list[int] = total.tolist()
        return opened


@dataclass
class Altered:
    """A party whose answer in a stage passes through a function, sealed anew."""

    party: Party
    cohort: Cohort[Any]
    name: str
    stage: str
    change: Callable[[bytes], bytes]

    def respond(self, request: bytes) -> bytes:
        answer = open_message(self.cohort, self.party.respond(request), recipient=AGGREGATOR, sender=self.name)
        payload = bytes(answer.payload)
        changed = self.change(payload) if answer.stage == self.stage else payload
        return seal(self.cohort, answer.stage, self.name, AGGREGATOR, changed)
