"""One round of the masked protocol whose messages a test can read, change, hold back or make up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from secure_fl.secagg import plan, ring
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.masked.server import masked_server
from secure_fl.secagg.messages import AGGREGATOR, HEADER_BYTES, Cohort, open_message, seal
from secure_fl.secagg.numbering import decode_table, encode_numbers, encode_table
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import SecureSum, run_protocol
from secure_fl.secagg.transcript import Transcript

Change = Callable[[str, int, bytes], bytes | None]
SESSION = bytes(range(16))
LOST = "lost on its way"


class Tapped:
    """A bank behind wires that a test may tap."""

    def __init__(self, round_: Round, bank: int, answer: Change, request: Change) -> None:
        self._round, self._bank, self._answer, self._request = round_, bank, answer, request

    def respond(self, request: bytes) -> bytes:
        name = self._round.cohort.banks[self._bank]
        stage = open_message(self._round.cohort, request, recipient=name, sender=AGGREGATOR).stage
        asked = self._request(stage, self._bank, request)
        answer = (
            None if asked is None else self._answer(stage, self._bank, self._round.clients[self._bank].respond(asked))
        )
        if answer is None:
            raise ConnectionError(LOST)
        return answer


def forgetful(identity: Identity) -> Identity:
    """The same key without the memory of its turns: as if its bank had been reset, or its turns were not checked."""
    other = Identity()
    other._key = identity._key
    return other


class Round:
    """Banks by number, with an honest aggregator (`run`) or a test in its place (`ask`, `play`)."""

    def __init__(
        self,
        updates: IntVector,
        bits: int,
        threshold: int | None,
        context: bytes,
        identities: list[Identity] | None,
        number: int,
        attempt: int,
        changes: Mapping[str, Any],
    ) -> None:
        self.updates = updates
        banks = tuple(f"bank-{row + 1}" for row in range(len(updates)))
        planned = plan("masked", len(banks), updates.shape[1], bits, threshold)
        assert isinstance(planned, MaskedPlan)
        self.cohort = Cohort(replace(planned, **changes), number, banks, (), context, SESSION, attempt)
        self.identities = [forgetful(key) for key in identities] if identities else [Identity() for _ in banks]
        self.directory = {name: key.public for name, key in zip(banks, self.identities, strict=True)}
        self.clients = [
            MaskedClient(self.cohort, name, row, key, self.directory)
            for name, row, key in zip(banks, updates, self.identities, strict=True)
        ]
        self.everyone = range(len(banks))
        self.server = masked_server(self.cohort)
        self.keys: dict[int, bytes] = {}
        self.mail: dict[int, dict[int, bytes]] = {bank: {} for bank in self.everyone}
        self.inputs: dict[int, bytes] = {}
        self.signatures: dict[int, bytes] = {}
        self.opened: dict[int, dict[int, bytes]] = {}

    # An honest aggregator, on wires that a test may tap

    def run(self, reply: Change | None = None) -> SecureSum:
        """`reply` may change the payload of each answer (validly sealed again); None: the answer is lost."""

        def change(stage: str, bank: int, answer: bytes) -> bytes | None:
            payload = reply(stage, bank, answer[HEADER_BYTES:]) if reply else answer[HEADER_BYTES:]
            return None if payload is None else self.sealed(stage, bank, payload)

        return self.run_raw(change)

    def run_raw(self, answer: Change, request: Change = lambda stage, bank, message: message) -> SecureSum:
        """`answer` and `request` may change each message as it travels. `refused` of the sum has all that the loop
        found out, but for banks whose answers were lost."""
        parties = {name: Tapped(self, bank, answer, request) for bank, name in enumerate(self.cohort.banks)}
        outcome = run_protocol(self.cohort, self.server, parties, Transcript())
        return replace(outcome.sum, refused={who: why for who, why in outcome.refused.items() if why != LOST})

    def sealed(self, stage: str, bank: int, payload: bytes) -> bytes:
        return seal(self.cohort, stage, self.cohort.banks[bank], AGGREGATOR, payload)

    def is_exact(self, total: SecureSum) -> bool:
        rows = [self.cohort.banks.index(name) for name in total.contributors]
        return bool((total.total == self.updates[rows].sum(axis=0)).all())

    # A test in the aggregator's place

    def ask(self, bank: int, stage: str, payload: bytes = b"") -> bytes:
        """The payload with which a bank answers."""
        name = self.cohort.banks[bank]
        return self.clients[bank].respond(seal(self.cohort, stage, AGGREGATOR, name, payload))[HEADER_BYTES:]

    def advertise(self) -> None:
        self.keys = {bank: self.ask(bank, wire.ADVERTISE_KEYS) for bank in self.everyone}

    def share(self, bank: int, keys: Mapping[int, bytes]) -> None:
        """Offer a bank some keys, and deliver what it shares."""
        letters = decode_table(
            self.ask(bank, wire.SHARE_KEYS, encode_table(keys)), wire.SEALED_SHARES_BYTES, len(self.everyone)
        )
        for recipient, letter in letters.items():
            self.mail[recipient][bank] = letter

    def keys_around(self, bank: int) -> dict[int, bytes]:
        return {other: self.keys[other] for other in wire.around(self.cohort, bank) if other in self.keys}

    def mask(self, bank: int, mail: Mapping[int, bytes]) -> None:
        self.inputs[bank] = self.ask(bank, wire.MASKED_INPUT, encode_table(mail))

    def check(self, bank: int, survivors: Any) -> None:
        self.signatures[bank] = self.ask(bank, wire.CONSISTENCY_CHECK, encode_numbers(survivors))

    def signed_survivors(self, bank: int, survivors: Any) -> bytes:
        """What a bank that helps the aggregator signs: any list, under the keys that it advertised."""
        keys = wire.AdvertisedKeys.from_bytes(self.keys[bank])
        return keys.hash + self.identities[bank].sign(wire.survivors_statement(self.cohort, keys.hash, survivors))

    def unmask(self, bank: int, signers: Any) -> None:
        """Collect a bank's opened shares."""
        table = encode_table({signer: self.signatures[signer] for signer in signers})
        self.opened[bank] = decode_table(self.ask(bank, wire.UNMASK, table), SHARE_BYTES, len(self.everyone))

    def play(self, until: str) -> None:
        """Every stage before `until`, as an honest aggregator would."""
        before = wire.STAGES[: wire.STAGES.index(until)]
        if wire.ADVERTISE_KEYS in before:
            self.advertise()
        if wire.SHARE_KEYS in before:
            for bank in self.everyone:
                self.share(bank, self.keys_around(bank))
        if wire.MASKED_INPUT in before:
            for bank in self.everyone:
                self.mask(bank, self.mail[bank])
        if wire.CONSISTENCY_CHECK in before:
            for bank in self.everyone:
                self.check(bank, self.everyone)

    def honest_request(self, bank: int, stage: str) -> bytes:
        """What an honest aggregator would now ask of a bank."""
        if stage == wire.SHARE_KEYS:
            return encode_table(self.keys_around(bank))
        if stage == wire.MASKED_INPUT:
            return encode_table(self.mail[bank])
        if stage == wire.CONSISTENCY_CHECK:
            return encode_numbers(self.everyone)
        return encode_table(self.signatures) if stage == wire.UNMASK else b""

    def vector(self, bank: int) -> IntVector:
        """A bank's masked input as integers."""
        return ring.from_bytes(self.cohort.plan, memoryview(self.inputs[bank])).astype(np.int64)


Start = Callable[..., Round]


@pytest.fixture(scope="session")
def start() -> Start:
    """A round: start(banks, parameters, bits, threshold=..., context=..., updates=..., number=..., attempt=...).

    `changes`: of the plan; `identities`: of another round, whose banks then have the same keys and no memory of it.
    """

    def begin(
        banks: int = 3,
        parameters: int = 3,
        bits: int = 8,
        threshold: int | None = None,
        context: bytes = b"model",
        updates: IntVector | None = None,
        identities: list[Identity] | None = None,
        number: int = 1,
        attempt: int = 1,
        changes: Mapping[str, Any] = MappingProxyType({}),
    ) -> Round:
        if updates is None:
            updates = np.random.default_rng(banks).integers(0, 1 << bits, (banks, parameters))
        return Round(updates, bits, threshold, context, identities, number, attempt, changes)

    return begin
