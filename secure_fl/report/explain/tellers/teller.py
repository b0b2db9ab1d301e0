"""From a recording to steps: one for what the aggregator asks of all, one for each answer, silence or refusal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from secure_fl.report.explain.recording import Recording, Round, Sent
from secure_fl.report.explain.story import Field, Line, Message, Step, Work, shown
from secure_fl.secagg.messages import AGGREGATOR, HEADER_BYTES
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import SecureSum


class Told(NamedTuple):
    """What a step says, and what a party computed before it."""

    title: str
    text: str
    work: tuple[Work, ...] = ()


class Teller(ABC):
    """Tells one recording of one scheme."""

    made_up: frozenset[str] = frozenset()
    """Banks that a lying aggregator plays itself."""
    conclusion: Callable[[SecureSum], Told] | None = None
    """How it ends instead, where somebody lied."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.cohort = recording.cohort
        self.banks = recording.cohort.banks

    @abstractmethod
    def ask(self, stage: str, recipients: tuple[str, ...]) -> Told:
        """What the aggregator asks in a stage."""

    @abstractmethod
    def answer(self, stage: str, sender: str) -> Told:
        """What a party answers."""

    @abstractmethod
    def fields(self, sent: Sent) -> Iterator[Field]:
        """What is in a message, behind its envelope."""

    @abstractmethod
    def end(self) -> Told:
        """How the aggregator has the sum. Asked only where there is one."""

    def hint(self, members: frozenset[str], bank: str) -> str:
        """What these parties know of a bank whose numbers they do not have; a sentence, or nothing."""
        return ""

    def before(self) -> Iterator[Step]:
        """What came before the first stage."""
        yield from ()

    def steps(self) -> Iterator[Step]:
        yield from self.before()
        for each in self.recording.rounds:
            yield from self._round(each)
        yield self._ending()

    def message(self, sent: Sent) -> Message:
        if not self.recording.is_intact(sent):
            altered = Field("altered message", sent.data, "its checksum does not match, so it counts as none")
            return Message(sent.sender, sent.recipient, len(sent.data), (altered,))
        fields = (envelope(self.recording, sent), *self.fields(sent))
        return Message(sent.sender, sent.recipient, len(sent.data), fields)

    def _round(self, round_: Round) -> Iterator[Step]:
        requests = [sent for sent in round_.requests if sent.recipient not in self.made_up]
        told = self.ask(round_.stage, tuple(sent.recipient for sent in requests))
        yield Step(told.title, told.text, round_.stage, tuple(map(self.message, requests)), told.work)
        for name in (sent.recipient for sent in round_.requests):
            if name in self.made_up:
                text = f"Zeros, in its name. {name} itself is not asked, and sends nothing."
                yield Step(
                    f"The aggregator makes up an upload of {name}", text, round_.stage, at=AGGREGATOR, trouble=True
                )
            elif name in round_.answers:
                sent = round_.answers[name]
                told = self.answer(round_.stage, name)
                yield Step(told.title, told.text, round_.stage, (self.message(sent),), told.work)
            elif name in round_.refusals:
                text = f"{round_.refusals[name]}. A party that sees the protocol broken answers nothing more."
                yield Step(f"{name} refuses", text, round_.stage, at=name, trouble=True)
            else:
                text = f"{name} does not answer. For the protocol a missing answer is a dropout, whatever its cause."
                yield Step(f"{name} is silent", text, round_.stage, at=name, trouble=True)

    def _ending(self) -> Step:
        outcome = self.recording.outcome
        if outcome is None:
            text = f"{self.recording.error}. An attempt that fails opens nothing; a new one has fresh keys and masks."
            return Step("There is no sum", text, at=AGGREGATOR, trouble=True)
        told = self.conclusion(outcome.sum) if self.conclusion else self.end()
        refused = "".join(f" {party}: {why}." for party, why in outcome.refused.items())
        return Step(told.title, told.text + refused, work=told.work, at=AGGREGATOR, trouble=bool(refused))


def sum_line(total: SecureSum, updates: Mapping[str, IntVector]) -> Line:
    """The sum as it was opened, and whether it is one."""
    exact = (total.total == sum(updates[bank] for bank in total.contributors)).all()
    label = f"the sum of {listed(sorted(total.contributors))}, exactly" if exact else "no sum of their numbers"
    return Line("=", label, shown(total.total))


def envelope(recording: Recording, sent: Sent) -> Field:
    """The checked head of a message."""
    cohort = recording.cohort
    meaning = (
        f"{cohort.plan.scheme}, {sent.stage}, round {cohort.round}, attempt {cohort.attempt}, {sent.sender} to "
        f"{sent.recipient}, {len(sent.data) - HEADER_BYTES:,} bytes follow; session, digest of all that was agreed, "
        "checksum"
    )
    return Field("envelope", sent.data[:HEADER_BYTES], meaning)


def listed(names: tuple[str, ...] | list[str]) -> str:
    """In words."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nobody"
