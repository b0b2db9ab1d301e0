"""The gateway's pages: orders out, answers in, health and metrics. Whoever is not in the roster gets none.

GET  /orders?after=N&epoch=E     the next order, or 204 after a while (long poll)
POST /answers/N?epoch=E          what a party says to order N
POST /alive                      that it is still at work on an order
GET  /health, /metrics           for who runs the gateway: any certificate of the roster
GET  /status, /status/events     for who looks on: the same
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Scope

from secure_fl.errors import MessageError
from secure_fl.transport.orders import Order
from secure_fl.transport.post import Post
from secure_fl.transport.rates import REQUESTS, TOO_MANY, Buckets, Paced
from secure_fl.transport.requests import PEER, AtOnce, RefusedError, require_no_page, whole_body
from secure_fl.transport.requests import gone as hung_up
from secure_fl.transport.roster import Member, Roster
from secure_fl.transport.status.chronicle import Chronicle
from secure_fl.transport.status.watching import Watching

LOG = logging.getLogger("secure_fl.gateway")
POLL_SECONDS = 20.0
ALIVE_SECONDS = 1.5
"""How often a party that is at work says so."""
ROOM = 4
"""Large answers that are taken in, or lie in the post, at one time; the others wait at their senders."""
SMALL = 1 << 16
"""Bytes of an answer that needs no room; and so many more of a body take a token more."""
SLICE = 1 << 16
"""Bytes of an order that are handed to a connection at once."""
_NUMBER = re.compile("[0-9]{1,10}")
"""Of an order."""
Page = Callable[[Request], Awaitable[Response]]


class Meter:
    """What is counted; never whose values."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter("secure_fl_answers", "Answers that counted.", ["party"], registry=self.registry)
        self.received = Counter("secure_fl_received_bytes", "Bytes of answers.", ["party"], registry=self.registry)
        self.sent = Counter("secure_fl_sent_bytes", "Bytes of orders.", ["party"], registry=self.registry)
        self.refused = Counter("secure_fl_refused_requests", "Requests refused.", ["reason"], registry=self.registry)
        throttled = "Requests beyond a party's rate, which were refused."
        self.throttled = Counter("secure_fl_throttled_requests", throttled, ["party"], registry=self.registry)
        self.round = Gauge("secure_fl_round", "The last finished round.", registry=self.registry)


class Service:
    """Serves one post to the members of one roster."""

    def __init__(
        self,
        roster: Roster,
        post: Post,
        chronicle: Chronicle,
        largest: int,
        body_seconds: float = 60.0,
        buckets: Buckets | None = None,
    ) -> None:
        """`largest`: bytes of an answer, at most; `body_seconds`: how long one may take to arrive."""
        self._roster, self._post, self._largest, self._seconds = roster, post, largest, body_seconds
        self._chronicle, self._watching = chronicle, Watching(chronicle, self._refuse)
        self._at_once = AtOnce()
        self._room = asyncio.Semaphore(ROOM)
        self._large: set[str] = set()
        """Whose large answer is on its way in: one of each party."""
        self.meter = Meter()
        self.meter.round.set_function(lambda: chronicle.last_finished)
        app = Starlette(
            routes=[
                Route("/orders", self._member(self._orders)),
                Route("/answers/{number}", self._member(self._answers), methods=["POST"]),
                Route("/alive", self._member(self._alive), methods=["POST"]),
                Route("/health", self._listed(self._health)),
                Route("/metrics", self._listed(self._metrics)),
                Route("/status", self._listed(self._status)),
                Route("/status/events", self._listed(self._watching.events)),
            ]
        )
        self.app = Paced(app, roster, buckets or Buckets(REQUESTS), self._throttle, self._tokens)

    def _who(self, request: Request) -> Member | None:
        member = self._roster.holding(request.scope.get(PEER, ""))
        return None if member is None or member.role in ("scorer", "customer") else member

    def _listed(self, page: Callable[[Request, str], Response]) -> Page:
        async def guarded(request: Request) -> Response:
            member = self._who(request)
            return self._refuse("not in the roster", 403) if member is None else page(request, member.name)

        return guarded

    def _member(self, page: Callable[[Request, str], Awaitable[Response]]) -> Page:
        async def guarded(request: Request) -> Response:
            member = self._who(request)
            if member is None or member.role == "gateway":
                return self._refuse("not in the roster", 403)
            try:
                with self._at_once.one(member.name):
                    require_no_page(request)
                    return await page(request, member.name)
            except RefusedError as error:
                return self._refuse(error.reason, error.status)

        return guarded

    async def _orders(self, request: Request, name: str) -> Response:
        try:
            after = int(request.query_params.get("after", "0"))
        except ValueError:
            return self._refuse("not a number", 400)
        if request.query_params.get("epoch") != self._post.epoch:
            after = 0
        process = request.query_params.get("process", "")[:64]
        order = await _unless_gone(request, self._post.next(name, process, after, POLL_SECONDS))
        headers = {"x-epoch": self._post.epoch}
        if order is None and self._post.ended:
            return self._refuse("the gateway ends", 503)
        if order is None:
            return Response(status_code=204, headers=headers)
        size = sum(map(len, order.pieces))
        self.meter.sent.labels(name).inc(size)
        self._chronicle.sent(name, size)
        headers["content-length"] = str(size)
        return StreamingResponse(_sliced(order), media_type="application/octet-stream", headers=headers)

    async def _answers(self, request: Request, name: str) -> Response:
        if request.query_params.get("epoch") != self._post.epoch:
            return self._refuse("of another epoch", 409)
        if _NUMBER.fullmatch(request.path_params["number"]) is None:
            return self._refuse("not a number", 400)
        if not self._post.awaits(name, int(request.path_params["number"])):
            return self._refuse("not waited for", 409)  # before its body is read
        if 0 <= _length(request) <= SMALL:
            return await self._take_in(request, name, _nothing)
        if name in self._large:
            return self._refuse("too many at once", 429)
        self._large.add(name)
        try:
            await self._room.acquire()
            leave = partial(asyncio.get_running_loop().call_soon_threadsafe, self._room.release)
            return await self._take_in(request, name, leave)
        finally:
            self._large.remove(name)

    async def _take_in(self, request: Request, name: str, leave: Callable[[], object]) -> Response:
        """`leave` is called once the answer is no longer here."""
        try:
            body = await whole_body(request, self._largest, self._seconds)
        except RefusedError as error:
            leave()
            return self._refuse(error.reason, error.status)
        try:
            self._post.answer(name, int(request.path_params["number"]), body, leave)
        except MessageError as error:
            return self._refuse("not waited for", 409, str(error))
        self.meter.answers.labels(name).inc()
        self.meter.received.labels(name).inc(len(body))
        self._chronicle.received(name, len(body))
        LOG.info("answer", extra={"party": name, "bytes": len(body)})
        return Response(status_code=204)

    async def _alive(self, request: Request, name: str) -> Response:
        self._post.sign(name)
        return Response(status_code=204)

    def _health(self, request: Request, name: str) -> Response:
        return PlainTextResponse("ok\n")

    def _metrics(self, request: Request, name: str) -> Response:
        return Response(generate_latest(self.meter.registry), media_type="text/plain; version=0.0.4")

    def _status(self, request: Request, name: str) -> Response:
        return self._watching.page()

    def _tokens(self, scope: Scope) -> float:
        """By how long the body is said to be, wanted or not; one in chunks may be the largest."""
        request = Request(scope)
        chunks = "transfer-encoding" in request.headers
        return 1 + (self._largest if chunks else max(0, _length(request))) // SMALL

    def _throttle(self, name: str) -> Response:
        self.meter.throttled.labels(name or "not in the roster").inc()
        return self._refuse(TOO_MANY, 429)

    def _refuse(self, reason: str, status: int, text: str | None = None) -> Response:
        self.meter.refused.labels(reason).inc()
        self._chronicle.turned_away(reason)
        return PlainTextResponse((text or reason) + "\n", status_code=status)


async def _sliced(order: Order) -> AsyncIterator[memoryview]:
    """What travels, without a copy of it: each slice waits until the one before is on its way."""
    for piece in order.pieces:
        for start in range(0, len(piece), SLICE):
            yield memoryview(piece)[start : start + SLICE]


def _nothing() -> None:
    pass


def _length(request: Request) -> int:
    """Of the body, as its sender says; -1 where it does not."""
    said = request.headers.get("content-length", "")
    return int(said) if said.isdecimal() else -1


async def _unless_gone(request: Request, waiting: Coroutine[Any, Any, Order | None]) -> Order | None:
    """What is waited for; None as soon as nobody waits for it any more."""
    found, gone = asyncio.ensure_future(waiting), asyncio.ensure_future(hung_up(request.receive))
    try:
        await asyncio.wait({found, gone}, return_when=asyncio.FIRST_COMPLETED)
        return found.result() if found.done() else None
    finally:
        found.cancel()
        gone.cancel()
        await asyncio.gather(found, gone, return_exceptions=True)
