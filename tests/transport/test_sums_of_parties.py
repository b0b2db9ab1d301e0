"""The parties of a network in one process: sums that a witness vouches for, and that a committee opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES, SigningKey
from secure_fl.secagg.he.words import COUNT_BYTES, DECRYPT, KEY_AUTHORITY
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.protocol import Party, run_protocol
from secure_fl.secagg.transcript import Transcript
from secure_fl.settings import Experiment
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.halves import BankHalves
from secure_fl.transport.holder import HolderParty
from secure_fl.transport.key_words import HASH_BYTES, pack_rows, read_joined, seed_of
from secure_fl.transport.memory import kept_turns
from secure_fl.transport.orders import ASK, KEY_ACCEPT, KEY_COMMIT, KEY_JOIN, KEY_PUBLISH, PUBLIC_KEY, About, Order
from secure_fl.transport.server_halves import identity_keys, server_half

LENGTH = 50
SUMS = {
    "ckks, a witness": {"scheme": "ckks", "witnesses": 1},
    "rlwe, two witnesses": {"scheme": "rlwe", "witnesses": 2},
    "bfv, a committee": {"scheme": "bfv", "holders": 3, "quorum": 2},
    "ckks, a committee": {"scheme": "ckks", "holders": 2, "quorum": 2},
}


@dataclass
class Ordered:
    """A holder, as whoever asks for messages of one sum sees it."""

    holder: HolderParty
    about: About
    key: str
    asked: bytes = b""

    def respond(self, request: bytes) -> bytes:
        self.asked = request
        return self.holder(Order(1, ASK, self.about, {"key": self.key}, request))


class Parties:
    """All of them, and a gateway that has given out the public key."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        experiment = Experiment(**{"hidden": "none", "dataset": "simulated", **settings})
        self.roster = make_certificates(folder / "c", experiment, ["localhost"])
        self.folder, self.agreed = folder, Agreement(experiment)
        self.holders = {name: self.holder(name) for name in self.agreed.scheme.trustees}
        self.banks = {
            name: BankHalves(self.roster, name, Identity(SigningKey(self.own_key(name)))) for name in self.agreed.banks
        }
        key = self.signed_key() if KEY_AUTHORITY in self.holders else self.joint_key()
        for bank in self.banks.values():
            bank.take_key(self.agreed.plan, key)

    def own_key(self, name: str) -> bytes:
        role = self.roster.named(name).role
        return Credentials.read(self.folder / "c" / name, role).own_key()

    def holder(self, name: str) -> HolderParty:
        """As after its process was started."""
        memory = self.folder / f"memory-{name}"
        memory.mkdir(exist_ok=True)
        return HolderParty(self.roster, name, self.own_key(name), kept_turns(memory))

    def signed_key(self) -> bytes:
        return self.holders[KEY_AUTHORITY](Order(1, PUBLIC_KEY))

    def joint_key(self) -> bytes:
        said: dict[str, list[bytes]] = {"": []}
        before = ""
        for kind in (KEY_JOIN, KEY_COMMIT, KEY_PUBLISH, KEY_ACCEPT):
            order = Order(1, kind, body=pack_rows(said[before]))
            said[kind] = [holder(order) for holder in self.holders.values()]
            before = kind
        seed = seed_of(self.roster, read_joined(self.roster, dict(zip(self.holders, said[KEY_JOIN], strict=True))))
        return pack_rows([seed, *(row[HASH_BYTES:] for row in said[KEY_ACCEPT]), *said[KEY_PUBLISH]])

    def cohort(self, attempt: int = 1) -> Cohort[Any]:
        first = self.agreed.cohort(bytes(16), 1, LENGTH, b"model")
        return Cohort(first.plan, 1, first.banks, first.trustees, first.context, first.session, attempt)

    def trustees(self, cohort: Cohort[Any]) -> dict[str, Ordered]:
        key = next(iter(self.banks.values())).key
        return {name: Ordered(holder, About.of(cohort), key) for name, holder in self.holders.items()}

    def sum(self, attempt: int = 1) -> Any:
        """Of all banks' values, which are 1, 2, 3."""
        cohort = self.cohort(attempt)
        values = {name: np.full(LENGTH, place + 1) for place, name in enumerate(self.banks)}
        clients = {name: bank.client(cohort, values[name]) for name, bank in self.banks.items()}
        half = server_half(cohort, identity_keys(self.roster))
        self.asked = self.trustees(cohort)
        parties: dict[str, Party] = {**clients, **self.asked}
        return run_protocol(cohort, half, parties, Transcript()).sum


@pytest.fixture(params=list(SUMS))
def parties(tmp_path: Path, request: pytest.FixtureRequest) -> Parties:
    return Parties(tmp_path, SUMS[request.param])


def test_sums_are_exact(parties: Parties) -> None:
    for attempt in (1, 2):
        found = parties.sum(attempt)
        assert (found.total == 6).all()
        assert found.contributors == frozenset(parties.banks)


def test_a_gateway_without_the_banks_keys_takes_no_upload(parties: Parties) -> None:
    cohort = parties.cohort()
    clients = {name: bank.client(cohort, np.ones(LENGTH, dtype=np.int64)) for name, bank in parties.banks.items()}
    with pytest.raises(ProtocolError, match="only 0 of 3 banks contributed"):
        run_protocol(cohort, server_half(cohort), {**clients, **parties.trustees(cohort)}, Transcript())


def test_a_holder_that_was_started_anew_answers_no_attempt_again(tmp_path: Path) -> None:
    parties = Parties(tmp_path, SUMS["ckks, a witness"])
    parties.sum(2)
    witness = parties.asked["witness-1"]
    witness.respond(witness.asked)  # the very same again, as long as it lives
    parties.holders["witness-1"] = witness.holder = parties.holder("witness-1")
    with pytest.raises(ProtocolError, match="witness-1 already took part in round 1, attempt 2"):
        witness.respond(witness.asked)
    assert (parties.sum(3).total == 6).all()


def test_a_key_authority_opens_nothing_that_its_witness_did_not_sign(tmp_path: Path) -> None:
    parties = Parties(tmp_path, SUMS["ckks, a witness"])
    cohort = parties.cohort()
    counted, summed = (2).to_bytes(COUNT_BYTES, "little"), bytes(sum(run.nbytes for run in cohort.plan.summed_words))
    for signature in (b"", bytes(SIGNATURE_BYTES), SigningKey().sign(b"of the gateway")):
        request = seal(cohort, DECRYPT, AGGREGATOR, KEY_AUTHORITY, [counted, signature, summed])
        with pytest.raises(MessageError, match=r"a signature of witness-1 does not verify|too few signed"):
            parties.trustees(cohort)[KEY_AUTHORITY].respond(request)


def test_a_committee_without_too_many_that_lost_their_parts_opens_sums(tmp_path: Path) -> None:
    parties = Parties(tmp_path, SUMS["bfv, a committee"])
    parties.holders["key-holder-3"] = parties.holder("key-holder-3")
    found = parties.sum()
    assert (found.total == 6).all()
    parties.holders["key-holder-1"] = parties.holder("key-holder-1")
    with pytest.raises(ProtocolError, match="key-holder-1 was started anew, and has no part of this key"):
        parties.sum(2)
