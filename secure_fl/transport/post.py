"""The gateway's post: one order at a time for each party, and what it answered.

The coordinator's thread gives out orders and collects; the service's event loop hands them over and takes answers in.
An answer counts once, for the order that is out; the same answer again is heard and changes nothing. Answers leave the
post one at a time, so that whoever takes them in can bound how many lie there.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from secure_fl.errors import MessageError
from secure_fl.transport.orders import About, Order

LOOK_SECONDS = 0.5
"""How often it is looked whether those who are waited for still live."""
SILENT_SECONDS = 5.0
"""Without a sign of a party that gives one every 1.5 s: after that it has been away, whether or not it comes back."""


@dataclass(frozen=True)
class Asked:
    """An order, without anything that went with it."""

    kind: str
    stage: str
    """Of a secure sum; empty for other orders."""
    round: int | None
    attempt: int | None
    at: float
    """When it was given out, by the post's clock."""

    @property
    def what(self) -> str:
        return self.stage or self.kind

    @classmethod
    def of(cls, order: Order, at: float) -> Asked:
        round_, attempt = (order.about.round, order.about.attempt) if order.about else (None, None)
        return cls(order.kind, str(order.facts.get("stage", "")), round_, attempt, at)


@dataclass(frozen=True)
class Standing:
    """How it is with one party."""

    asked: Asked | None
    """The last order to it."""
    answered: bool
    due: bool
    """The order is out: its answer is waited for."""
    came: float
    """Since when there were signs of it, without a silence of `SILENT_SECONDS`; by the post's clock."""
    seen: float
    """The last sign of it; minus infinity where there was none."""


def _nothing() -> None:
    pass


@dataclass
class _Box:
    """One party's."""

    order: Order | None = None
    numbers: int = 0
    answer: bytes | None = None
    taken: Callable[[], object] = _nothing
    """Is called when the answer leaves the box."""
    answered: int = 0
    """The last order that was answered, and the digest of what was said to it."""
    said: bytes = b""
    asked: Asked | None = None
    came: float = -math.inf
    seen: float = -math.inf
    """When it last gave a sign of itself."""
    process: str = ""
    """Of which process of the party that was: one that was started anew has forgotten what it held."""
    waiting: int = 0
    """Requests of it that wait for an order."""
    wake: list[Callable[[], None]] = field(default_factory=list)

    def take(self) -> bytes | None:
        """The answer, which is no longer here then."""
        answer, self.answer = self.answer, None
        taken, self.taken = self.taken, _nothing
        taken()
        return answer

    def sign(self, now: float) -> None:
        if self.silent(now, SILENT_SECONDS):
            self.came = now
        self.seen = now

    def silent(self, now: float, seconds: float) -> bool:
        """Whether it gave no sign of itself for so long."""
        return not self.waiting and now - self.seen > seconds


class Post:
    """Of all parties."""

    def __init__(self, names: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._boxes = {name: _Box() for name in names}
        self._changed = threading.Condition()
        self._clock = clock
        self.epoch = secrets.token_hex(8)
        """Numbers of orders rise within it; a gateway that was started anew begins another."""
        self.ended = False

    def send(
        self,
        name: str,
        kind: str,
        about: About | None = None,
        facts: dict[str, Any] | None = None,
        body: bytes = b"",
        shared: bytes = b"",
    ) -> int:
        """Give out an order in the place of the one before; its number."""
        with self._changed:
            box = self._boxes[name]
            box.numbers += 1
            box.take()
            box.order = Order(box.numbers, kind, about, facts or {}, body, shared)
            box.asked = Asked.of(box.order, self._clock())
            for wake in box.wake:
                wake()
            return box.numbers

    def collect(
        self, numbers: Mapping[str, int], seconds: float, absent: float = math.inf
    ) -> Iterator[tuple[str, bytes]]:
        """Answers to these orders, as they come in, for so long at most. Orders that got none are taken back.

        `absent`: seconds without a sign of a party, after which it is not waited for.
        """
        left, deadline = dict(numbers), self._clock() + seconds
        try:
            while (found := self._first(left, deadline, absent)) is not None:
                del left[found[0]]
                yield found
        finally:
            with self._changed:
                for name, number in left.items():
                    self._take_back(self._boxes[name], number)

    def _first(self, left: Mapping[str, int], deadline: float, absent: float) -> tuple[str, bytes] | None:
        """One answer that is there, as soon as there is one; None where there will be none."""
        with self._changed:
            while True:
                for name, number in left.items():
                    box = self._boxes[name]
                    if box.answered == number and (answer := box.take()) is not None:
                        return name, answer
                now = self._clock()
                if now >= deadline or all(self._boxes[name].silent(now, absent) for name in left):
                    return None
                self._changed.wait(min(deadline - now, LOOK_SECONDS))

    def _take_back(self, box: _Box, number: int) -> None:
        if box.order is not None and box.order.number == number:
            box.order = None
        if box.answered == number:
            box.take()

    def answer(self, name: str, number: int, data: bytes, taken: Callable[[], object] = _nothing) -> None:
        """What a party says to an order; `taken` is called once it has left the post, or now where it does not count.

        Raises `MessageError` where that order is not out, or was answered otherwise.
        """
        said = hashlib.sha256(data).digest()
        with self._changed:
            box = self._boxes[name]
            box.sign(self._clock())
            if box.order is not None and box.order.number == number:
                box.order, box.answer, box.taken, box.answered, box.said = None, data, taken, number, said
                self._changed.notify_all()
                return
            known = number == box.answered and said == box.said  # it did not hear that it was heard
        taken()
        if not known:
            raise MessageError("nobody waits for an answer to this order; ask for the next one")

    def awaits(self, name: str, number: int) -> bool:
        """Whether an answer to this order may still be heard: it is out, or was the last one to be answered."""
        with self._changed:
            box = self._boxes[name]
            box.sign(self._clock())
            return number == box.answered or (box.order is not None and box.order.number == number)

    def end(self) -> None:
        """No order comes any more: whoever waits for one waits no longer."""
        with self._changed:
            self.ended = True
            for wake in [wake for box in self._boxes.values() for wake in box.wake]:
                wake()

    def sign(self, name: str) -> None:
        """A party is at work and lives."""
        with self._changed:
            self._boxes[name].sign(self._clock())

    def present(self, seconds: float) -> set[str]:
        """Who gave a sign of itself in the last seconds."""
        with self._changed:
            now = self._clock()
            return {name for name, box in self._boxes.items() if not box.silent(now, seconds)}

    def standings(self) -> dict[str, Standing]:
        """Of all parties."""
        with self._changed:
            now = self._clock()
            return {
                name: Standing(
                    box.asked,
                    0 < box.answered == box.numbers,
                    box.order is not None,
                    box.came,
                    now if box.waiting else box.seen,
                )
                for name, box in self._boxes.items()
            }

    def silence(self, name: str, seconds: float, absent: float) -> str:
        """Why a party that was waited for so long has no answer, as people say it: "gave no sign for 5 s"."""
        there = name in self.present(absent)
        return f"did not answer in {seconds:g} s" if there else f"gave no sign for {absent:g} s"

    def process(self, name: str) -> str:
        """Of a party, the process that asked last."""
        with self._changed:
            return self._boxes[name].process

    async def next(self, name: str, process: str, after: int, seconds: float) -> Order | None:
        """The order that is out for a party, if it is later than `after`; else the next one, or None after a while.

        None at once where the post has ended.
        """
        loop, ready = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(ready.set)

        with self._changed:
            box = self._boxes[name]
            box.sign(self._clock())
            box.process = process
            if self.ended:
                return None
            if box.order is not None and box.order.number > after:
                return box.order
            box.wake.append(wake)
            box.waiting += 1
            self._changed.notify_all()
        try:
            await asyncio.wait_for(ready.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            with self._changed:
                box.wake.remove(wake)
                box.waiting -= 1
                box.seen = self._clock()
        with self._changed:
            return box.order if box.order is not None and box.order.number > after else None

    def wait_for(self, names: Iterable[str], seconds: float | None = None) -> bool:
        """Until all of them have asked for orders; False where that takes longer."""
        wanted = set(names)
        with self._changed:
            return self._changed.wait_for(
                lambda: all(self._boxes[name].waiting or self._boxes[name].seen > -math.inf for name in wanted), seconds
            )
