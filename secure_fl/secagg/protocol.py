"""The roles of a secure sum, and the small loop that runs one in memory.

A protocol does no I/O. Its server half is a generator that yields the requests of a stage and is sent an
iterator over the replies; a party that is missing from the replies has dropped out. So a server half reads from
top to bottom like the figure in its paper, and whoever moves the bytes (memory, a gateway, Flower) is one small
loop around it. Replies are consumed one by one, so that a server half need not hold more than one at a time (but for
uploads that others are going to check, `committed`).

One bad party is that party's dropout: an answer that cannot be read counts as none (`Attendance`), and so does a bank
that refuses to answer. Where a bank cannot answer because of what *another* sent it, its refusal says whom it blames,
and the attempt fails; `attempts` makes the next one without them.

A trustee can blame banks too, and lie. Its word counts only where the sum failed because trustees did not answer, and
those who blame somebody would have been enough: not where answers contradict each other, nor of one that has answered.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError, DropoutError, ProtocolError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.transcript import Transcript

T = TypeVar("T")
Values: TypeAlias = NDArray[Any]
"""What a bank contributes: int64 in [0, 2**bits), or float32 where the plan says so; shape [parameters]."""


@dataclass(frozen=True)
class Stage:
    """What the server half asks next: one request for each recipient."""

    name: str
    requests: Mapping[str, bytes] = field(repr=False)
    enough: int | None = None
    """How many trustees must answer, where others can be done without. None: all of them."""


@dataclass(frozen=True)
class SecureSum:
    """The outcome: the exact sum over the banks that contributed, and nothing about any one of them."""

    total: NDArray[Any]
    """Shape [parameters]; integers of any width, or float64 where the plan says float32."""
    contributors: frozenset[str]
    refused: Mapping[str, str] = field(default_factory=dict)
    """Banks that sent something wrong, and what; those whose values had arrived before are contributors all the
    same. And trustees that could be done without."""
    passed_over: frozenset[str] = frozenset()
    """Banks that sent what they should, and that a rule did not choose."""


Replies: TypeAlias = Iterator[tuple[str, bytes]]
ServerHalf: TypeAlias = Generator[Stage, Replies, SecureSum]


class Party(Protocol):
    """A client half, or a trustee such as the key authority."""

    def respond(self, request: bytes) -> bytes:
        """The answer to one request. Raises `ProtocolError` where the request must not be answered."""
        ...


@dataclass(frozen=True)
class Outcome:
    """A secure sum and where its time went, in seconds."""

    sum: SecureSum
    party_seconds: Mapping[str, float]
    server_seconds: float
    refused: Mapping[str, str] = field(default_factory=dict)
    """Banks that sent something wrong, or refused to answer, each with the reason; and trustees that could be done
    without, silent ones too."""


def request(cohort: Cohort[Plan], stage: str, recipients: tuple[str, ...], payload: bytes = b"") -> Stage:
    """A stage that asks the same of all recipients."""
    return Stage(stage, {name: seal(cohort, stage, AGGREGATOR, name, payload) for name in recipients})


class Attendance:
    """Who takes part in a sum, and why others no longer do: an answer that cannot be used is its sender's dropout."""

    def __init__(self, cohort: Cohort[Plan]) -> None:
        self._cohort = cohort
        self.refused: dict[str, str] = {}
        """Party -> what was wrong with its answer."""

    def answers(self, asked: Stage, replies: Replies, read: Callable[[str, memoryview], T]) -> Iterator[tuple[str, T]]:
        """Who gave an answer that can be used, and what `read` made of its payload.

        `read` raises `ProtocolError` for a payload that cannot be used. Whoever was not asked is not heard, and of two
        answers the first one counts.
        """
        missing = set(asked.requests)
        for sender, data in replies:
            if sender not in missing:
                continue
            missing.remove(sender)
            try:
                message = open_message(self._cohort, data, recipient=AGGREGATOR, sender=sender, stage=asked.name)
                answer = read(sender, message.payload)
            except ProtocolError as error:
                self.refused[sender] = reason(error)
            else:
                yield sender, answer

    def from_all(
        self, asked: Stage, replies: Replies, read: Callable[[str, memoryview], T], advice: str
    ) -> dict[str, T]:
        """The same of everybody who was asked. Raises `DropoutError` with `advice` where some gave none."""
        answers = dict(self.answers(asked, replies, read))
        silent = sorted(asked.requests.keys() - answers.keys())
        if silent:
            raise self.dropout(f"{', '.join(silent)} did not answer", advice)
        return answers

    def finish(self, total: NDArray[Any], contributors: Collection[str]) -> SecureSum:
        return SecureSum(total, frozenset(contributors), dict(self.refused))

    def require_threshold(self, contributors: Collection[object]) -> None:
        """Raises `DropoutError` when fewer banks than the plan's threshold have contributed."""
        cohort = self._cohort
        if len(contributors) < cohort.plan.threshold:
            raise self.dropout(
                f"only {len(contributors)} of {len(cohort.banks)} banks contributed in round {cohort.round} and the "
                f"threshold is {cohort.plan.threshold}",
                "wait for more banks",
            )

    def dropout(self, problem: str, advice: str) -> DropoutError:
        """The error of a sum that cannot end, with what is known of those who are missing."""
        return dropout(problem, advice, self.refused)


def dropout(problem: str, advice: str, refused: Mapping[str, str]) -> DropoutError:
    """The error of a sum that cannot end; `refused`: parties whose answers could not be used, each with the reason."""
    known = "".join(f" ({party}: {why})" for party, why in sorted(refused.items()))
    return DropoutError(f"{problem}{known}; {advice}", dict(refused))


def reason(error: Exception) -> str:
    """What is wrong, without what to do about it."""
    return str(error).partition(";")[0]


def require_values(plan: Plan, values: Values) -> None:
    """Raises `ConfigurationError` unless `values` is what the plan is for: one bank's vector, in range."""
    if values.shape != (plan.parameters,):
        raise ConfigurationError(f"{values.shape} values do not fit a plan for {plan.parameters}; plan again")
    if not np.issubdtype(values.dtype, np.floating if plan.bits is None else np.integer):
        raise ConfigurationError(f"values of type {values.dtype} do not fit the plan; quantize them first")
    if plan.bits is not None and (values.min() < 0 or values.max() >= 1 << plan.bits):
        raise ConfigurationError(f"a value lies outside [0, 2**{plan.bits}); clip it or use more bits")


Answer: TypeAlias = bytes | ProtocolError | OSError
"""What comes back: bytes, a party's refusal, or that it could not be reached."""


class Carrier(Protocol):
    """Moves messages between the aggregator and the parties: in memory, or over a network."""

    def carry(self, stage: str, requests: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, Answer]]:
        """Take each request to its recipient; the answers, as they come in. Whoever is silent is missing from them."""
        ...

    @property
    def seconds(self) -> Mapping[str, float]:
        """What was spent outside the aggregator's half, by whom."""
        ...


class InMemory:
    """Parties in this process, asked one after the other."""

    def __init__(self, parties: Mapping[str, Party], clock: Callable[[], float] = time.perf_counter) -> None:
        self._parties, self._clock = parties, clock
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def carry(self, stage: str, requests: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, Answer]]:
        for name, data in requests:
            started = self._clock()
            try:
                answer: Answer = self._parties[name].respond(data)
            except (ProtocolError, OSError) as error:
                answer = error
            self.seconds[name] += self._clock() - started
            yield name, answer


def run_protocol(
    cohort: Cohort[Plan],
    server: ServerHalf,
    parties: Mapping[str, Party],
    transcript: Transcript,
    drop: Mapping[str, str] | None = None,
    left_out: Collection[str] = (),
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Run a server half against parties in this process; every message is really serialized.

    `drop` names, for a party, the first stage that it no longer answers; `left_out` the banks that are not asked at
    all; `clock` gives the seconds of the outcome. Raises `ProtocolError`, whose `refused` names the banks to blame,
    where the sum cannot end.
    """
    return run_carried(cohort, server, InMemory(parties, clock), transcript, drop, left_out, clock=clock)


def run_carried(
    cohort: Cohort[Plan],
    server: ServerHalf,
    carrier: Carrier,
    transcript: Transcript,
    drop: Mapping[str, str] | None = None,
    left_out: Collection[str] = (),
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """The same, wherever the parties are."""
    room = _Room(cohort, carrier, transcript, frozenset(left_out), clock)
    started = clock()
    try:
        stage = next(server)
        while True:
            room.gone |= {name for name, first in (drop or {}).items() if first == stage.name}
            stage = server.send(room.replies(stage))
            if room.blames:
                raise ProtocolError(_blame_text(room.blames))
    except StopIteration as finished:
        spent = dict(carrier.seconds)
        elapsed = clock() - started - sum(spent.values()) - room.bookkeeping
        total: SecureSum = finished.value
        unwilling = {name: reason(error).replace(f"{name} ", "it ", 1) for name, error in room.unwilling.items()}
        return Outcome(total, spent, elapsed, room.absent | dict(total.refused) | unwilling)
    except ProtocolError as error:
        error.refused |= to_blame(room.blames) | room.blamed_by_trustees(error.lacking)
        error.absent |= {name: why for name, why in room.absent.items() if name not in room.blames}
        error.quarrels |= room.blames
        raise


@dataclass
class _Room:
    """The parties of one sum, and what has come of asking them."""

    cohort: Cohort[Plan]
    carrier: Carrier
    transcript: Transcript
    left_out: frozenset[str]
    clock: Callable[[], float]
    gone: set[str] = field(init=False)
    absent: dict[str, str] = field(default_factory=dict)
    blames: dict[str, dict[str, str]] = field(default_factory=dict)
    unwilling: dict[str, ProtocolError] = field(default_factory=dict)
    """Trustees that refused or were cut off."""
    charges: dict[str, dict[str, str]] = field(default_factory=dict)
    """Those of them that blame banks."""
    heard: set[tuple[str, str]] = field(default_factory=set)
    """Who answered at which stage."""
    bookkeeping: float = 0.0
    """Seconds spent on the transcript."""

    def __post_init__(self) -> None:
        self.gone = set(self.left_out)

    def replies(self, stage: Stage) -> Replies:
        """The answers to a stage, as they come in."""
        for name, answer in self.carrier.carry(stage.name, self._requests(stage)):
            if isinstance(answer, bytes):
                self._record(stage.name, name, AGGREGATOR, answer)
                self.heard.add((stage.name, name))
                yield name, answer
            else:
                self._absent(stage, name, answer)

    def _requests(self, stage: Stage) -> Iterator[tuple[str, bytes]]:
        """Whom to ask, and what; who is gone is told and not heard."""
        for name, data in stage.requests.items():
            if name in self.left_out:
                continue
            self._record(stage.name, AGGREGATOR, name, data)
            if name not in self.gone:
                yield name, data

    def blamed_by_trustees(self, lacking: int) -> dict[str, str]:
        """Banks that trustees blame, where so many more of them had to answer; nobody where others are missing too."""
        if not 0 < lacking <= len(self.charges):
            return {}
        return {bank: why for blamed in self.charges.values() for bank, why in blamed.items()}

    def _absent(self, stage: Stage, name: str, error: ProtocolError | OSError) -> None:
        """Somebody refuses or is cut off. Raises where it is a trustee without whom there is no sum."""
        self.gone.add(name)
        if name not in self.cohort.banks:
            self._unwilling(stage, name, error if isinstance(error, ProtocolError) else _cut_off(name))
            return
        self.absent[name] = reason(error) or "it could not be reached"
        if isinstance(error, ProtocolError) and error.refused:
            self.blames[name] = error.refused

    def _unwilling(self, stage: Stage, name: str, error: ProtocolError) -> None:
        charges, error.refused = error.refused, {}
        if charges:
            self.charges[name] = charges
        self.unwilling[name] = error
        needed = len(stage.requests) if stage.enough is None else stage.enough
        if len(stage.requests) - len(self.unwilling.keys() & stage.requests.keys()) < needed:
            raise self._too_few(lacking=0 if (stage.name, name) in self.heard else 1) from None

    def _too_few(self, lacking: int) -> ProtocolError:
        """One trustee's own error where it is alone or says whom to blame; else what all of them say."""
        said = list(self.unwilling.values())
        error = said[0]
        if lacking and self.charges:
            error = self.unwilling[next(iter(self.charges))]
        elif len(said) > 1:
            them = ", ".join(map(reason, said))
            error = DropoutError(f"{them}, so that too few answer; see to it that more do, and make a new attempt")
        error.lacking = lacking
        return error

    def _record(self, stage: str, sender: str, recipient: str, data: bytes) -> None:
        started = self.clock()
        self.transcript.record(self.cohort, stage, sender, recipient, data)
        self.bookkeeping += self.clock() - started


def to_blame(blames: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Whom to leave out, so that nobody is left who blames another who is left; each with a reason.

    `blames`: who blames whom for what. A bank that sends garbage to all is blamed by all, and one that blames all does
    so alone: whoever is in most quarrels goes first. Where two stand against each other, one of them lies, and both go.
    """
    quarrels = {(accuser, accused): why for accuser, them in blames.items() for accused, why in them.items()}
    out: dict[str, str] = {}
    while quarrels:
        count = Counter(party for pair in quarrels for party in pair)
        most = max(count.values())
        going = {party for party, times in count.items() if times == most}
        for (accuser, accused), why in quarrels.items():
            out.update({accused: why} if accused in going else {})
            out.update(
                {accuser: f"it blames {accused}, and one of the two lies"} if accuser in going - out.keys() else {}
            )
        quarrels = {pair: why for pair, why in quarrels.items() if not going & set(pair)}
    return out


def _blame_text(blames: Mapping[str, Mapping[str, str]]) -> str:
    first, accused = next(iter(blames.items()))
    return f"{first} cannot go on because of {', '.join(sorted(accused))}; a new attempt goes without who is to blame"


def _cut_off(name: str) -> DropoutError:
    return DropoutError(f"{name} cannot be reached; without it no sum can be opened, so make a new attempt")
