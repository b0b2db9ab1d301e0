"""A customer's end of the wire: what goes wrong on the way is tried again, after a while that grows, as it was sent.

It ends where trying again cannot help: a service that is a stranger or does not know the customer, a message that is
refused, and nothing but failures for a while (`Patience`). Of what a service says only answers of the expected size are
taken, and only words of `refusals` are believed. Proxies of the environment are not used.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from secure_fl.errors import ConfigurationError, ProtocolError
from secure_fl.transport.party import FIRST_PAUSE, LONGEST_PAUSE, asked_to_wait, is_stranger
from secure_fl.transport.scores.refusals import GONE, SPENT, UNKNOWN

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_REASON_BYTES = 200
HANG_UPS = 5
SILENCE, ANSWER_SECONDS, SLOWEST = 300.0, 60.0, 1e6
"""Seconds until a service says anything more; of an answer that has begun, seconds, and bytes a second beyond them."""


class SessionGoneError(Exception):
    """The service does not know the session, or does not any more."""


@dataclass(frozen=True)
class Patience:
    """How long and how a customer tries."""

    seconds: float = 120.0
    """For one message."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class Wire:
    """To one service."""

    def __init__(
        self, url: str, context: ssl.SSLContext, note: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        """`note`: is told when an answer is late."""
        timeout = httpx2.Timeout(30.0, read=SILENCE, write=120.0)
        headers = {"accept-encoding": "identity"}
        self._client = httpx2.Client(base_url=url, verify=context, trust_env=False, timeout=timeout, headers=headers)
        self._url, self._note, self._patience = url, note, patience or Patience()
        self._hung_up = 0
        """Connections that were closed without a word, before there was any answer."""

    def plan(self, largest: int) -> bytes:
        """What the service publishes."""
        return self._sent("GET", "/plan", b"", largest)

    def open(self, keys: bytes) -> None:
        """Open a session."""
        self._sent("POST", "/sessions", keys, _REASON_BYTES)

    def score(self, request: bytes, largest: int) -> bytes:
        """The answer to a batch. Raises `SessionGoneError` too."""
        return self._sent("POST", "/scores", request, largest)

    def close(self) -> None:
        self._client.close()

    def _sent(self, method: str, path: str, body: bytes, largest: int) -> bytes:
        """Raises `ConfigurationError` or `ProtocolError`; `largest`: bytes of an answer."""
        pause, until = FIRST_PAUSE, self._patience.clock() + self._patience.seconds
        while True:
            wait = 0.0
            try:
                status, said, wait = self._tried(method, path, body, largest)
                if status not in _AGAIN:
                    return self._judged(status, said)
                problem = f"status {status}"
            except httpx2.HTTPError as error:
                if is_stranger(error):
                    raise ConfigurationError(
                        f"the certificate at {self._url} is not of the customer's authority, not in its roster, or not "
                        "for this address; look at the address, or ask for a new certificate"
                    ) from None
                problem = type(error).__name__
                self._count(error)
            if self._patience.clock() >= until:
                raise ProtocolError(
                    f"no answer from {self._url} for {self._patience.seconds:g} s ({problem}); look whether the "
                    "service runs, whether the address is right, and whether it takes this certificate"
                )
            if pause > FIRST_PAUSE:
                self._note(f"no answer from {self._url} yet ({problem}); trying again")
            late = pause * random.uniform(0.7, 1.3)  # noqa: S311  so that not all come back at once
            self._patience.sleep(max(late, wait))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _count(self, error: httpx2.HTTPError) -> None:
        """Raises `ConfigurationError` where the other end hangs up each time: TLS 1.3 says no more of a certificate."""
        if self._hung_up >= 0 and isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
            self._hung_up += 1
        if self._hung_up >= HANG_UPS:
            raise ConfigurationError(
                f"{self._url} closes each connection without an answer: it does not take this certificate, or is no "
                "service of scores; look at the address, or ask for a new certificate"
            )

    def _tried(self, method: str, path: str, body: bytes, largest: int) -> tuple[int, bytes, float]:
        """Once: status, body, seconds to wait. Reads no more than an answer can have."""
        with self._client.stream(method, path, content=body) as answer:
            parts, size, most = [], 0, max(largest, _REASON_BYTES)
            until = self._patience.clock() + ANSWER_SECONDS + most / SLOWEST
            for part in answer.iter_raw():
                size += len(part)
                if self._patience.clock() > until:
                    raise httpx2.ReadTimeout("the answer comes too slowly")
                if size > most:
                    raise ProtocolError(f"{self._url} sends more than any answer has; do not send it rows")
                parts.append(part)
        self._hung_up = -1
        return answer.status_code, b"".join(parts), asked_to_wait(answer)

    def _judged(self, status: int, said: bytes) -> bytes:
        """An answer, or what is wrong."""
        if status in (200, 204):
            return said
        reason = said.strip()
        if status == 410 and reason == GONE.encode():
            raise SessionGoneError
        if status == 403 and reason == UNKNOWN.encode():
            raise ConfigurationError(f"{self._url} has a roster without this customer; ask for a new certificate")
        if status == 403 and reason == SPENT.encode():
            raise ProtocolError(
                f"{self._url} gives this customer no more answers, since each tells something of the model; ask its "
                "owner"
            )
        raise ProtocolError(f"{self._url} refuses a message (status {status}); ask its owner what its log says")
