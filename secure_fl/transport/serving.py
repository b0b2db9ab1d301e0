"""uvicorn with TLS 1.3 and certificates on both sides; who is at the other end is told to the service.

There is no ASGI extension for that, so the protocol class puts the certificate's hash into the scope. A connection
whose handshake, or whose next request, begins and does not get on in time is closed: half-open ones would otherwise add
up (slowloris). So is one too many of a certificate, and one that goes on with a body that was answered before its end.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import threading
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from secure_fl.errors import ConfigurationError
from secure_fl.transport.requests import PEER
from secure_fl.transport.status.watching import HANG_UP

HANDSHAKE_SECONDS = 10.0
"""How long a TLS handshake may take, from when the connection was accepted."""
HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive, and the first one to begin."""
CONNECTIONS = 32
"""Of one certificate, at one time. A party's client has two, a browser six."""
UNREAD = 1 << 18
"""Bytes that may still come of a body, once its request was answered."""


class PeerProtocol(H11Protocol):
    """HTTP/1.1 by h11, that knows the peer's certificate."""

    peer = ""
    """SHA-256 of it, hexadecimal; empty where there is none."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does so for sockets that name TCP as their protocol, which accepted ones do not: without it the end
        # of each answer waits 40 ms for the acknowledgement of its head.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=1 << 16)  # of each connection that an order is on its way to
        tls = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(True)
        self.peer = "" if certificate is None else hashlib.sha256(certificate).hexdigest()
        self.app = _told(self.app, self.peer, transport)
        self._head_until = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        self._head_of: object = None
        self._unread = 0
        if sum(isinstance(each, PeerProtocol) and each.peer == self.peer for each in self.connections) > CONNECTIONS:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not self._head_of:
            self._head_of, self._unread = self.cycle, 0
            self._head_until.cancel()
        elif self._between_requests and self._head_until.cancelled():
            self._head_until = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        if self._between_requests:
            self._unread += len(data)
            if self._unread > UNREAD:
                self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_until.cancel()
        super().connection_lost(exc)

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete


def _told(app: Any, peer: str, transport: asyncio.Transport) -> ASGIApp:
    async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
        scope[PEER], scope[HANG_UP] = peer, transport.abort
        await app(scope, receive, send)

    return with_peer


class _Uvicorn(uvicorn.Server):
    """Whose TLS handshakes have a limit: uvicorn leaves them to asyncio, which waits for 60 s."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        loop, tls = asyncio.get_running_loop(), self.config.ssl
        protocol = partial(PeerProtocol, self.config, self.server_state, self.lifespan.state)
        seconds = None if tls is None else HANDSHAKE_SECONDS
        for each in sockets or ():
            server = await loop.create_server(
                protocol, sock=each, ssl=tls, ssl_handshake_timeout=seconds, backlog=self.config.backlog
            )
            self.servers.append(server)


class Server:
    """Serves an app in a thread of its own."""

    def __init__(self, app: ASGIApp, context: ssl.SSLContext | None, host: str, port: int) -> None:
        """`context`: None for plain HTTP. Raises `ConfigurationError` where the address cannot be taken."""
        self._socket = _bound(host, port)
        config = uvicorn.Config(
            app,
            http=PeerProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_context_factory=None if context is None else lambda config, default: context,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=1 << 14,
        )
        self._server = _Uvicorn(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)


def _bound(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigurationError(f"{host}:{port} cannot be listened at ({error.strerror}); choose another") from None
