"""A masked half that is written down after each stage, and made anew for the next: the same half."""

from __future__ import annotations

import json

import numpy as np
import pytest

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg import plan
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.keeping import KeptMaskedClient
from secure_fl.secagg.masked.server import masked_server
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.protocol import run_protocol
from secure_fl.secagg.transcript import Transcript

BANKS = ("bank-1", "bank-2", "bank-3", "bank-4")
UPDATES = np.arange(40).reshape(4, 10) * 5
PLAN = plan("masked", 4, 10, 8)
assert isinstance(PLAN, MaskedPlan)
COHORT: Cohort[MaskedPlan] = Cohort(PLAN, 1, BANKS, (), b"model", bytes(range(16)))


class Forgetful:
    """A bank whose process ends after each answer."""

    def __init__(self, bank: int, keys: list[SigningKey]) -> None:
        self._name, self._values, self._key = BANKS[bank], UPDATES[bank], keys[bank]
        self._directory = {name: key.public for name, key in zip(BANKS, keys, strict=True)}
        self.kept = b""

    def half(self) -> KeptMaskedClient:
        own = (self._name, self._values, Identity(self._key), self._directory)
        return KeptMaskedClient.again(COHORT, *own, self.kept) if self.kept else KeptMaskedClient(COHORT, *own)

    def respond(self, request: bytes) -> bytes:
        half = self.half()
        try:
            return half.respond(request)
        finally:
            self.kept = half.keep()


def parties() -> dict[str, Forgetful]:
    keys = [SigningKey() for _ in BANKS]
    return {name: Forgetful(bank, keys) for bank, name in enumerate(BANKS)}


@pytest.mark.parametrize("stage", [None, *wire.STAGES[1:]])
def test_a_half_that_is_made_anew_for_each_stage_sums_as_one_that_lasts(stage: str | None) -> None:
    drop = {} if stage is None else {"bank-2": stage}
    done = run_protocol(COHORT, masked_server(COHORT), parties(), Transcript(), drop).sum
    rows = [BANKS.index(name) for name in done.contributors]
    assert (done.total == UPDATES[rows].sum(axis=0)).all()
    assert len(rows) == (3 if stage in wire.STAGES[1:3] else 4)


def test_a_stage_is_answered_once_by_whoever_was_made_anew() -> None:
    bank = parties()["bank-1"]
    request = seal(COHORT, wire.ADVERTISE_KEYS, AGGREGATOR, "bank-1")
    bank.respond(request)
    with pytest.raises(MessageError, match="out of turn"):
        bank.respond(request)


def test_what_was_kept_of_another_attempt_is_of_no_use() -> None:
    bank = parties()["bank-1"]
    bank.kept = bank.half().keep()
    known = json.loads(bank.kept)
    bank.kept = json.dumps({**known, "cohort": "00" * 32}).encode()
    with pytest.raises(ProtocolError, match="is not in this attempt"):
        bank.half()
