"""The loop that runs a protocol in memory, and what every server half must make of the replies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from secure_fl.errors import DropoutError, ProtocolError
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import pack_bits
from secure_fl.secagg.protocol import Attendance, Party, SecureSum, ServerHalf, Stage, request, run_protocol, to_blame
from secure_fl.secagg.transcript import Transcript

CohortFactory = Callable[..., Cohort[Any]]
Send = Callable[..., Any]
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


@dataclass
class Tapped:
    """A party whose messages are written down: what a transcript must agree with."""

    party: Party
    name: str
    tape: list[tuple[str, str, int, str]]

    def respond(self, request: bytes) -> bytes:
        self._record(AGGREGATOR, self.name, request)
        answer = self.party.respond(request)
        self._record(self.name, AGGREGATOR, answer)
        return answer

    def _record(self, sender: str, recipient: str, data: bytes) -> None:
        self.tape.append((sender, recipient, len(data), hashlib.sha256(data).hexdigest()))


def parties_of(scheme: str, cohort: Cohort[Any]) -> tuple[ServerHalf, dict[str, Party]]:
    deployed = SCHEMES[scheme].deploy(cohort.plan)
    values = np.ones(cohort.plan.parameters, dtype=np.int64)
    clients = {bank: deployed.client(cohort, bank, values) for bank in cohort.banks}
    return deployed.server(cohort), {**clients, **deployed.trustees(cohort)}


@every_scheme
def test_the_transcript_is_what_went_over_the_wires(scheme: str, make_cohort: CohortFactory) -> None:
    server, parties = parties_of(scheme, make_cohort(scheme))
    tape: list[tuple[str, str, int, str]] = []
    transcript = Transcript()
    tapped = {name: Tapped(party, name, tape) for name, party in parties.items()}
    run_protocol(make_cohort(scheme), server, tapped, transcript)
    assert [(d.sender, d.recipient, d.nbytes, d.sha256) for d in transcript.deliveries] == tape
    assert len(tape) == 2 * (3 * len(SCHEMES[scheme].stages) + len(SCHEMES[scheme].trustees))


@every_scheme
def test_setup_records_the_public_key_once_for_every_holder(scheme: str, make_cohort: CohortFactory) -> None:
    cohort, transcript = make_cohort(scheme), Transcript()
    SCHEMES[scheme].deploy(cohort.plan).setup(cohort, transcript)
    recipients = [d.recipient for d in transcript.deliveries]
    assert recipients == ([AGGREGATOR, *cohort.banks] if "key-authority" in SCHEMES[scheme].trustees else [])


def test_uploads_and_downloads_are_counted_by_round_and_party(make_cohort: CohortFactory) -> None:
    transcript = Transcript()
    for round_, sender, recipient, data in [
        (1, AGGREGATOR, "a", b"12345"),
        (1, "a", AGGREGATOR, b"123"),
        (1, "a", AGGREGATOR, b"1"),
        (1, "b", AGGREGATOR, b"12"),
        (2, "a", AGGREGATOR, b"1234567"),
        (1, "key-authority", "a", b"not the aggregator's"),
    ]:
        transcript.record(replace(make_cohort("plaintext"), round=round_), "stage", sender, recipient, data)
    assert transcript.uploads(1) == {"a": 4, "b": 2}
    assert transcript.uploads(2) == {"a": 7}
    assert transcript.downloads(1) == {"a": 5}
    assert transcript.downloads(2) == {}


@every_scheme
def test_times_name_every_party_that_answered(scheme: str, make_cohort: CohortFactory) -> None:
    cohort = make_cohort(scheme)
    server, parties = parties_of(scheme, cohort)
    outcome = run_protocol(cohort, server, parties, Transcript(), {"bank-2": SCHEMES[scheme].stages[0]})
    assert set(outcome.party_seconds) == set(parties) - {"bank-2"}


@dataclass
class Echo:
    """Answers every request with itself, and remembers it."""

    asked: list[bytes] = field(default_factory=list)

    def respond(self, request: bytes) -> bytes:
        self.asked.append(request)
        return request


def three_stages(cohort: Cohort[Any], heard: list[list[str]]) -> ServerHalf:
    for name in ("first", "second", "third"):
        replies = yield request(cohort, name, cohort.banks)
        heard.append([bank for bank, _ in replies])
    return SecureSum(np.zeros(1), frozenset(heard[-1]))


@pytest.mark.parametrize(
    ("error", "told"), [(TimeoutError(), "it could not be reached"), (ConnectionResetError("gone"), "gone")]
)
def test_a_bank_that_is_cut_off_is_named_with_a_reason(error: Exception, told: str, make_cohort: CohortFactory) -> None:
    class CutOff:
        def respond(self, request: bytes) -> bytes:
            raise error

    cohort = make_cohort("plaintext")
    server, parties = parties_of("plaintext", cohort)
    outcome = run_protocol(cohort, server, parties | {"bank-2": CutOff()}, Transcript())
    assert outcome.refused == {"bank-2": told}


def test_a_party_that_dropped_stays_away(make_cohort: CohortFactory) -> None:
    cohort, heard = make_cohort("plaintext"), list[list[str]]()
    parties = {bank: Echo() for bank in cohort.banks}
    run_protocol(cohort, three_stages(cohort, heard), parties, Transcript(), {"bank-2": "second", "bank-3": "third"})
    assert heard == [["bank-1", "bank-2", "bank-3"], ["bank-1", "bank-3"], ["bank-1"]]
    assert [len(party.asked) for party in parties.values()] == [3, 1, 2]


@pytest.mark.parametrize("error", [ProtocolError("no; try again"), ConnectionResetError("gone")])
def test_a_bank_that_refused_once_is_not_asked_again_in_the_attempt(
    error: Exception, make_cohort: CohortFactory
) -> None:
    class Moody(Echo):
        def respond(self, request: bytes) -> bytes:
            super().respond(request)
            if len(self.asked) == 1:
                raise error
            return request

    cohort, heard = make_cohort("plaintext"), list[list[str]]()
    parties = {"bank-1": Echo(), "bank-2": Moody(), "bank-3": Echo()}
    run_protocol(cohort, three_stages(cohort, heard), parties, Transcript())
    assert heard == [["bank-1", "bank-3"]] * 3
    assert [len(party.asked) for party in parties.values()] == [3, 1, 3]


def test_who_is_left_out_is_not_asked_and_who_dropped_is_asked_in_vain(make_cohort: CohortFactory) -> None:
    cohort, heard, transcript = make_cohort("plaintext"), list[list[str]](), Transcript()
    parties = {bank: Echo() for bank in cohort.banks}
    run_protocol(cohort, three_stages(cohort, heard), parties, transcript, {"bank-3": "first"}, {"bank-2"})
    assert heard == [["bank-1"]] * 3
    assert [len(party.asked) for party in parties.values()] == [3, 0, 0]
    assert [d.recipient for d in transcript.deliveries if d.sender == AGGREGATOR] == ["bank-1", "bank-3"] * 3
    assert {d.sender for d in transcript.deliveries} == {AGGREGATOR, "bank-1"}


def test_a_protocol_may_end_without_any_answer(make_cohort: CohortFactory) -> None:
    cohort, heard = make_cohort("plaintext"), list[list[str]]()
    gone = dict.fromkeys(cohort.banks, "first")
    run_protocol(cohort, three_stages(cohort, heard), {}, Transcript(), gone)
    assert heard == [[], [], []]


def test_a_silent_key_authority_ends_the_round(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("ckks")
    server, parties = parties_of("ckks", cohort)
    with pytest.raises(DropoutError, match="key authority did not answer"):
        run_protocol(cohort, server, parties, Transcript(), {"key-authority": "decrypt"})


@pytest.mark.parametrize("scheme", ["ckks", "bfv", "rlwe"])
@pytest.mark.parametrize("beyond", [False, True])
def test_a_sum_that_banks_cannot_have_added_up_is_not_taken(
    scheme: str, beyond: bool, make_cohort: CohortFactory, send: Send
) -> None:
    """Two of three banks are in it, so its range is theirs."""
    cohort = make_cohort(scheme, 10)
    server, parties = parties_of(scheme, cohort)
    asked = next(server).requests
    send(server, ((bank, parties[bank].respond(asked[bank])) for bank in cohort.banks[:2]))
    opened = np.full(10, 2 * 255 + beyond)
    answer = seal(cohort, "decrypt", "key-authority", AGGREGATOR, pack_bits(opened, cohort.plan.field_bits))
    if beyond:
        with pytest.raises(DropoutError, match="beyond what its banks can have added up"):
            server.send(iter([("key-authority", answer)]))
    else:
        assert send(server, iter([("key-authority", answer)])).total.tolist() == opened.tolist()


def test_neither_stages_nor_their_requests_are_shown(make_cohort: CohortFactory) -> None:
    assert "secret" not in repr(request(make_cohort("plaintext"), "upload", ("bank-1",), b"secret"))


class Upload(bytes):
    """Bytes that count how many of them are alive."""

    alive: ClassVar[int] = 0

    def __init__(self, _: bytes) -> None:
        type(self).alive += 1

    def __del__(self) -> None:
        type(self).alive -= 1


@every_scheme
def test_a_server_half_holds_one_upload_at_a_time(scheme: str, make_cohort: CohortFactory, send: Send) -> None:
    cohort = make_cohort(scheme)
    server, parties = parties_of(scheme, cohort)
    asked = next(server).requests
    held: list[int] = []

    def one_by_one() -> Iterator[tuple[str, bytes]]:
        for bank in cohort.banks:
            held.append(Upload.alive)
            yield bank, Upload(parties[bank].respond(asked[bank]))

    send(server, one_by_one())
    assert len(held) == 3
    assert max(held) <= 1  # the one that was added last


def answers_of(scheme: str, cohort: Cohort[Any]) -> tuple[ServerHalf, dict[str, Party], dict[str, bytes]]:
    """A server half that waits for uploads, the parties, and each bank's honest upload."""
    server, parties = parties_of(scheme, cohort)
    asked = next(server).requests
    return server, parties, {bank: parties[bank].respond(asked[bank]) for bank in cohort.banks}


@every_scheme
def test_an_upload_under_another_banks_name_is_refused(scheme: str, make_cohort: CohortFactory, send: Send) -> None:
    server, _, uploads = answers_of(scheme, make_cohort(scheme))
    with pytest.raises(DropoutError, match="only 1 of 3 banks") as caught:
        send(server, iter([("bank-1", uploads["bank-1"]), ("bank-2", uploads["bank-1"])]))
    assert "another sender" in caught.value.refused["bank-2"]


@every_scheme
@pytest.mark.parametrize("answered", [0, 1])
def test_a_server_half_stops_below_the_threshold(
    scheme: str, answered: int, make_cohort: CohortFactory, send: Send
) -> None:
    server, _, uploads = answers_of(scheme, make_cohort(scheme))
    with pytest.raises(DropoutError, match=f"only {answered} of 3 banks"):
        send(server, iter(list(uploads.items())[:answered]))


@every_scheme
@pytest.mark.parametrize("unasked", ["bank-1", "stranger"])
def test_who_answers_twice_or_unasked_is_not_heard(
    scheme: str, unasked: str, make_cohort: CohortFactory, send: Send
) -> None:
    """Two uploads of one bank are one contributor: the threshold of 2 is not reached."""
    server, _, uploads = answers_of(scheme, make_cohort(scheme))
    with pytest.raises(DropoutError, match="only 1 of 3 banks"):
        send(server, iter([("bank-1", uploads["bank-1"]), (unasked, uploads["bank-1"])]))


def test_a_bank_cannot_answer_for_the_key_authority(make_cohort: CohortFactory, send: Send) -> None:
    cohort = make_cohort("ckks")
    server, _, uploads = answers_of("ckks", cohort)
    assert isinstance(send(server, iter(uploads.items())), Stage)
    forged = pack_bits(np.full(cohort.plan.parameters, 7), cohort.plan.field_bits)
    with pytest.raises(ProtocolError):
        send(server, iter([("bank-1", seal(cohort, "decrypt", "bank-1", AGGREGATOR, forged))]))


def test_a_trustee_cannot_upload(make_cohort: CohortFactory, send: Send) -> None:
    cohort = make_cohort("ckks")
    server, _, uploads = answers_of("ckks", cohort)
    upload = open_message(cohort, uploads.pop("bank-3"), recipient=AGGREGATOR, sender="bank-3").payload
    forged = seal(cohort, "upload", "key-authority", AGGREGATOR, bytes(upload))
    uploads.pop("bank-2")
    with pytest.raises(DropoutError, match="only 1 of 3 banks"):
        send(server, iter([*uploads.items(), ("key-authority", forged)]))


class Accuses:
    """Refuses to answer because of another bank."""

    def __init__(self, *accused: str) -> None:
        self._accused = accused

    def respond(self, request: bytes) -> bytes:
        raise ProtocolError("no; ask the others", dict.fromkeys(self._accused, "it sent garbage"))


def test_a_failed_attempt_tells_who_accuses_whom_and_who_was_merely_away(make_cohort: CohortFactory) -> None:
    class Away:
        def respond(self, request: bytes) -> bytes:
            raise TimeoutError

    cohort = make_cohort("plaintext")
    parties: dict[str, Party] = {"bank-1": Echo(), "bank-2": Away(), "bank-3": Accuses("bank-2", "bank-1")}
    with pytest.raises(ProtocolError) as failed:
        run_protocol(cohort, three_stages(cohort, []), parties, Transcript())
    assert str(failed.value).startswith("bank-3 cannot go on because of bank-1, bank-2; ")
    assert failed.value.quarrels == {"bank-3": {"bank-2": "it sent garbage", "bank-1": "it sent garbage"}}
    assert failed.value.absent == {"bank-2": "it could not be reached"}, "who accuses was there"
    assert failed.value.refused == to_blame(failed.value.quarrels)


def test_a_sum_below_the_threshold_says_how_many_of_how_many_when_and_why(
    make_cohort: CohortFactory, send: Send
) -> None:
    cohort = replace(make_cohort("plaintext"), round=7, attempt=3)
    server = SCHEMES["plaintext"].deploy(cohort.plan).server(cohort)
    next(server)
    with pytest.raises(DropoutError) as refused:
        send(server, iter([("bank-3", b""), ("bank-1", bytes(500))]))
    told = "only 0 of 3 banks contributed in round 7 and the threshold is 2 "
    why = {bank: f"a message from {bank} to aggregator" for bank in ("bank-1", "bank-3")}
    assert str(refused.value).startswith(f"{told}(bank-1: {why['bank-1']} ")
    assert str(refused.value).endswith("; wait for more banks")
    assert set(refused.value.refused) == set(why)
    for bank, start in why.items():
        assert f"({bank}: {refused.value.refused[bank]})" in str(refused.value)
        assert refused.value.refused[bank].startswith(start)
        assert "new attempt" not in refused.value.refused[bank], "the reason, without advice"


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError("gone")])
def test_a_trustee_that_is_cut_off_is_named(error: Exception, make_cohort: CohortFactory) -> None:
    class CutOff:
        def respond(self, request: bytes) -> bytes:
            raise error

    cohort = make_cohort("ckks")
    server, parties = parties_of("ckks", cohort)
    with pytest.raises(DropoutError, match="key-authority cannot be reached; without it no sum can be opened"):
        run_protocol(cohort, server, parties | {"key-authority": CutOff()}, Transcript())


def test_a_trustees_own_refusal_is_the_error_of_the_sum(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("ckks")
    server, parties = parties_of("ckks", cohort)
    with pytest.raises(ProtocolError, match="no; ask the others") as refused:
        run_protocol(cohort, server, parties | {"key-authority": Accuses("bank-2")}, Transcript())
    assert refused.value.refused == {"bank-2": "it sent garbage"}


def test_whose_first_answer_cannot_be_used_is_not_heard_again(make_cohort: CohortFactory) -> None:
    """A second try would let whoever stands between change what was said."""
    cohort = make_cohort("plaintext", 4, 8)
    attendance = Attendance(cohort)
    asked = request(cohort, "upload", cohort.banks)
    good = seal(cohort, "upload", "bank-1", AGGREGATOR, pack_bits(np.ones(4, dtype=np.int64), 8))
    replies = [("bank-1", b"garbage"), ("bank-1", good)]
    assert list(attendance.answers(asked, iter(replies), lambda _, payload: bytes(payload))) == []
    assert set(attendance.refused) == {"bank-1"}
