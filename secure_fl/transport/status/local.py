"""The status page for a browser on the gateway's own machine, which has no certificate: plain HTTP on 127.0.0.1.

Whoever has an account on that machine can read it. Pages of other sites cannot: a browser sends them nothing of it, and
a name that was made to point at 127.0.0.1 (DNS rebinding) is refused, since requests must be for `localhost` or
127.0.0.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from secure_fl.transport.status.watching import STREAMS, Watched, Watching, refused

HOST = "127.0.0.1"
NAMES = ("localhost", HOST)


def local_app(watched: Watched) -> Starlette:
    """The page and its events, and nothing else."""
    watching = Watching(watched, refused)

    def page(request: Request) -> Response:
        return watching.page()

    def events(request: Request) -> Response:
        return watching.events(request, "", STREAMS)

    return Starlette(routes=[Route("/status", _at_home(page)), Route("/status/events", _at_home(events))])


def _at_home(page: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        if request.headers.get("host", "").partition(":")[0] not in NAMES:
            return refused("not for this host", 403)
        return page(request)

    return guarded
