"""One upload overheard: what a bank sent, beside what the aggregator can read of it."""

from __future__ import annotations

import numpy as np

from secure_fl.quantization import Codec, Contribution
from secure_fl.results import Exhibit
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import HEADER_BYTES
from secure_fl.secagg.protocol import Party
from secure_fl.secagg.schemes import Scheme

SHOWN_VALUES = 1024
SHOWN_BYTES = 4096


class Overheard:
    """A party whose last answer is kept. The answer is what travels; nothing secret is touched."""

    def __init__(self, bank: str) -> None:
        self.bank = bank
        self.answer = b""

    def listen_to(self, party: Party) -> Overheard:
        self._party = party
        return self

    def respond(self, request: bytes) -> bytes:
        self.answer = self._party.respond(request)
        return self.answer


def make_exhibit(scheme: Scheme, plan: Plan, codec: Codec, contribution: Contribution, overheard: Overheard) -> Exhibit:
    """The exhibit of one upload. Empty where the bank dropped out before it sent one."""
    payload = memoryview(overheard.answer)[HEADER_BYTES:]
    reads = None
    if scheme.read_upload is not None and payload:
        mean = codec.decode(scheme.read_upload(plan, payload), 1)
        reads = mean.update[:SHOWN_VALUES].astype(np.float32)
    return Exhibit(
        bank=overheard.bank,
        update=contribution.update[:SHOWN_VALUES].astype(np.float32),
        message=bytes(payload[:SHOWN_BYTES]),
        message_bytes=len(overheard.answer),
        aggregator_reads=reads,
    )
