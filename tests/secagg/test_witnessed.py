"""A key authority that opens what witnesses vouch for: exact sums, and what it refuses that it opened before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError, DropoutError, MessageError, PlanError, ProtocolError
from secure_fl.secagg import plan, simulate
from secure_fl.secagg.committed.checking import Checked
from secure_fl.secagg.committed.client import CommittedClient
from secure_fl.secagg.committed.gathering import Gathered, gather
from secure_fl.secagg.committed.wire import COMMIT, HASH_BYTES, PROOF_BYTES, UPLOAD, sum_digest, unpack_checked
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES, SigningKey
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.words import COUNT_BYTES, DECRYPT, KEY_AUTHORITY, Adder, pack_sum, pack_upload
from secure_fl.secagg.messages import AGGREGATOR, HEADER_BYTES, Cohort, open_message, seal
from secure_fl.secagg.packing import pack_fields, unpack_bits
from secure_fl.secagg.protocol import Attendance, Outcome, Party, run_protocol
from secure_fl.secagg.rlwe.ring import DEGREE, MODULUS
from secure_fl.secagg.schemes import scheme_for, scheme_of
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session
from secure_fl.secagg.witnessed.wire import VOUCH, cut_of, statement
from secure_fl.secagg.witnessed.witness import WitnessKey
from secure_fl.settings import Experiment
from tests.secagg.altered import Altered

SCHEMES = ("ckks", "bfv", "rlwe")
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


class Scene:
    """Four banks with their numbers, of whom three suffice; a key authority, and witnesses."""

    def __init__(self, scheme: str, witnesses: int = 1) -> None:
        self.plan: Any = plan(scheme, 4, 30, 8, witnesses=witnesses)
        self.scheme = scheme_for(self.plan)
        self.updates = np.random.default_rng(4).integers(0, 256, (4, 30))
        self.there: Any = self.scheme.deploy(self.plan)
        self.names = tuple(f"witness-{number}" for number in range(1, witnesses + 1))
        self.again()

    def again(self) -> None:
        banks = tuple(f"bank-{k}" for k in range(1, 5))
        self.cohort: Cohort[Any] = self.scheme.cohort(self.plan, 1, banks, session=new_session())

    def clients(self) -> dict[str, Party]:
        return {
            bank: self.there.client(self.cohort, bank, row)
            for bank, row in zip(self.cohort.banks, self.updates, strict=True)
        }

    def run(
        self, silent: Mapping[str, str] | None = None, changes: Mapping[Any, Callable[[bytes], bytes]] | None = None
    ) -> Outcome:
        self.again()
        parties: dict[str, Party] = {**self.clients(), **self.there.trustees(self.cohort)}
        for (name, stage), change in (changes or {}).items():
            parties[name] = Altered(parties[name], self.cohort, name, stage, change)
        return run_protocol(self.cohort, self.there.server(self.cohort), parties, Transcript(), silent)

    def gathered(self) -> Gathered:
        half = gather(
            self.cohort,
            cut_of(self.plan),
            self.there._identities.directory(self.cohort.banks),
            Attendance(self.cohort),
            lambda data: None,
        )
        clients, stage = self.clients(), next(half)
        try:
            while True:
                stage = half.send(iter([(bank, clients[bank].respond(d)) for bank, d in stage.requests.items()]))
        except StopIteration as finished:
            found: Gathered = finished.value
            return found

    def vouch(self, gathered: Gathered, name: str = "witness-1") -> bytes:
        request = seal(self.cohort, VOUCH, AGGREGATOR, name, gathered.to_parts())
        answer = self.there.trustees(self.cohort)[name].respond(request)
        return bytes(open_message(self.cohort, answer, recipient=AGGREGATOR, sender=name).payload)

    def summed(self, uploads: Collection[bytes | memoryview]) -> bytes:
        adder = Adder(self.plan)
        for upload in uploads:
            adder.add(memoryview(upload))
        return b"".join(pack_sum(self.plan, adder.total()))

    def open(self, contributors: int, signatures: Collection[bytes], summed: bytes) -> Any:
        """What the key authority answers."""
        payload = [contributors.to_bytes(COUNT_BYTES, "little"), *signatures, summed]
        request = seal(self.cohort, DECRYPT, AGGREGATOR, KEY_AUTHORITY, payload)
        answer = self.there.trustees(self.cohort)[KEY_AUTHORITY].respond(request)
        opened = open_message(self.cohort, answer, recipient=AGGREGATOR, sender=KEY_AUTHORITY).payload
        return unpack_bits(opened, self.plan.field_bits, self.plan.parameters)


def only(gathered: Gathered, *numbers: int) -> Gathered:
    return replace(gathered, uploads={number: gathered.uploads[number] for number in numbers})


def shown(gathered: Gathered) -> list[bytes]:
    return [bytes(upload.shown) for upload in gathered.uploads.values()]


@every_scheme
@pytest.mark.parametrize("witnesses", [1, 3])
def test_sums_are_the_same_as_without_witnesses(scheme: str, witnesses: int) -> None:
    updates = np.random.default_rng(1).integers(0, 256, (4, 1000))
    found = simulate(scheme, updates, witnesses=witnesses)
    assert (found.total == updates.sum(axis=0)).all()
    alone = simulate(scheme, updates)
    more = found.upload_bytes[0] - alone.upload_bytes[0]
    assert more == HEADER_BYTES + HASH_BYTES + PROOF_BYTES
    assert found.plan.upload_bytes - alone.plan.upload_bytes == pytest.approx(more, abs=256)
    assert found.plan.derived()["witnesses"] == witnesses
    assert "witnesses" not in alone.plan.derived()
    asked = [len_ for stage, len_ in stages_of(found, "witness-1") if stage == VOUCH]
    assert found.plan.derived()["request_bytes"] == pytest.approx(asked[0], abs=256)


def stages_of(found: Any, recipient: str) -> list[tuple[str, int]]:
    return [(each.stage, each.nbytes) for each in found.transcript if each.recipient == recipient]


@every_scheme
@pytest.mark.parametrize("stage", [COMMIT, UPLOAD])
def test_a_bank_that_vanishes_is_left_out(scheme: str, stage: str) -> None:
    scene = Scene(scheme)
    outcome = scene.run({"bank-2": stage})
    assert outcome.sum.total.tolist() == scene.updates[[0, 2, 3]].sum(axis=0).tolist()


@pytest.mark.parametrize("name", ["witness-1", "witness-2", KEY_AUTHORITY])
def test_without_a_witness_or_the_key_authority_there_is_no_sum(name: str) -> None:
    scene = Scene("bfv", 2)
    with pytest.raises(DropoutError, match=name.replace("-", ".")):
        scene.run({name: scene.scheme.trustee_stages[name]})
    for change in (lambda payload: payload[:-1], lambda payload: bytes(len(payload))):
        if name != KEY_AUTHORITY:
            with pytest.raises(ProtocolError, match=f"{name} (did not answer|does not verify)|signature of {name}"):
                scene.run(changes={(name, VOUCH): change})


@every_scheme
def test_what_no_witness_signed_is_not_opened(scheme: str) -> None:
    """Of the sum that a witness signed every byte counts, and of how many banks it is."""
    scene = Scene(scheme)
    gathered = scene.gathered()
    summed, signature = scene.summed(shown(gathered)), scene.vouch(gathered)
    single = scene.summed(shown(only(gathered, 0)))
    lies: dict[str, tuple[int, list[bytes], bytes]] = {
        "a single upload": (4, [signature], single),
        "another number of banks": (3, [signature], summed),
        "another byte": (4, [signature], summed[:-1] + bytes([summed[-1] ^ 1])),
        "no signature": (4, [bytes(SIGNATURE_BYTES)], summed),
        "somebody else's": (4, [SigningKey().sign(statement(scene.cohort, b"\4\0\0\0", [summed]))], summed),
    }
    for lie in lies.values():
        with pytest.raises(MessageError, match="a signature of witness-1 does not verify"):
            scene.open(*lie)
    with pytest.raises(MessageError, match="too few signed"):
        scene.open(4, [], b"")
    assert scene.open(4, [signature], summed).tolist() == scene.updates.sum(axis=0).tolist()


def test_what_was_signed_in_one_attempt_counts_in_no_other() -> None:
    scene = Scene("bfv")
    gathered = scene.gathered()
    summed, signature = scene.summed(shown(gathered)), scene.vouch(gathered)
    scene.cohort = replace(scene.cohort, attempt=2)
    with pytest.raises(MessageError, match="a signature of witness-1 does not verify"):
        scene.open(4, [signature], summed)


def test_every_witness_must_sign() -> None:
    scene = Scene("bfv", 2)
    gathered = scene.gathered()
    summed = scene.summed(shown(gathered))
    one, two = (scene.vouch(gathered, name) for name in scene.names)
    for pair in ([one, one], [two, one], [one, bytes(SIGNATURE_BYTES)]):
        with pytest.raises(MessageError, match=r"a signature of witness-[12] does not verify"):
            scene.open(4, pair, summed)
    assert scene.open(4, [one, two], summed).tolist() == scene.updates.sum(axis=0).tolist()


def test_a_witness_vouches_for_one_sum_of_enough_signed_uploads() -> None:
    scene = Scene("ckks")
    gathered = scene.gathered()
    with pytest.raises(DropoutError, match="witness-1 was asked about a sum of 1 banks and the threshold is 3"):
        scene.vouch(only(gathered, 0))
    made_up = replace(gathered.uploads[1], shown=gathered.uploads[0].shown)
    with pytest.raises(MessageError, match="bank-2 is not what it committed to"):
        scene.vouch(replace(gathered, uploads={**gathered.uploads, 1: made_up}))
    signature = scene.vouch(only(gathered, 0, 1, 2))
    assert scene.vouch(only(gathered, 0, 1, 2)) == signature
    with pytest.raises(ProtocolError, match="does not go back"):
        scene.vouch(gathered)


@every_scheme
def test_a_witness_that_does_not_look_has_a_single_upload_opened(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every key authority without one does: with zeros for the others, which anybody can encrypt."""
    scene = Scene(scheme)

    def nothing(cohort: Any, cut: Any, directory: Any, payload: memoryview, who: str) -> Checked:
        listed, uploads = unpack_checked(cohort, cut, payload)
        return Checked(sum_digest(listed, uploads), tuple(upload.shown for upload in uploads.values()))

    monkeypatch.setattr("secure_fl.secagg.witnessed.witness.checked", nothing)
    gathered = scene.gathered()
    public, zeros = scene.there._public, np.zeros(30, dtype=np.int64)
    made_up = {
        number: replace(
            gathered.uploads[number], shown=b"".join(pack_upload(scene.plan, public.encrypt(scene.plan, zeros)))
        )
        for number in (1, 2)
    }
    lie = replace(gathered, uploads={0: gathered.uploads[0], **made_up})
    opened = scene.open(3, [scene.vouch(lie)], scene.summed(shown(lie)))
    assert opened.tolist() == scene.updates[0].tolist()


def test_custody_says_what_witnesses_take_away_and_what_they_add() -> None:
    for scheme in SCHEMES:
        alone, seen = scheme_of(scheme).custody, scheme_of(scheme, witnesses=1).custody
        text = " ".join(seen.broken_by)
        for line in (
            "calls it a sum",
            "makes up a ciphertext",
            "made-up updates in the place",
            "a model that cannot learn",
        ):
            assert line in " ".join(alone.broken_by)
            assert line not in text
        assert "cancels" not in text
        assert "minus the sum of all others" in " ".join(alone.broken_by)
        assert "minus the sum of all others" not in text
        for line in (
            "the key authority and a witness together",
            "encrypts nothing",
            "aggregator and key authority together",
        ):
            assert line in text
        assert not any(each.startswith("The aggregator follows the protocol") for each in seen.assumptions)
        assert seen.can_decrypt["witness-1"] == ()
        assert seen.scheme == f"{scheme}-witnessed"
        assert ("EXPERIMENTAL" in " ".join(seen.assumptions)) == (scheme == "rlwe")
        assert scheme_of(scheme, witnesses=1).experimental == scheme_of(scheme).experimental


def test_witnesses_are_for_key_authorities() -> None:
    for scheme in ("plaintext", "additive", "masked"):
        with pytest.raises(PlanError, match=f"{scheme} has no key authority that witnesses could vouch to"):
            plan(scheme, 3, 10, 8, witnesses=1)
    with pytest.raises(PlanError, match="holders of a committee see for themselves"):
        plan("bfv", 3, 10, 8, holders=3, witnesses=1)
    for count in (-1, 8):
        with pytest.raises(PlanError, match=f"{count} witnesses are refused; use 1 to 7"):
            plan("bfv", 3, 10, 8, witnesses=count)
    with pytest.raises(ConfigurationError, match="opened by a key authority alone"):
        Experiment(scheme="ckks", banks=6, robust="multi-krum", byzantine=1, witnesses=1)
    with pytest.raises(ConfigurationError, match="has no key authority"):
        Experiment(scheme="masked", witnesses=1)


def test_a_witness_shows_its_name_and_nothing_of_its_key() -> None:
    assert repr(WitnessKey("witness-1")) == "WitnessKey('witness-1')"


def test_a_bank_that_encrypts_nothing_shows_the_key_to_whoever_reads_the_sum() -> None:
    """(0, K) in each ciphertext puts K times the key into numbers that crowd: nobody knows one of them. A witness has
    the uploads, so that the two need no aggregator.
    """
    planned: Any = plan("rlwe", 4, 8192, 8, witnesses=1)
    chosen, banks = scheme_for(planned), tuple(f"bank-{k}" for k in range(1, 5))
    cohort: Cohort[Any] = chosen.cohort(planned, 1, banks, session=new_session())
    there: Any = chosen.deploy(planned)
    drawn = np.random.default_rng(2).normal(128, 12, (3, 8192))
    updates = np.clip(np.rint(drawn), 0, 255).astype(np.int64)
    times, second = 200, np.zeros(planned.ciphertexts * DEGREE, dtype=np.uint64)
    second[::DEGREE] = round(MODULUS * times / (1 << planned.message_bits))
    nothing = b"".join(pack_upload(planned, Halves(np.zeros(planned.slots, dtype=np.uint64), second)))
    liar = CommittedClient(cohort, "bank-4", there._identities.of("bank-4"), lambda: (b"", nothing))
    honest = {bank: there.client(cohort, bank, row) for bank, row in zip(banks[:3], updates, strict=True)}
    parties = {**honest, "bank-4": liar, **there.trustees(cohort)}
    total = run_protocol(cohort, there.server(cohort), parties, Transcript()).sum.total
    lowest = pack_fields(total, planned.fields_per_slot, planned.field_base) % planned.field_base
    read = np.rint((lowest - np.median(lowest)) / times)
    assert (read == there._authority._secret._s.reshape(-1)[: planned.slots]).all()
    assert any("or a witness, and encrypts nothing" in line for line in chosen.custody.broken_by)
