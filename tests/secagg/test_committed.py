"""Uploads that are committed to, listed and signed: what banks, the aggregator and whoever checks a sum refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import DropoutError, MessageError, ProtocolError
from secure_fl.secagg import SCHEMES, plan
from secure_fl.secagg.committed.checking import Checked, checked
from secure_fl.secagg.committed.client import CommittedClient
from secure_fl.secagg.committed.gathering import Gathered, gather
from secure_fl.secagg.committed.wire import (
    COIN_BYTES,
    COMMIT,
    HASH_BYTES,
    PROOF_BYTES,
    UPLOAD,
    Cut,
    commitment,
    digest_of,
    split_upload,
    vouched,
)
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES
from secure_fl.secagg.identity import Identities, Identity
from secure_fl.secagg.messages import AGGREGATOR, HEADER_BYTES, Cohort, open_message, seal
from secure_fl.secagg.numbering import encode_table
from secure_fl.secagg.protocol import Attendance, Party

CUT = Cut(5, 7)
BANKS = ("bank-1", "bank-2", "bank-3", "bank-4")
Change = Callable[[bytes], bytes]


def pieces(bank: str) -> tuple[bytes, bytes]:
    number = bank[-1:].encode()
    return (number + b"hide")[: CUT.hidden], (number + b"showing")[: CUT.shown]


class Scene:
    """Four banks whose ciphertexts are any bytes, of whom three suffice."""

    def __init__(self) -> None:
        self.cohort: Cohort[Any] = SCHEMES["plaintext"].cohort(plan("plaintext", 4, 10, 8), 1, BANKS)
        self.known = Identities()
        self.directory = self.known.directory(BANKS)
        self.added: list[bytes] = []
        self.attendance = Attendance(self.cohort)

    def client(self, bank: str, identity: Identity | None = None) -> CommittedClient:
        return CommittedClient(self.cohort, bank, identity or self.known.of(bank), lambda: pieces(bank))

    def gather(
        self, parties: Mapping[str, Party | None] | None = None, changes: Mapping[Any, Change] | None = None
    ) -> Any:
        """`changes`: of what a bank answers in a stage. Parties that are not given are honest; None: silent."""
        everyone: dict[str, Any] = {bank: self.client(bank) for bank in BANKS} | dict(parties or {})
        half = gather(self.cohort, CUT, self.directory, self.attendance, lambda data: self.added.append(bytes(data)))
        stage = next(half)
        try:
            while True:
                answers = []
                for bank, data in stage.requests.items():
                    if everyone[bank] is None:
                        continue
                    said = everyone[bank].respond(data)
                    change = (changes or {}).get((bank, stage.name))
                    answers.append((bank, self.changed(stage.name, bank, said, change) if change else said))
                stage = half.send(iter(answers))
        except StopIteration as finished:
            return finished.value

    def changed(self, stage: str, bank: str, said: bytes, change: Change) -> bytes:
        return seal(self.cohort, stage, bank, AGGREGATOR, change(said[HEADER_BYTES:]))

    def check(self, gathered: Gathered, cohort: Cohort[Any] | None = None) -> Checked:
        payload = memoryview(b"".join(gathered.to_parts()))
        return checked(cohort or self.cohort, CUT, self.directory, payload, "key-holder-1")


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_what_banks_committed_to_is_gathered_and_checked(scene: Scene) -> None:
    gathered = scene.gather()
    assert scene.added == [b"".join(pieces(bank)) for bank in BANKS]
    found = scene.check(gathered)
    assert [bytes(shown) for shown in found.shown] == [pieces(bank)[1] for bank in BANKS]
    assert pieces("bank-1")[0] not in b"".join(gathered.to_parts()), "the hidden piece goes no further"
    assert not scene.attendance.refused


def test_whoever_is_silent_in_either_stage_is_left_out(scene: Scene) -> None:
    assert set(scene.gather({"bank-2": None}).uploads) == {0, 2, 3}
    late = Scene()
    half = gather(late.cohort, CUT, late.directory, late.attendance, lambda data: None)
    clients = {bank: late.client(bank) for bank in BANKS}
    stage = next(half)
    stage = half.send(iter([(bank, clients[bank].respond(data)) for bank, data in stage.requests.items()]))
    with pytest.raises(StopIteration) as finished:
        half.send(iter([(bank, clients[bank].respond(stage.requests[bank])) for bank in BANKS[1:]]))
    gathered = finished.value.value
    assert set(gathered.uploads) == {1, 2, 3}
    assert len(late.check(gathered).shown) == 3
    for stage_name in (COMMIT, UPLOAD):
        few = Scene()
        short = {(bank, stage_name): lambda payload: payload[:-1] for bank in BANKS[:2]}
        with pytest.raises(DropoutError, match="only 2 of 4 banks"):
            few.gather(changes=short)


@pytest.mark.parametrize("stage", [COMMIT, UPLOAD])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_bank_that_sends_another_byte_than_it_said_is_named_and_left_out(stage: str, data: st.DataObject) -> None:
    scene = Scene()
    length = HASH_BYTES if stage == COMMIT else PROOF_BYTES + CUT.hidden + CUT.shown
    place, flip = data.draw(st.integers(0, length - 1)), data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from([length, place]))

    def change(payload: bytes) -> bytes:
        altered = bytearray(payload)
        altered[place] ^= flip
        return bytes(altered[:cut])

    if stage == COMMIT and cut == length:  # the bank sees that the list has another commitment, and signs none
        with pytest.raises(MessageError, match="bank-2 is not on the list with what it committed to"):
            scene.gather(changes={("bank-2", stage): change})
        return
    gathered = scene.gather(changes={("bank-2", stage): change})
    assert set(gathered.uploads) == {0, 2, 3}
    assert set(scene.attendance.refused) == {"bank-2"}
    assert scene.added == [b"".join(pieces(bank)) for bank in BANKS if bank != "bank-2"]
    assert len(scene.check(gathered).shown) == 3


def test_a_bank_signs_one_list_and_only_with_its_own_commitment_on_it() -> None:
    others = {number: bytes([number]) * HASH_BYTES for number in range(4)}
    for said, with_own, listed in (
        ("not on the list", False, others),
        ("not on the list", False, {1: others[1], 2: others[2], 3: others[3]}),
        ("only 2 banks are on the list", True, {3: others[3]}),
    ):
        scene = Scene()
        client = scene.client("bank-1")
        own = committed(scene, client)
        table = encode_table(listed | ({0: own} if with_own else {}))
        with pytest.raises(ProtocolError, match=said):
            client.respond(seal(scene.cohort, UPLOAD, AGGREGATOR, "bank-1", table))
    scene = Scene()
    client = scene.client("bank-1")
    table = encode_table(others | {0: committed(scene, client)})
    client.respond(seal(scene.cohort, UPLOAD, AGGREGATOR, "bank-1", table))
    for stage in (COMMIT, UPLOAD):
        with pytest.raises(MessageError, match="out of turn; each stage comes once"):
            client.respond(seal(scene.cohort, stage, AGGREGATOR, "bank-1", table))


def committed(scene: Scene, client: CommittedClient) -> bytes:
    said = client.respond(seal(scene.cohort, COMMIT, AGGREGATOR, "bank-1"))
    return bytes(open_message(scene.cohort, said, recipient=AGGREGATOR, sender="bank-1").payload)


def test_a_bank_shows_nothing_before_there_is_a_list(scene: Scene) -> None:
    with pytest.raises(MessageError, match="asked for upload out of turn"):
        scene.client("bank-1").respond(seal(scene.cohort, UPLOAD, AGGREGATOR, "bank-1"))


def test_a_bank_takes_part_in_an_attempt_once(scene: Scene) -> None:
    """Else it could be shown two lists, and the second one could hold a copy of what it showed for the first."""
    scene.client("bank-1")
    with pytest.raises(ProtocolError, match="does not go back"):
        scene.client("bank-1")


def test_a_commitment_is_of_one_bank_upload_and_attempt(scene: Scene) -> None:
    coin, (hidden, shown) = bytes(COIN_BYTES), map(digest_of, pieces("bank-1"))
    own = commitment(scene.cohort, "bank-1", coin, hidden, shown)
    assert own == commitment(scene.cohort, "bank-1", coin, hidden, shown)
    others = {
        commitment(scene.cohort, "bank-2", coin, hidden, shown),
        commitment(scene.cohort, "bank-1", b"x" * COIN_BYTES, hidden, shown),
        commitment(scene.cohort, "bank-1", coin, shown, hidden),
        commitment(scene.cohort, "bank-1", coin, hidden, hidden),
        commitment(scene.cohort, "bank-1", coin, shown, shown),
        *(
            commitment(replace(scene.cohort, **change), "bank-1", coin, hidden, shown)
            for change in (
                {"attempt": 2},
                {"round": 2},
                {"context": b"another model"},
                {"session": b"another session."},
            )
        ),
    }
    assert own not in others
    assert len(others) == 9


def test_what_an_aggregator_made_up_is_refused(scene: Scene) -> None:
    """By itself, if it is honest and somebody else plays the bank; by whoever checks, if it is not."""
    made_up = scene.gather({"bank-2": scene.client("bank-2", Identity())})
    assert set(made_up.uploads) == {0, 2, 3}
    assert scene.attendance.refused == {"bank-2": "a signature of bank-2 does not verify"}
    liar = Scene()
    liar.directory = {**liar.directory, "bank-2": (own := Identity()).public}
    gathered = liar.gather({"bank-2": liar.client("bank-2", own)})
    assert set(gathered.uploads) == {0, 1, 2, 3}
    liar.directory = liar.known.directory(BANKS)
    with pytest.raises(MessageError, match="a signature of bank-2 does not verify"):
        liar.check(gathered)


def upload_with(gathered: Gathered, number: int, **changes: Any) -> Gathered:
    return replace(gathered, uploads={**gathered.uploads, number: replace(gathered.uploads[number], **changes)})


def test_whoever_checks_takes_nothing_but_what_is_on_the_list_that_all_signed(scene: Scene) -> None:
    gathered = scene.gather()
    one, two = gathered.uploads[0], gathered.uploads[1]
    lies = {
        "another ciphertext": upload_with(gathered, 1, shown=one.shown),
        "another bank's upload and coin": replace(gathered, uploads={**gathered.uploads, 1: one}),
        "another first piece": upload_with(gathered, 1, hidden=one.hidden),
        "another coin": upload_with(gathered, 1, coin=bytes(COIN_BYTES)),
        "another signature": upload_with(gathered, 1, signature=one.signature),
        "no signature": upload_with(gathered, 1, signature=bytes(SIGNATURE_BYTES)),
        "a list with one commitment less": replace(gathered, listed=gathered.listed[: -2 - HASH_BYTES]),
        "a list with another last commitment": replace(gathered, listed=gathered.listed[:-1] + b"x"),
    }
    for said, lie in lies.items():
        with pytest.raises(
            MessageError, match=r"bank-\d (is not what it|does not verify)|does not verify|committed to"
        ):
            scene.check(lie), said
    assert two.row != one.row
    with pytest.raises(DropoutError, match="key-holder-1 was asked about a sum of 2 banks and the threshold is 3"):
        scene.check(replace(gathered, uploads={0: one, 1: two}))
    with pytest.raises(MessageError, match=r"does not verify|not what it committed to"):
        scene.check(gathered, replace(scene.cohort, attempt=2))


def test_a_late_commitment_is_on_no_list_that_honest_banks_signed(scene: Scene) -> None:
    """A bank that works with the aggregator waits until bank-1 showed its ciphertext, and then uploads a copy of it."""
    half = gather(scene.cohort, CUT, scene.directory, scene.attendance, lambda data: None)
    clients = {bank: scene.client(bank) for bank in BANKS}
    asked = next(half).requests
    answers = {bank: clients[bank].respond(asked[bank]) for bank in BANKS[:3]}
    stage = half.send(iter(answers.items()))
    with pytest.raises(StopIteration) as finished:
        half.send(iter([(bank, clients[bank].respond(stage.requests[bank])) for bank in BANKS[:3]]))
    honest = finished.value.value
    coin, shown = bytes(COIN_BYTES), honest.uploads[0].shown
    hidden = honest.uploads[0].hidden
    late = commitment(scene.cohort, "bank-4", coin, hidden, digest_of(shown))
    listed = honest.listed + encode_table({3: late})
    signature = scene.known.of("bank-4").sign_upload(scene.cohort, "bank-4", vouched(listed))
    copy = replace(honest.uploads[0], coin=coin, signature=signature)
    lie = Gathered(listed, {**honest.uploads, 3: copy})
    with pytest.raises(MessageError, match="a signature of bank-1 does not verify"):
        scene.check(lie)
    with pytest.raises(MessageError, match="bank-4 is not what it committed to"):
        scene.check(replace(lie, listed=honest.listed))


def test_two_sums_of_one_list_have_two_names(scene: Scene) -> None:
    gathered = scene.gather()
    all_but_one = replace(gathered, uploads={number: gathered.uploads[number] for number in (0, 1, 2)})
    digests = {scene.check(gathered).digest, scene.check(all_but_one).digest}
    assert len(digests) == 2
    other = Scene()
    assert other.check(other.gather()).digest not in digests


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_requests_to_check_that_are_damaged_are_refused(data: st.DataObject) -> None:
    scene = Scene()
    sent = bytearray(b"".join(scene.gather().to_parts()))
    place = data.draw(st.integers(0, len(sent) - 1))
    sent[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from([len(sent), place]))
    with pytest.raises(ProtocolError):
        checked(scene.cohort, CUT, scene.directory, memoryview(bytes(sent[:cut])), "key-holder-1")


def test_uploads_are_cut_where_the_plan_says(scene: Scene) -> None:
    hidden, shown = pieces("bank-1")
    payload = bytes(PROOF_BYTES) + hidden + shown
    upload, both = split_upload(CUT, memoryview(payload))
    assert (bytes(both), bytes(upload.shown)) == (hidden + shown, shown)
    assert upload.hidden == digest_of(hidden)
    for wrong in (payload[:-1], payload + b"x", b""):
        with pytest.raises(MessageError, match="another length"):
            split_upload(CUT, memoryview(wrong))
    assert "signature" not in repr(upload)
    assert "shown" not in repr(upload)
