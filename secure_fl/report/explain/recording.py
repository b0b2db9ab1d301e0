"""One secure sum with every message kept, and with parties that may lie.

A transcript holds no payload, on purpose; here all parties are in one process and nothing is anybody's but ours, so the
bytes are kept too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import AGGREGATOR, Cohort, Message, open_message, seal
from secure_fl.secagg.protocol import Outcome, Party, Replies, SecureSum, ServerHalf, Stage, reason, run_protocol
from secure_fl.secagg.transcript import Transcript

Change = Callable[[Message], bytes]
"""From a message as it should be to its payload as a liar has it."""
Heard = Mapping[tuple[str, str], bytes]
"""Answers so far, by stage and sender."""
Ask = Callable[[Stage, Heard], Stage]
"""From what the aggregator should ask to what a lying one asks."""


@dataclass(frozen=True)
class Sent:
    """A message that travelled."""

    stage: str
    sender: str
    recipient: str
    data: bytes = field(repr=False)


@dataclass
class Tape(Transcript):
    """A transcript with the bytes of its messages."""

    sent: list[Sent] = field(default_factory=list)

    def record(self, cohort: Cohort[Plan], stage: str, sender: str, recipient: str, data: bytes) -> None:
        super().record(cohort, stage, sender, recipient, data)
        self.sent.append(Sent(stage, sender, recipient, data))


@dataclass(frozen=True)
class Round:
    """One stage, or one time that it was asked: what the aggregator asked, and what came of it."""

    stage: str
    requests: tuple[Sent, ...]
    answers: Mapping[str, Sent]
    refusals: Mapping[str, str]
    """Parties that would not answer, with their reason."""


@dataclass(frozen=True)
class Recording:
    """A sum that ended, or that could not."""

    cohort: Cohort[Any]
    rounds: tuple[Round, ...]
    outcome: Outcome | None
    error: ProtocolError | None
    before: tuple[Sent, ...] = ()
    """What was exchanged before the first stage."""

    @property
    def sum(self) -> SecureSum | None:
        return self.outcome.sum if self.outcome else None

    def round(self, stage: str) -> Round | None:
        """The stage, if it was reached; as it was asked first."""
        return next((each for each in self.rounds if each.stage == stage), None)

    def payload(self, sent: Sent) -> memoryview:
        """What is in a message behind its envelope. Raises `MessageError` where it was altered."""
        opened = open_message(self.cohort, sent.data, recipient=sent.recipient, sender=sent.sender)
        return opened.payload

    def is_intact(self, sent: Sent) -> bool:
        """Whether its recipient reads it."""
        try:
            self.payload(sent)
        except MessageError:
            return False
        return True

    def answer(self, stage: str, party: str) -> memoryview | None:
        """What a party answered; None where nothing arrived that can be read."""
        found = self.round(stage)
        sent = found.answers.get(party) if found else None
        return self.payload(sent) if sent is not None and self.is_intact(sent) else None


@dataclass
class Watched:
    """A party whose refusals are noted, and whose answers a liar may change before they leave."""

    party: Party
    refusals: dict[str, str]
    name: str
    lie: Callable[[bytes], bytes] = bytes

    def respond(self, request: bytes) -> bytes:
        try:
            return self.lie(self.party.respond(request))
        except ProtocolError as error:
            self.refusals[self.name] = reason(error)
            raise


def record(
    cohort: Cohort[Plan],
    server: ServerHalf,
    parties: Mapping[str, Party],
    drop: Mapping[str, str] | None = None,
    lies: Mapping[str, Change] | None = None,
    asks: Ask | None = None,
    setup: Callable[[Cohort[Any], Transcript], None] | None = None,
) -> Recording:
    """Run a sum. `lies`: parties that send something else; `asks`: an aggregator's lie about what it asks; `setup`: of
    a deployment, where keys travel before the first stage.
    """
    tape, refusals = Tape(), dict[str, str]()
    if setup is not None:
        setup(cohort, tape)
    before = tuple(tape.sent)
    watched = {
        name: Watched(party, refusals, name, _liar(cohort, name, (lies or {}).get(name)))
        for name, party in parties.items()
    }
    outcome, error = None, None
    try:
        outcome = run_protocol(cohort, server if asks is None else _lying(server, asks), watched, tape, drop)
    except ProtocolError as failed:
        error = failed
    return Recording(cohort, tuple(_rounds(tape.sent[len(before) :], refusals)), outcome, error, before)


def changed(cohort: Cohort[Plan], stage: Stage, recipient: str, change: Change) -> Stage:
    """The stage with another payload for one recipient."""
    asked = open_message(cohort, stage.requests[recipient], recipient=recipient, sender=AGGREGATOR)
    altered = seal(cohort, stage.name, AGGREGATOR, recipient, change(asked))
    return Stage(stage.name, {**stage.requests, recipient: altered})


def _liar(cohort: Cohort[Plan], name: str, change: Change | None) -> Callable[[bytes], bytes]:
    if change is None:
        return bytes

    def lie(answer: bytes) -> bytes:
        said = open_message(cohort, answer, recipient=AGGREGATOR, sender=name)
        return seal(cohort, said.stage, name, AGGREGATOR, change(said))

    return lie


def _lying(server: ServerHalf, asks: Ask) -> ServerHalf:
    """The aggregator's half, whose requests are changed before they leave."""
    heard = dict[tuple[str, str], bytes]()
    stage = next(server)
    while True:
        replies = yield asks(stage, heard)
        try:
            stage = server.send(_noted(replies, stage.name, heard))
        except StopIteration as finished:
            total: SecureSum = finished.value
            return total


def _noted(replies: Replies, stage: str, heard: dict[tuple[str, str], bytes]) -> Replies:
    for sender, answer in replies:
        heard[stage, sender] = answer
        yield sender, answer


def _rounds(sent: list[Sent], refusals: Mapping[str, str]) -> Iterator[Round]:
    """Messages by stage, and by time where somebody was asked twice in one."""
    asked, times = set[tuple[str, str]](), list[int]()
    for each in sent:
        again = (each.stage, each.recipient) in asked and each.sender == AGGREGATOR
        asked = set() if again else asked
        asked |= {(each.stage, each.recipient)} if each.sender == AGGREGATOR else set()
        times.append((times[-1] if times else 0) + again)
    for (stage, _), group in groupby(zip(sent, times, strict=True), key=lambda pair: (pair[0].stage, pair[1])):
        messages = tuple(each for each, _ in group)
        requests = tuple(each for each in messages if each.sender == AGGREGATOR)
        answers = {each.sender: each for each in messages if each.sender != AGGREGATOR}
        silent = [each.recipient for each in requests if each.recipient not in answers]
        yield Round(stage, requests, answers, {name: refusals[name] for name in silent if name in refusals})
