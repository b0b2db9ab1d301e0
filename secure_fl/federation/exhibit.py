"""One upload overheard: what a bank sent, beside what the aggregator can read of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from secure_fl.codec.quantization import Codec, FloatVector
from secure_fl.federation.results import Exhibit
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import AGGREGATOR, Cohort, Message, open_message
from secure_fl.secagg.protocol import Party
from secure_fl.secagg.schemes import Scheme

SHOWN_VALUES = 1024
SHOWN_BYTES = 4096


class Overheard:
    """A party whose answer in one stage is kept. The answer is what travels; nothing secret is touched."""

    def __init__(self, party: Party, cohort: Cohort[Plan], bank: str, stage: str) -> None:
        self.bank = bank
        self._answers: list[bytes] = []
        self._party, self._cohort, self._stage = party, cohort, stage

    def respond(self, request: bytes) -> bytes:
        """Keeps the answer unopened: this is inside what the bank's seconds count."""
        self._answers.append(self._party.respond(request))
        return self._answers[-1]

    @property
    def answer(self) -> bytes:
        """The answer of the stage; empty where there was none."""
        return next((answer for answer in self._answers if self._open(answer).stage == self._stage), b"")

    @property
    def payload(self) -> memoryview:
        """What is inside of it."""
        answer = self.answer
        return self._open(answer).payload if answer else memoryview(b"")

    def _open(self, answer: bytes) -> Message:
        return open_message(self._cohort, answer, recipient=AGGREGATOR, sender=self.bank)


def without_the_update(exhibit: Exhibit) -> Exhibit:
    """The exhibit of an update that only the noise in a sum protects: what the bank computed is left out.

    So is a message from which the aggregator reads it: that holds one share of the noise, which protects little.
    """
    message = b"" if exhibit.aggregator_reads is not None else exhibit.message
    return replace(exhibit, update=np.empty(0, dtype=np.float32), message=message, aggregator_reads=None)


def make_exhibit(scheme: Scheme, plan: Plan, codec: Codec, update: FloatVector, overheard: Overheard) -> Exhibit:
    """The exhibit of one upload, which held this weighted update. Empty where the bank dropped out before."""
    payload, reads = overheard.payload, None
    if scheme.read_upload is not None and payload:
        mean = codec.decode(scheme.read_upload(plan, payload), 1)
        reads = mean.update[:SHOWN_VALUES].astype(np.float32)
    return Exhibit(
        bank=overheard.bank,
        update=update[:SHOWN_VALUES].astype(np.float32),
        message=bytes(payload[:SHOWN_BYTES]),
        message_bytes=len(overheard.answer),
        aggregator_reads=reads,
    )
