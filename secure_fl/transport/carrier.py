"""Moves the messages of one secure sum as orders: all requests of a stage at once, answers as they come in."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Answer
from secure_fl.transport.orders import ASK, About, unpack_answer
from secure_fl.transport.post import Post

WAITING = "(network)"


class NetworkCarrier:
    """A `secagg.protocol.Carrier`. Whoever does not answer a stage in time has dropped out of the attempt."""

    def __init__(
        self,
        post: Post,
        cohort: Cohort[Plan],
        seconds_of_a_stage: float,
        absent: float,
        facts: Mapping[str, Any],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`absent`: seconds without a sign of a party, after which it is not waited for; `facts`: for all orders."""
        self._post, self._cohort, self._limit, self._absent, self._clock = (
            post, cohort, seconds_of_a_stage, absent, clock,
        )  # fmt: skip
        self._facts = facts
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def carry(self, stage: str, requests: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, Answer]]:
        about = About.of(self._cohort)
        facts = {"stage": stage, **self._facts}
        numbers = {name: self._post.send(name, ASK, about, facts, data) for name, data in requests}
        answers = self._post.collect(numbers, self._limit, self._absent)
        silent = set(numbers)
        while True:
            started = self._clock()
            found = next(answers, None)
            self.seconds[WAITING] += self._clock() - started
            if found is None:
                break
            silent.discard(found[0])
            yield found[0], unpack_answer(found[1])
        for name in sorted(silent - set(self._cohort.banks)):
            yield name, TimeoutError(f"{name} {self._post.silence(name, self._limit, self._absent)}")
