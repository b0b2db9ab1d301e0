"""The roles of a secure sum, and the small loop that runs one in memory.

A protocol does no I/O. Its server half is a generator that yields the requests of a stage and is sent an
iterator over the replies; a party that is missing from the replies has dropped out. So a server half reads from
top to bottom like the figure in its paper, and whoever moves the bytes (memory, a gateway, Flower) is one small
loop around it. Replies are consumed one by one, so that a server half need not hold more than one at a time.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError, DropoutError, MessageError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal

Values: TypeAlias = NDArray[Any]
"""What a bank contributes: int64 in [0, 2**bits), or float32 where the plan says so; shape [parameters]."""


@dataclass(frozen=True)
class Stage:
    """What the server half asks next: one request for each recipient."""

    name: str
    requests: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class SecureSum:
    """The outcome: the exact sum over the banks that contributed, and nothing about any one of them."""

    total: NDArray[Any]
    """Shape [parameters]; integers of any width, or float64 where the plan says float32."""
    contributors: frozenset[str]


Replies: TypeAlias = Iterator[tuple[str, bytes]]
ServerHalf: TypeAlias = Generator[Stage, Replies, SecureSum]


class Party(Protocol):
    """A client half, or a trustee such as the key authority."""

    def respond(self, request: bytes) -> bytes:
        """The answer to one request. Raises `ProtocolError` where the request must not be answered."""
        ...


@dataclass(frozen=True)
class Delivery:
    """One line of the transcript: who sent how many bytes to whom. Never a payload."""

    round: int
    stage: str
    sender: str
    recipient: str
    nbytes: int
    sha256: str


@dataclass
class Transcript:
    """All deliveries of a run, in order; what an observer of the wires would have."""

    deliveries: list[Delivery] = field(default_factory=list)

    def record(self, round_: int, stage: str, sender: str, recipient: str, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        self.deliveries.append(Delivery(round_, stage, sender, recipient, len(data), digest))

    def uploads(self, round_: int) -> Counter[str]:
        """Bytes that each party sent to the aggregator in a round."""
        return self._bytes(round_, lambda d: d.sender if d.recipient == AGGREGATOR else None)

    def downloads(self, round_: int) -> Counter[str]:
        """Bytes that the aggregator sent to each party in a round."""
        return self._bytes(round_, lambda d: d.recipient if d.sender == AGGREGATOR else None)

    def _bytes(self, round_: int, party: Callable[[Delivery], str | None]) -> Counter[str]:
        count: Counter[str] = Counter()
        for delivery in self.deliveries:
            name = party(delivery)
            if delivery.round == round_ and name is not None:
                count[name] += delivery.nbytes
        return count


@dataclass(frozen=True)
class Outcome:
    """A secure sum and where its time went, in seconds."""

    sum: SecureSum
    party_seconds: Mapping[str, float]
    server_seconds: float


def request(cohort: Cohort[Plan], stage: str, recipients: tuple[str, ...], payload: bytes = b"") -> Stage:
    """A stage that asks the same of all recipients."""
    return Stage(stage, {name: seal(cohort, stage, AGGREGATOR, name, payload) for name in recipients})


def opened(cohort: Cohort[Plan], asked: Stage, replies: Replies) -> Iterator[tuple[str, memoryview]]:
    """Who answered and with what payload, each message checked.

    Raises `MessageError` also for an answer of somebody who was not asked, and for a second answer.
    """
    missing = set(asked.requests)
    for sender, data in replies:
        if sender not in missing:
            raise MessageError(f"{sender} answered in stage {asked.name} unasked or twice; the round must be repeated")
        missing.remove(sender)
        yield sender, open_message(cohort, data, recipient=AGGREGATOR, sender=sender, stage=asked.name).payload


def require_values(plan: Plan, values: Values) -> None:
    """Raises `ConfigurationError` unless `values` is what the plan is for: one bank's vector, in range."""
    if values.shape != (plan.parameters,):
        raise ConfigurationError(f"{values.shape} values do not fit a plan for {plan.parameters}; plan again")
    if not np.issubdtype(values.dtype, np.floating if plan.bits is None else np.integer):
        raise ConfigurationError(f"values of type {values.dtype} do not fit the plan; quantize them first")
    if plan.bits is not None and (values.min() < 0 or values.max() >= 1 << plan.bits):
        raise ConfigurationError(f"a value lies outside [0, 2**{plan.bits}); clip it or use more bits")


def require_threshold(cohort: Cohort[Plan], contributors: set[str]) -> None:
    """Raises `DropoutError` when fewer banks than the plan's threshold have contributed."""
    if len(contributors) < cohort.plan.threshold:
        raise DropoutError(
            f"only {len(contributors)} of {len(cohort.banks)} banks contributed in round {cohort.round} and the "
            f"threshold is {cohort.plan.threshold}; wait for more banks or lower the threshold"
        )


def run_protocol(
    cohort: Cohort[Plan],
    server: ServerHalf,
    parties: Mapping[str, Party],
    transcript: Transcript,
    drop: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a server half against parties in this process; every message is really serialized.

    `drop` names, for a party, the first stage that it no longer answers.
    """
    gone: set[str] = set()
    seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def clock(name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[name] += time.perf_counter() - started

    def replies(stage: Stage) -> Replies:
        for name, data in stage.requests.items():
            with clock(_BOOKKEEPING):
                transcript.record(cohort.round, stage.name, AGGREGATOR, name, data)
            if name in gone:
                continue
            with clock(name):
                answer = parties[name].respond(data)
            with clock(_BOOKKEEPING):
                transcript.record(cohort.round, stage.name, name, AGGREGATOR, answer)
            yield name, answer

    started = time.perf_counter()
    try:
        stage = next(server)
        while True:
            gone |= {name for name, first in (drop or {}).items() if first == stage.name}
            stage = server.send(replies(stage))
    except StopIteration as finished:
        elapsed = time.perf_counter() - started - sum(seconds.values())
        seconds.pop(_BOOKKEEPING, None)
        return Outcome(finished.value, dict(seconds), elapsed)


_BOOKKEEPING = "(transcript)"
