"""Turns: sums are taken part in, and opened, in rising order of (session, round, attempt), each at most once.

A failed round is a new attempt with fresh secrets. Whoever took part in an attempt, or answered for it, does not go
back to it: two answers about the same uploads could differ by one bank's update, and a statement that was signed for
one attempt must not count in another. So a bank's identity, a key authority and a share-holder each remember their last
turn, which is all the memory that it takes. Sessions rise because they begin with the time at which they were made; a
session from the future locks older ones out, which stops a federation but opens nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import TypeAlias

from secure_fl.errors import ProtocolError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import SESSION_BYTES, Cohort

_TIME_BYTES = 8


def new_session() -> bytes:
    """A session that no other has been, and that is later than all before: nanoseconds, then random bytes."""
    return time.time_ns().to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(SESSION_BYTES - _TIME_BYTES)


Turn: TypeAlias = tuple[bytes, int, int]
"""Session, round, attempt."""


class Turns:
    """The last turn of one party."""

    def __init__(self, last: Turn = (b"", 0, 0), keep: Callable[[Turn], None] = lambda turn: None) -> None:
        """`keep`: writes a turn down before it is taken, where the party's memory is to outlive its process."""
        self._last = last
        self._keep = keep

    def require_later(self, cohort: Cohort[Plan], who: str) -> None:
        """Raises `ProtocolError` unless this turn comes after all that were taken."""
        if cohort.session < self._last[0]:
            raise ProtocolError(
                f"{who} is asked for in a session that began before the last one it took part in; check the clock of "
                "whoever starts federations, and start a new one"
            )
        if cohort.turn <= self._last:
            raise ProtocolError(
                f"{who} already took part in round {self._last[1]}, attempt {self._last[2]}, and does not go back to "
                f"round {cohort.round}, attempt {cohort.attempt}; make a new attempt"
            )

    def take(self, cohort: Cohort[Plan], who: str) -> None:
        """Raises as `require_later`."""
        self.require_later(cohort, who)
        self._keep(cohort.turn)
        self._last = cohort.turn


class OneAnswer:
    """A trustee's memory: one request of each turn is answered, and the same request again gets the same answer."""

    def __init__(self, turns: Turns | None = None) -> None:
        self._turns = turns or Turns()
        self._request = b""
        self._answer = b""

    def __repr__(self) -> str:
        return "OneAnswer(...)"

    def answer(
        self, cohort: Cohort[Plan], who: str, payload: bytes | memoryview, compute: Callable[[], bytes]
    ) -> bytes:
        """What `compute` gives, or gave for the very same request. Raises `ProtocolError` for any other one."""
        digest = hashlib.sha256(cohort.digest)
        digest.update(payload)
        request = digest.digest()
        if not (self._answer and request == self._request):
            self._turns.take(cohort, who)
            self._request, self._answer = request, b""  # a request that fails is answered all the same
            self._answer = compute()
        return self._answer
