"""The gateway's post: one order at a time for each party, and what it answered.

The coordinator's thread gives out orders and collects; the service's event loop hands them over and takes answers in.
An answer counts once, for the order that is out; the same answer again is heard and changes nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from secure_fl.errors import MessageError
from secure_fl.transport.orders import About, Order


@dataclass
class _Box:
    """One party's."""

    order: Order | None = None
    numbers: int = 0
    answer: bytes | None = None
    answered: int = 0
    """The last order that was answered."""
    seen: float | None = None
    """When it last asked for orders."""
    process: str = ""
    """Of which process of the party that was: one that was started anew has forgotten what it held."""
    waiting: int = 0
    """Requests of it that wait for an order."""
    wake: list[Callable[[], None]] = field(default_factory=list)


class Post:
    """Of all parties."""

    def __init__(self, names: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._boxes = {name: _Box() for name in names}
        self._changed = threading.Condition()
        self._clock = clock
        self.epoch = secrets.token_hex(8)
        """Numbers of orders rise within it; a gateway that was started anew begins another."""

    def send(
        self, name: str, kind: str, about: About | None = None, facts: dict[str, Any] | None = None, body: bytes = b""
    ) -> int:
        """Give out an order in the place of the one before; its number."""
        with self._changed:
            box = self._boxes[name]
            box.numbers += 1
            box.order, box.answer = Order(box.numbers, kind, about, facts or {}, body), None
            for wake in box.wake:
                wake()
            return box.numbers

    def collect(self, numbers: Mapping[str, int], seconds: float) -> Iterator[tuple[str, bytes]]:
        """Answers to these orders, as they come in, for so long at most. Orders that got none are taken back."""
        left, deadline = dict(numbers), self._clock() + seconds
        while left:
            with self._changed:
                ready = [name for name, number in left.items() if self._has_answer(name, number)]
                if not ready:
                    if not self._changed.wait(max(0.0, deadline - self._clock())) and self._clock() >= deadline:
                        break
                    continue
                taken = []
                for name in ready:
                    box = self._boxes[name]
                    assert box.answer is not None
                    taken.append((name, box.answer))
                    box.answer = None
                    del left[name]
            yield from taken
        with self._changed:
            for name, number in left.items():
                box = self._boxes[name]
                if box.order is not None and box.order.number == number:
                    box.order = None

    def _has_answer(self, name: str, number: int) -> bool:
        box = self._boxes[name]
        return box.answered == number and box.answer is not None

    def answer(self, name: str, number: int, data: bytes) -> None:
        """What a party says to an order. Raises `MessageError` where that order is not out."""
        with self._changed:
            box = self._boxes[name]
            if box.order is None or box.order.number != number:
                if number == box.answered:
                    return  # it did not hear that it was heard
                raise MessageError("nobody waits for an answer to this order; ask for the next one")
            box.order, box.answer, box.answered = None, data, number
            self._changed.notify_all()

    def present(self, seconds: float) -> set[str]:
        """Who asked for orders in the last seconds."""
        now = self._clock()
        with self._changed:
            return {
                name
                for name, box in self._boxes.items()
                if box.waiting or (box.seen is not None and now - box.seen <= seconds)
            }

    def process(self, name: str) -> str:
        """Of a party, the process that asked last."""
        with self._changed:
            return self._boxes[name].process

    async def next(self, name: str, process: str, after: int, seconds: float) -> Order | None:
        """The order that is out for a party, if it is later than `after`; else the next one, or None after a while."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(ready.set)

        with self._changed:
            box = self._boxes[name]
            box.seen, box.process = self._clock(), process
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
                lambda: all(self._boxes[name].waiting or self._boxes[name].seen is not None for name in wanted), seconds
            )
