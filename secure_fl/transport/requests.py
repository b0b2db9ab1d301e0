"""What any service here asks of a request: who is at the other end, and a body that is bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

PEER = "secure_fl.peer"
"""Where the scope of a request has the SHA-256 of the peer's certificate."""


AT_ONCE = 4
"""Requests of one party."""


class RefusedError(Exception):
    """A request that is not answered; its text is one of few, and holds nothing of the request."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


def require_no_page(request: Request) -> None:
    """Raises `RefusedError` for what a page in a browser asks, which shows the certificate of whoever sits at it.

    So a page of any site could ask in that party's name, though it could not read what comes of it. Browsers say where
    a request comes from (W3C, "Fetch Metadata Request Headers"); parties' own clients do not.
    """
    if "sec-fetch-site" in request.headers:
        raise RefusedError("of a page", 403)


class AtOnce:
    """Requests of each party that are here now: `AT_ONCE` of each at most."""

    def __init__(self) -> None:
        self._here: Counter[str] = Counter()

    @contextmanager
    def one(self, name: str) -> Iterator[None]:
        """One more of a party, while it is worked on. Raises `RefusedError` for one too many."""
        if self._here[name] >= AT_ONCE:
            raise RefusedError("too many at once", 429)
        self._here[name] += 1
        try:
            yield
        finally:
            self._here[name] -= 1


async def gone(receive: Receive) -> None:
    """Until whoever asked has hung up, or sends a body, which nobody wants: to read one without end takes all time."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or message.get("body"):
            return


async def whole_body(request: Request, largest: int, seconds: float) -> bytes:
    """Raises `RefusedError` where it has more bytes, takes longer, or does not end."""
    try:
        return await asyncio.wait_for(_body(request, largest), seconds)
    except TimeoutError:
        raise RefusedError("too slow", 408) from None
    except ClientDisconnect:
        raise RefusedError("cut off", 400) from None


async def _body(request: Request, largest: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise RefusedError("too large", 413)
        parts.append(part)
    return b"".join(parts)
