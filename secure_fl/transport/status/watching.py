"""/status and /status/events: the page, and what of it changes as server-sent events, to those who may see them.

A stream says how it stands now, and then whatever is new, at most every `NEW_SECONDS`. Who reads slowly misses what was
in between, and nobody waits for it; who does not read for `SLOW_SECONDS` is hung up on. It ends with the gateway.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from secure_fl.transport.requests import gone as hung_up
from secure_fl.transport.status.page import clock_text, policy, render, render_live
from secure_fl.transport.status.snapshot import Status

NEW_SECONDS = 0.5
BEAT_SECONDS = 15.0
"""How often something is sent where nothing is new, so that it is noticed who is gone."""
SLOW_SECONDS = 10.0
STREAMS = 16
"""At one time."""
OF_ONE = 2
"""Of one party."""
HANG_UP = "secure_fl.hang_up"
"""Where the scope of a request has what closes its connection at once."""
_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Watched(Protocol):
    """What is shown; a `Chronicle`."""

    @property
    def clock(self) -> Callable[[], float]: ...

    def status(self) -> Status: ...


class Watching:
    """Of one server."""

    def __init__(self, watched: Watched, refuse: Callable[[str, int], Response]) -> None:
        """`refuse`: makes the answer to whoever cannot have a stream, of a reason and a status code."""
        self._watched, self._refuse = watched, refuse
        self._open: Counter[str] = Counter()
        self._shown: tuple[Status, str] | None = None

    def page(self) -> Response:
        text = render(self._watched.status(), self._watched.clock())
        headers = _HEADERS | {"content-security-policy": policy()}
        return Response(text, media_type="text/html; charset=utf-8", headers=headers)

    def events(self, request: Request, who: str, of_one: int = OF_ONE) -> Response:
        """A stream for `who`. Pages of other sites get none, though they could not read it."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return self._refuse("of another site", 403)
        return _Stream(self, who, of_one)

    def enter(self, who: str, of_one: int) -> bool:
        """Whether there is room for one more stream."""
        if self._open[who] >= of_one or self._open.total() >= STREAMS:
            return False
        self._open[who] += 1
        return True

    def leave(self, who: str) -> None:
        self._open[who] -= 1

    def refusal(self) -> Response:
        return self._refuse("too many are watching", 503)

    def new(self, before: Status | None) -> tuple[Status, bytes]:
        """How it stands, and the event that says so; no bytes where it is as before."""
        status = self._watched.status()
        if status == before:
            return status, b""
        now = self._watched.clock()
        if self._shown is None or self._shown[0] != status:
            self._shown = status, render_live(status, now)
        said = {"now": now, "at": clock_text(), "html": self._shown[1]}
        return status, _event("status", json.dumps(said))


class _Stream(Response):
    """One page that is kept new."""

    def __init__(self, watching: Watching, who: str, of_one: int) -> None:
        super().__init__(media_type="text/event-stream", headers=_HEADERS)
        del self.headers["content-length"]
        self._watching, self._who, self._of_one = watching, who, of_one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._watching.enter(self._who, self._of_one):
            await self._watching.refusal()(scope, receive, send)
            return
        gone = asyncio.ensure_future(hung_up(receive))
        try:
            await self._speak(send, gone)
        except TimeoutError:
            scope[HANG_UP]()
            await gone
        finally:
            gone.cancel()
            self._watching.leave(self._who)

    async def _speak(self, send: Send, gone: asyncio.Future[None]) -> None:
        """Raises `TimeoutError` where nobody reads."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        before: Status | None = None
        beat = 0.0
        while not gone.done():
            status, event = self._watching.new(before)
            beat = 0.0 if event else beat + NEW_SECONDS
            if beat >= BEAT_SECONDS:
                event, beat = b":\n\n", 0.0
            if event:
                await asyncio.wait_for(send(_body(event)), SLOW_SECONDS)
            if status.ended:
                break
            before = status
            await asyncio.wait({gone}, timeout=NEW_SECONDS)
        await asyncio.wait_for(send(_body(_event("end", "{}"), more=False)), SLOW_SECONDS)


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def _body(data: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def refused(reason: str, status: int) -> Response:
    """In plain words."""
    return PlainTextResponse(f"{reason}\n", status_code=status)
