"""An aggregator or a share-holder that does not follow the protocol: what it gets, and what custody says it can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import DropoutError, MessageError, ProtocolError
from secure_fl.secagg.additive.deployment import HOLDERS
from secure_fl.secagg.additive.wire import SUM_SHARES, UPLOAD
from secure_fl.secagg.messages import AGGREGATOR, open_message, seal
from secure_fl.secagg.proofs.fiat_shamir import queries
from secure_fl.secagg.proofs.field import PRIME, FieldArray, add, subtract
from secure_fl.secagg.proofs.flp import decide
from secure_fl.secagg.proofs.holder import ProofHolder
from secure_fl.secagg.proofs.shares import expanded_share, verifier_share
from secure_fl.secagg.proofs.wire import (
    VERIFY,
    decode_mail,
    decode_questions,
    decode_verifiers,
    encode_verifiers,
)
from secure_fl.secagg.protocol import Party
from tests.secagg.proofs.scene import KEY, Altered, Scene, drawn
from tests.secagg.test_custody_and_schemes import reachable


@pytest.fixture
def scene() -> Scene:
    return Scene(drawn(5, 6), norm_bound=100.0)


def test_an_aggregator_that_follows_the_protocol_opens_the_sum(scene: Scene) -> None:
    """The steps that the attacks below change."""
    uploads, rows = scene.uploads(), [0, 2, 3]
    for holder in range(2):
        assert set(scene.verify(holder, uploads)) == set(uploads)
    assert scene.opened(uploads, rows, [scene.sum_of(h, rows) for h in range(2)]) == scene.total(rows)


@pytest.mark.parametrize("holder", [0, 1])
def test_a_holder_gives_one_sum_and_the_same_again_to_the_same_request(scene: Scene, holder: int) -> None:
    scene.verify(holder, scene.uploads())
    first = scene.sum_of(holder, [0, 1, 2])
    assert scene.sum_of(holder, [0, 1, 2]).tolist() == first.tolist()
    for rows in ([0, 1, 3], [0, 1, 2, 3], [1, 2, 3]):
        with pytest.raises(ProtocolError, match="does not go back"):
            scene.sum_of(holder, rows)


@pytest.mark.parametrize("holder", [0, 1])
def test_a_holder_verifies_once(scene: Scene, holder: int) -> None:
    uploads = scene.uploads()
    first = scene.verify(holder, uploads)
    again = scene.verify(holder, uploads)
    assert all((first[row][1] == again[row][1]).all() for row in first)
    with pytest.raises(ProtocolError, match="does not go back"):
        scene.verify(holder, uploads, bytes(32))
    with pytest.raises(ProtocolError, match="does not go back"):
        scene.verify(holder, {row: uploads[row] for row in range(4)})
    with pytest.raises(ProtocolError, match="does not go back"):
        scene.verify(holder, scene.uploads())


def test_no_sum_below_the_threshold(scene: Scene) -> None:
    uploads = scene.uploads()
    with pytest.raises(DropoutError, match="asked about 2 banks and the threshold is 3"):
        scene.verify(0, {row: uploads[row] for row in range(2)})
    scene.verify(1, uploads)
    for rows in ([], [4], [0, 1]):
        with pytest.raises(DropoutError, match=f"asked about {len(rows)} banks and the threshold is 3"):
            scene.sum_of(1, rows)
        scene.deployment._holders[HOLDERS[1]].openings._turns._last = (b"", 0, 0)


def test_no_sum_of_banks_that_were_not_verified(scene: Scene) -> None:
    with pytest.raises(ProtocolError, match="did not verify"):
        scene.sum_of(0, [0, 1, 2])
    uploads = scene.uploads()
    scene.verify(1, {row: uploads[row] for row in range(3)})
    with pytest.raises(ProtocolError, match="did not verify"):
        scene.sum_of(1, [0, 1, 3])


def test_what_was_verified_in_one_attempt_is_not_summed_in_another(scene: Scene) -> None:
    later = scene.cohort(attempt=2)
    scene.verify(0, scene.uploads())
    with pytest.raises(ProtocolError, match="did not verify"):
        scene.sum_of(0, [0, 1, 2], later)
    scene.verify(1, scene.uploads(later), cohort=later)
    with pytest.raises(ProtocolError, match="did not verify"):
        scene.sum_of(1, [0, 1, 2])


def test_a_bank_whose_mail_does_not_open_is_not_summed(scene: Scene) -> None:
    uploads = scene.uploads()
    uploads[1] = uploads[0]
    assert set(scene.verify(0, uploads)) == {0, 2, 3, 4}
    with pytest.raises(ProtocolError, match="did not verify"):
        scene.sum_of(0, [0, 1, 2])


@pytest.mark.slow
def test_sums_over_different_banks_cannot_be_opened(scene: Scene) -> None:
    """Nor do they tell anything: what the aggregator gets is uniform, whatever it puts together with it."""
    uploads, opened = scene.uploads(), []
    for attempt in range(2, 60):
        cohort = scene.cohort(attempt)
        uploads = scene.uploads(cohort)
        for holder in range(2):
            scene.verify(holder, uploads, cohort=cohort)
        one, other = scene.sum_of(0, [0, 1, 2], cohort), scene.sum_of(1, [0, 1, 2, 3], cohort)
        more = [one, other, subtract(one * 0, expanded_of(scene, uploads, 3, cohort))]
        opened += scene.opened(uploads, [0, 1, 2], more)
    assert all(value > 10 * 255 for value in opened)
    mean = float(np.mean(np.array(opened, dtype=np.float64) / PRIME))
    assert abs(mean - 0.5) < 5 / np.sqrt(12 * len(opened))


def expanded_of(scene: Scene, uploads: Any, row: int, cohort: Any) -> FieldArray:
    """Share-holder-2's share of a bank that works with the aggregator: without masks the difference would be closed."""
    holder = scene.deployment.trustees(cohort)[HOLDERS[1]]
    assert isinstance(holder, ProofHolder)
    seed, *_ = decode_mail(scene.plan, holder._open(scene.banks[row], uploads[row].mail[1]))
    return scene.plan.circuit.truncate(expanded_share(scene.plan, seed).inputs)


def test_without_masks_a_colluding_bank_would_close_that_difference(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secure_fl.secagg.proofs.holder.ProofHolder._masked", lambda _, total, __: total)
    uploads, cohort = scene.uploads(), scene.cohort()
    for holder in range(2):
        scene.verify(holder, uploads)
    one, other = scene.sum_of(0, [0, 1, 2]), scene.sum_of(1, [0, 1, 2, 3])
    more = [one, other, subtract(one * 0, expanded_of(scene, uploads, 3, cohort))]
    assert scene.opened(uploads, [0, 1, 2], more) == scene.total([0, 1, 2])


def test_a_server_whose_holders_were_asked_for_other_banks_says_so(scene: Scene) -> None:
    cohort = scene.cohort()
    holder = scene.deployment.trustees(cohort)[HOLDERS[0]]

    class AskedForOthers:
        def respond(self, request: bytes) -> bytes:
            asked = open_message(cohort, request, recipient=HOLDERS[0], sender=AGGREGATOR)
            if asked.stage == SUM_SHARES:
                request = seal(cohort, SUM_SHARES, AGGREGATOR, HOLDERS[0], bytes(asked.payload)[:-2])
            return holder.respond(request)

    with pytest.raises(ProtocolError, match="do not add up to a sum of values in range"):
        scene.run({HOLDERS[0]: AskedForOthers()})


def test_holders_have_no_other_stages_and_read_no_garbage(scene: Scene) -> None:
    with pytest.raises(ProtocolError, match="has no stage 'upload'"):
        scene.ask(0, UPLOAD, b"")
    with pytest.raises(MessageError, match="truncated"):
        scene.ask(0, VERIFY, bytes(31))
    with pytest.raises(MessageError, match="truncated"):
        scene.ask(1, VERIFY, bytes(33))
    with pytest.raises(MessageError, match="names one twice"):
        scene.ask(1, SUM_SHARES, bytes([1, 0, 1, 0]))


# What a party that does not follow the protocol can do, as custody says


def test_a_holder_can_have_any_bank_left_out(scene: Scene) -> None:
    cohort = scene.cohort()

    def without_bank_3(payload: bytes) -> bytes:
        shares = decode_verifiers(cohort, memoryview(payload))
        del shares[2]
        return encode_verifiers(shares)

    holder = scene.deployment.trustees(cohort)[HOLDERS[0]]
    outcome = scene.run({HOLDERS[0]: Altered(holder, cohort, HOLDERS[0], VERIFY, without_bank_3)})
    assert outcome.refused == {"bank-3": "share-holder-1 cannot use its share"}
    assert outcome.sum.total.tolist() == scene.total([0, 1, 3, 4])


@pytest.mark.parametrize("helped", [True, False])
def test_a_holder_that_works_with_a_bank_can_have_its_bad_proof_pass(scene: Scene, helped: bool) -> None:
    """It says what makes the messages of all add up to zero, which is a proof that holds. Alone the bank cannot."""
    cohort = scene.cohort()
    liar = scene.liar(1, {0: 300}, cohort)
    answer = liar.respond(seal(cohort, UPLOAD, AGGREGATOR, "bank-2"))
    upload = scene.upload(SaysAgain(answer), "bank-2", cohort)
    holders = scene.deployment.trustees(cohort)
    other: Any = holders[HOLDERS[1]]
    key: list[bytes] = []

    class Listens:
        def respond(self, request: bytes) -> bytes:
            asked = open_message(cohort, request, recipient=HOLDERS[0], sender=AGGREGATOR)
            if asked.stage == VERIFY:
                key.append(decode_questions(cohort, asked.payload)[0])
            return holders[HOLDERS[0]].respond(request)

    def forged(payload: bytes) -> bytes:
        shares = decode_verifiers(cohort, memoryview(payload))
        joint, asked = shares[1][0], queries(scene.plan, key[0])
        seed, *_ = decode_mail(scene.plan, other._open("bank-2", upload.mail[1]))
        known = [
            verifier_share(scene.plan, share, joint, asked)
            for share in (upload.share, expanded_share(scene.plan, seed))
        ]
        zero = np.zeros_like(known[0])
        shares[1] = joint, subtract(subtract(zero, known[0]), known[1])
        return encode_verifiers(shares)

    lying = Altered(Listens(), cohort, HOLDERS[0], VERIFY, forged)
    parties: dict[str, Party] = {"bank-2": SaysAgain(answer)} | ({HOLDERS[0]: lying} if helped else {})
    outcome = scene.run(parties)
    assert ("bank-2" in outcome.sum.contributors) == helped
    expected = np.array(scene.total([0, 2, 3, 4]))
    if helped:
        lie = scene.updates[1].copy()
        lie[0] += 300 - lie[0] % 2
        expected = expected + lie
    assert outcome.sum.total.tolist() == expected.tolist()


class SaysAgain:
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def respond(self, request: bytes) -> bytes:
        return self._answer


GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda payload: b"",
    "truncated": lambda payload: payload[:-1],
    "no elements": lambda payload: payload[:-8] + b"\xff" * 8,
}


@pytest.mark.parametrize("stage", [VERIFY, SUM_SHARES])
@pytest.mark.parametrize("change", GARBAGE.values(), ids=GARBAGE)
def test_garbage_from_a_holder_stops_the_sum(scene: Scene, stage: str, change: Callable[[bytes], bytes]) -> None:
    cohort = scene.cohort()
    holder = scene.deployment.trustees(cohort)[HOLDERS[1]]
    with pytest.raises(DropoutError, match="share-holder-2"):
        scene.run({HOLDERS[1]: Altered(holder, cohort, HOLDERS[1], stage, change)})


def test_the_aggregator_never_holds_a_seed(scene: Scene) -> None:
    """In all that it can reach while it waits for the last answers; what it was sent in the clear is found there."""
    cohort = scene.cohort()
    parties, server = scene.parties(cohort), scene.deployment.server(cohort)
    answer = parties["bank-1"].respond(seal(cohort, UPLOAD, AGGREGATOR, "bank-1"))
    parties["bank-1"] = SaysAgain(answer)
    stage = next(server)
    for _ in range(2):
        stage = server.send(iter([(n, parties[n].respond(data)) for n, data in stage.requests.items()]))
    verified = [scene.deployment._holders[holder].verified for holder in HOLDERS]
    seeds = [seed for made in verified if made for seed in made.seeds.values()]
    assert len(seeds) == 10
    things = [bytes(thing) for thing in reachable(server) if isinstance(thing, (bytes, bytearray, memoryview))]
    assert not any(seed in thing for seed in seeds for thing in things)
    blind = scene.upload(SaysAgain(answer), "bank-1", cohort).blind
    assert any(blind in thing for thing in things)


# What breaks it, as custody says


def test_the_aggregator_and_all_holders_together_read_an_update(scene: Scene) -> None:
    """And what all but one of them have adds up to noise."""
    upload, cohort = scene.upload(scene.client(3), "bank-4"), scene.cohort()
    opened = scene.plan.circuit.truncate(upload.share.inputs)
    assert (opened > 255).any()
    for place, holder in enumerate(HOLDERS):
        party: Any = scene.deployment.trustees(cohort)[holder]
        seed, *_ = decode_mail(scene.plan, party._open("bank-4", upload.mail[place]))
        opened = add(opened, scene.plan.circuit.truncate(expanded_share(scene.plan, seed).inputs))
        assert ((opened > 255).sum() > 3) == (holder != HOLDERS[-1])
    assert opened.tolist() == scene.updates[3].tolist()


def test_an_aggregator_that_makes_up_all_banks_but_one_reads_that_one(scene: Scene) -> None:
    made_up = drawn(5, 6, seed=9)
    made_up[2] = scene.updates[2]
    instead: dict[str, Party] = {bank: scene.client(row, None, made_up[row]) for row, bank in enumerate(scene.banks)}
    outcome = scene.run(instead)
    others = [0, 1, 3, 4]
    assert (outcome.sum.total - made_up[others].sum(axis=0)).tolist() == scene.updates[2].tolist()


def test_holders_that_are_given_different_keys_have_honest_banks_fail_and_show_nothing(scene: Scene) -> None:
    uploads = scene.uploads()
    first, second = scene.verify(0, uploads), scene.verify(1, uploads, bytes(32))
    asked = queries(scene.plan, KEY)
    for row, upload in uploads.items():
        joint, share = first[row]
        assert second[row][0] == joint
        message = add(add(share, second[row][1]), verifier_share(scene.plan, upload.share, joint, asked))
        assert not any(map(decide, message))
        assert len(np.unique(message)) == message.size, "no number of it is known beforehand"
