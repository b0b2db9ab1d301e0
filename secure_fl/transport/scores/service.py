"""The pages of a service of scores. Whoever is not a customer of the roster gets none.

GET  /plan                what is public of the model (`publishing`)
POST /sessions            a customer's keys to compute with
POST /scores              a batch of encrypted rows; the answer is the batch of encrypted logits
GET  /health, /metrics    counts of all customers together

Work on ciphertexts is done in one thread, a batch at a time in the order of arrival; pages are served meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from secure_fl.errors import MessageError, SecretExposureError, SecureFLError
from secure_fl.scoring.plans import ScoringPlan
from secure_fl.transport.rates import REQUESTS, TOO_MANY, Buckets, Paced
from secure_fl.transport.requests import PEER, AtOnce, RefusedError, require_no_page, whole_body
from secure_fl.transport.roster import Roster
from secure_fl.transport.scores.publishing import PublicModel
from secure_fl.transport.scores.refusals import BUSY, FAILED, STATUS, UNKNOWN, UNREADABLE
from secure_fl.transport.scores.sessions import Sessions

LOG = logging.getLogger("secure_fl.scores")
ROOM = 4
"""Bodies that are taken in, or wait for their turn, at one time; the others wait at their senders."""
BODY_SECONDS, SECONDS_A_BYTE = 60.0, 1e-6
"""How long a body may take to arrive: so long, and more the larger one can be."""
Page = Callable[[Request, str], Awaitable[Response]]
Worked = TypeVar("Worked")


def largest_body(plan: ScoringPlan) -> int:
    """Bytes of keys or of a batch: sizes of the plan are about so, since objects are compressed."""
    expected = max(plan.key_bytes, plan.upload_bytes)
    return expected + expected // 4 + (1 << 16)


class Meter:
    """What is counted: never whose, and never values."""

    def __init__(self, sessions: Sessions) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter("secure_fl_scored_batches", "Batches answered.", registry=self.registry)
        self.received = Counter("secure_fl_received_bytes", "Bytes of keys and batches.", registry=self.registry)
        self.sent = Counter("secure_fl_sent_bytes", "Bytes of answers.", registry=self.registry)
        self.seconds = Counter("secure_fl_scoring_seconds", "Seconds on ciphertexts.", registry=self.registry)
        self.refused = Counter("secure_fl_refused_requests", "Requests refused.", ["reason"], registry=self.registry)
        opened = Gauge("secure_fl_scoring_sessions", "Sessions in memory.", registry=self.registry)
        opened.set_function(lambda: len(sessions))


class ScoringService:
    """Serves one model to the customers of one roster."""

    def __init__(
        self, roster: Roster, public: PublicModel, sessions: Sessions, body_seconds: float | None = None
    ) -> None:
        self._roster, self._public, self._sessions = roster, public.to_json(), sessions
        self._largest = largest_body(public.plan)
        self._seconds = BODY_SECONDS + SECONDS_A_BYTE * self._largest if body_seconds is None else body_seconds
        self._at_once = AtOnce()
        self._sending: set[str] = set()
        """Whose body is on its way in, or worked on."""
        self._room = asyncio.Semaphore(ROOM)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scoring")
        self.meter = Meter(sessions)
        app = Starlette(
            routes=[
                Route("/plan", self._customer(self._plan)),
                Route("/sessions", self._customer(self._open), methods=["POST"]),
                Route("/scores", self._customer(self._score), methods=["POST"]),
                Route("/health", self._customer(self._health)),
                Route("/metrics", self._customer(self._metrics)),
            ]
        )
        self.app = Paced(app, roster, Buckets(REQUESTS), lambda name: self._refuse(TOO_MANY))

    def _customer(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            member = self._roster.holding(request.scope.get(PEER, ""))
            if member is None or member.role != "customer":
                return self._refuse(UNKNOWN)
            try:
                with self._at_once.one(member.name):
                    return await page(request, member.name)
            except RefusedError as error:
                return self._refuse(error.reason, error.status)

        return guarded

    async def _plan(self, request: Request, name: str) -> Response:
        return Response(self._public, media_type="application/json")

    async def _open(self, request: Request, name: str) -> Response:
        await self._worked(request, name, self._sessions.open)
        LOG.info("session", extra={"party": name, "sessions": len(self._sessions)})
        return Response(status_code=204)

    async def _score(self, request: Request, name: str) -> Response:
        answer = await self._worked(request, name, self._sessions.answer)
        self.meter.answers.inc()
        self.meter.sent.inc(len(answer))
        LOG.info("answer", extra={"party": name, "bytes": len(answer)})
        return Response(answer, media_type="application/octet-stream")

    async def _worked(self, request: Request, name: str, work: Callable[[str, bytes], Worked]) -> Worked:
        """What comes of a body, once it is its turn. Raises `RefusedError`."""
        require_no_page(request)
        if name in self._sending:
            raise RefusedError(BUSY, STATUS[BUSY])
        self._sending.add(name)
        try:
            async with self._room:
                body = await whole_body(request, self._largest, self._seconds)
                self.meter.received.inc(len(body))
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._worker, self._timed, work, name, body)
        finally:
            self._sending.remove(name)

    def _timed(self, work: Callable[[str, bytes], Worked], name: str, body: bytes) -> Worked:
        """In the worker's thread."""
        started = time.perf_counter()
        try:
            return work(name, body)
        except RefusedError:
            raise
        except (MessageError, SecretExposureError) as error:
            LOG.warning("refused", extra={"party": name, "bytes": len(body), "reason": str(error)})
            raise RefusedError(UNREADABLE, STATUS[UNREADABLE]) from None
        except Exception as error:  # the text of one that is not ours could hold something of the message
            said = str(error) if isinstance(error, SecureFLError) else type(error).__name__
            LOG.error("failed", extra={"party": name, "bytes": len(body), "reason": said})
            raise RefusedError(FAILED, STATUS[FAILED]) from None
        finally:
            self.meter.seconds.inc(time.perf_counter() - started)

    async def _health(self, request: Request, name: str) -> Response:
        return PlainTextResponse("ok\n")

    async def _metrics(self, request: Request, name: str) -> Response:
        return Response(generate_latest(self.meter.registry), media_type="text/plain; version=0.0.4")

    def _refuse(self, reason: str, status: int | None = None) -> Response:
        self.meter.refused.labels(reason).inc()
        return PlainTextResponse(reason + "\n", status_code=STATUS[reason] if status is None else status)
