"""How much one party may ask in a second: a token bucket for each (as ITU-T I.371 has it, a "leaky bucket").

Requests take tokens, which come back at an even rate, and are saved up for `SAVED` seconds. Who has none left is
answered 429 with Retry-After, and only after `HELD` seconds: its connection is hardly read meanwhile, so that asking
again at once costs the server as little as waiting. All whose certificate is in no roster have one bucket together.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from secure_fl.transport.requests import PEER
from secure_fl.transport.roster import Roster

REQUESTS = 300.0
"""A second: ten times what a party on a real line has use for, and three times what small models on loopback have."""
SAVED = 4.0
HELD = 1.0
TOO_MANY = "too many a second"


@dataclass
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """One for each name that ever asked; names come from a roster, so they are few."""

    def __init__(self, a_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: one that nobody sets."""
        self._rate, self._clock = a_second, clock
        self._full = a_second * SAVED
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, tokens: float = 1.0) -> float:
        """0 where there were so many, which are gone then; else seconds until there are. A full bucket is enough."""
        now, tokens = self._clock(), min(tokens, self._full)
        bucket = self._buckets.setdefault(name, _Bucket(self._full, now))
        bucket.tokens = min(self._full, bucket.tokens + self._rate * (now - bucket.at))
        bucket.at = now
        if bucket.tokens < tokens:
            return (tokens - bucket.tokens) / self._rate
        bucket.tokens -= tokens
        return 0.0


class Paced:
    """An app that is asked by each party so often at most."""

    def __init__(
        self,
        app: ASGIApp,
        roster: Roster,
        buckets: Buckets,
        refuse: Callable[[str], Response],
        tokens: Callable[[Scope], float] = lambda scope: 1.0,
    ) -> None:
        """`refuse`: answers a party, by name; empty for who is in no roster. `tokens`: that a request takes."""
        self._app, self._roster, self._buckets, self._refuse, self._tokens = app, roster, buckets, refuse, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        member = self._roster.holding(scope.get(PEER, ""))
        name = "" if member is None else member.name
        seconds = self._buckets.take(name, self._tokens(scope))
        if seconds == 0:
            await self._app(scope, receive, send)
            return
        answer = self._refuse(name)
        await asyncio.sleep(HELD)
        answer.headers["retry-after"] = str(max(1, math.ceil(seconds - HELD)))
        await answer(scope, receive, send)
