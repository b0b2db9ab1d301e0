"""What the gateway's chronicle makes of what it is told and of the post: who is where, since when, what is finished."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from secure_fl.data import Standardization
from secure_fl.federation.global_model import GlobalModel
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.transcript import Delivery
from secure_fl.settings import Experiment
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.orders import ASK, FINISHED, HELLO, MODEL, About
from secure_fl.transport.patience import Patience
from secure_fl.transport.post import SILENT_SECONDS, Post
from secure_fl.transport.roster import Member, Roster
from secure_fl.transport.state import State
from secure_fl.transport.status.chronicle import LONGEST_REASON, MOST_TROUBLES, Chronicle
from secure_fl.transport.status.page import render, render_live
from secure_fl.transport.status.snapshot import PartyStatus, Phase, Stage, Status, Traffic
from tests.transport.test_post import Clock

PATIENCE = Patience(stage=40.0, train=400.0, absent=20.0)
CANARY = "canary-6f1d"


@pytest.fixture(scope="module")
def roster(tmp_path_factory: pytest.TempPathFactory) -> Roster:
    folder = tmp_path_factory.mktemp("chronicle") / "c"
    return make_certificates(folder, Experiment(scheme="ckks", rounds=3), ["localhost"])


class Told:
    """A chronicle, its post, and the time."""

    def __init__(self, roster: Roster) -> None:
        self.clock = Clock()
        self.clock.now = 100.0
        self.post = Post(roster.parties, self.clock)
        self.chronicle = Chronicle(roster, self.post, PATIENCE, self.clock)

    @property
    def status(self) -> Status:
        return self.chronicle.status()

    def party(self, name: str) -> PartyStatus:
        return next(each for each in self.status.parties if each.member.name == name)

    def come(self, *names: str) -> None:
        for name in names:
            asyncio.run(self.post.next(name, "p", 0, 0.0))

    def ask(self, name: str, kind: str = ASK, round_: int = 1, stage: str = "upload", attempt: int = 1) -> int:
        facts = {"stage": stage} if kind == ASK else {}
        return self.post.send(name, kind, About("", round_, attempt, 1, ""), facts)


@pytest.fixture
def told(roster: Roster) -> Told:
    return Told(roster)


def state(number: int, *contributors: tuple[str, ...]) -> State:
    deliveries = (
        Delivery(0, 1, "upload", "bank-1", AGGREGATOR, 30, ""),
        Delivery(1, 1, "broadcast", AGGREGATOR, "bank-1", 500, ""),
        Delivery(1, 1, "upload", "bank-1", AGGREGATOR, 70, ""),
        Delivery(1, 2, "upload", "bank-2", AGGREGATOR, 5, ""),
    )
    model = GlobalModel(np.zeros(2, dtype=np.float32), 1.0, None)
    return State("f", number, Standardization((), ()), model, contributors, (1,) * number, deliveries)


def test_who_has_not_come_is_absent_and_is_waited_for(told: Told) -> None:
    told.come("bank-1")
    assert told.status.phase is Phase.GATHERING
    assert told.status.those("absent") == ("bank-2", "bank-3", "key-authority")
    assert told.party("bank-2").why == "it has not come yet"
    assert (told.party("bank-1").place, told.party("bank-1").since) == ("there", 100.0)


def test_who_gives_no_sign_is_late_and_then_absent_since_the_last_one(told: Told) -> None:
    told.come("bank-1")
    told.clock.now += SILENT_SECONDS
    assert told.party("bank-1").place == "there"
    told.clock.now += 1
    assert (told.party("bank-1").place, told.party("bank-1").since) == ("late", 100.0)
    told.clock.now = 100.0 + PATIENCE.absent + 1
    assert (told.party("bank-1").place, told.party("bank-1").why) == ("absent", "no sign of it")
    told.post.sign("bank-1")
    assert (told.party("bank-1").place, told.party("bank-1").since) == ("there", told.clock.now)


@pytest.mark.parametrize(("kind", "half"), [(ASK, 20.0), (MODEL, 200.0)])
def test_who_takes_more_than_half_of_its_time_is_late(told: Told, kind: str, half: float) -> None:
    told.come("bank-1")
    told.ask("bank-1", kind)
    told.clock.now += half
    told.post.sign("bank-1")
    assert told.party("bank-1").place == "there"
    told.clock.now += 1
    told.post.sign("bank-1")
    assert (told.party("bank-1").place, told.party("bank-1").since) == ("late", 100.0)
    assert "half of its time" in told.party("bank-1").why


def test_what_is_waited_for_from_whom(told: Told) -> None:
    told.come("bank-1", "bank-2", "bank-3")
    for name in ("bank-1", "bank-2"):
        told.ask(name, attempt=2)
    told.ask("bank-3", HELLO)
    number = told.ask("bank-3", attempt=2)
    told.post.answer("bank-3", number, b"said")
    stage = told.status.stage
    assert stage is not None
    assert (stage.parties, stage.answered, stage.asked.round, stage.asked.attempt) == (3, 1, 1, 2)
    assert told.status.due == ("bank-1", "bank-2")
    due = told.party("bank-1").due
    assert due is not None
    assert (due.what, due.at) == ("upload", 100.0)
    list(told.post.collect({"bank-1": 1, "bank-2": 1}, 0))
    assert len(told.status.due) == 0
    assert told.status.stage == Stage(stage.asked, 3, 1)


def test_who_knows_that_it_is_over_is_done_and_not_late_for_good(told: Told) -> None:
    told.come("bank-1", "bank-2")
    told.chronicle.over()
    number = told.ask("bank-1", FINISHED)
    told.post.answer("bank-1", number, b"yes")
    told.ask("bank-2", FINISHED)
    told.clock.now += PATIENCE.absent + 1
    told.post.sign("bank-2")
    assert told.status.phase is Phase.OVER
    assert told.status.round is None
    assert (told.party("bank-1").place, told.party("bank-2").place) == ("done", "there")


def test_who_was_revoked_is_said_to_be(roster: Roster) -> None:
    clock = Clock()
    less = roster.without("bank-2")
    post = Post(each.name for each in less.in_sums)
    chronicle = Chronicle(less, post, PATIENCE, clock)
    assert chronicle.status().those("revoked") == ("bank-2",)


def test_who_serves_scores_or_asks_for_them_has_no_part_in_it(roster: Roster) -> None:
    others = (Member("scorer", "scorer", "a" * 64), Member("corner-shop", "customer", "b" * 64))
    with_scores = replace(roster, members=(*roster.members, *others))
    chronicle = Chronicle(with_scores, Post(each.name for each in with_scores.in_sums), PATIENCE, Clock())
    assert {party.member.name for party in chronicle.status().parties} == {each.name for each in roster.in_sums}


def test_bytes_are_the_party_s_and_the_round_s(told: Told) -> None:
    told.chronicle.sent("bank-1", 3)
    told.chronicle.began(0)
    told.chronicle.received("bank-1", 10)
    told.chronicle.finished(state(0))
    told.chronicle.began(1)
    told.chronicle.received("bank-1", 100)
    told.chronicle.failed(1, "too few")
    told.chronicle.received("bank-2", 1_000)
    assert told.status.traffic == Traffic(1_100, 0)
    assert told.party("bank-1").in_round == Traffic(100, 0)
    assert told.party("bank-1").in_all == Traffic(110, 3)
    told.clock.now += 4
    told.chronicle.finished(state(1, ("bank-1", "bank-2")))
    zero, one = told.status.finished
    assert (zero.traffic, zero.contributors, zero.missing) == (Traffic(10, 3), (), ())
    assert (one.traffic, one.seconds, one.attempts) == (Traffic(1_100, 0), 4.0, 1)
    assert (one.contributors, one.missing) == (("bank-1", "bank-2"), ("bank-3",))
    assert told.status.in_all == Traffic(1_110, 3)


def test_a_gateway_that_was_started_again_knows_its_finished_rounds(told: Told) -> None:
    told.chronicle.resumed(state(1, ("bank-1", "bank-2")))
    zero, one = told.status.finished
    assert (zero.number, zero.traffic, zero.seconds) == (0, Traffic(30, 0), None)
    assert (one.contributors, one.missing, one.traffic) == (("bank-1", "bank-2"), ("bank-3",), Traffic(75, 500))
    assert told.status.resumed == told.chronicle.last_finished == 1
    told.chronicle.began(2)
    told.chronicle.finished(state(2, ("bank-1", "bank-2"), ("bank-1",)))
    assert [each.number for each in told.status.finished] == [0, 1, 2]


def test_troubles_add_up_and_do_not_grow_without_end(told: Told) -> None:
    for number in (1, 2, 2):
        told.chronicle.refused(number, {"bank-1": "no"})
        told.clock.now += 1
    told.chronicle.failed(1, "x" * 1_000)
    first, last = told.status.troubles
    assert (first.party, first.times, first.last, first.first_round, first.round) == ("bank-1", 3, 102.0, 1, 2)
    assert (last.party, len(last.why)) == ("", LONGEST_REASON)
    for number in range(2 * MOST_TROUBLES):
        told.chronicle.failed(number, f"for the {number}. time")
    assert len(told.status.troubles) == MOST_TROUBLES
    assert told.status.troubles[-1].round == 2 * MOST_TROUBLES - 1


def test_an_end_with_an_error_and_one_without(told: Told, roster: Roster) -> None:
    told.chronicle.gave_up("the disk is full; make room")
    assert (told.status.phase, told.status.ended) == (Phase.GIVEN_UP, False)
    told.chronicle.ended()
    assert (told.status.error, told.status.ended) == ("the disk is full; make room", True)
    other = Told(roster)
    other.chronicle.over()
    other.chronicle.ended()
    assert (other.status.phase, other.status.ended, other.status.error) == (Phase.OVER, True, "")


def test_nothing_that_orders_and_answers_hold_is_in_it(told: Told, tmp_path: Path) -> None:
    """Their bodies, facts, sessions and contexts, and a model's weights."""
    told.come("bank-1", "bank-2")
    told.chronicle.began(1)
    about = About(CANARY, 1, 1, 1, CANARY)
    for name in ("bank-1", "bank-2"):
        facts = {"stage": "upload", "key": CANARY, "mean": [CANARY]}
        number = told.post.send(name, ASK, about, facts, CANARY.encode())
    told.post.answer("bank-2", number, CANARY.encode())
    weights = np.frombuffer(CANARY.encode()[:8], dtype="<f4")
    kept = State(CANARY, 1, Standardization((), ()), GlobalModel(weights, 1.0, None), (("bank-1",),), (1,), ())
    told.chronicle.finished(kept)
    status = told.status
    for text in (repr(status), render(status, told.clock()), render_live(status, told.clock())):
        assert "upload" in text
        assert CANARY not in text
        assert str(weights[0]) not in text
