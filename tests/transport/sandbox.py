"""A real gateway's door in the test's own process: certificates that the test made, a post, a service, a server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from secure_fl.settings import Experiment
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.patience import Patience
from secure_fl.transport.post import Post
from secure_fl.transport.rates import Buckets
from secure_fl.transport.roster import Roster
from secure_fl.transport.service import Service
from secure_fl.transport.serving import Server
from secure_fl.transport.status.chronicle import Chronicle

LARGEST = 1 << 20


@dataclass
class Door:
    """What a test knocks at."""

    folder: Path
    post: Post
    chronicle: Chronicle
    service: Service
    port: int

    def context(self, who: str) -> ssl.SSLContext:
        return Credentials.read(self.folder / who, "bank" if who.startswith("bank") else "holder").client_context()

    def client(self, context: ssl.SSLContext, **settings: Any) -> httpx2.Client:
        url = f"https://localhost:{self.port}"
        return httpx2.Client(base_url=url, verify=context, trust_env=False, timeout=30, **settings)

    def socket(self, who: str) -> ssl.SSLSocket:
        """A connection for requests that no client library would send."""
        plain = socket.create_connection(("localhost", self.port), timeout=30)
        return self.context(who).wrap_socket(plain, server_hostname="localhost")


def careless(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same, of a party that does not look who of the authority's serves it."""
    context.sslsocket_class = ssl.SSLSocket
    return context


def bare_context(authority: Path) -> ssl.SSLContext:
    """Of a client that knows the authority, and has no certificate."""
    return ssl.create_default_context(cafile=authority)


@contextmanager
def door(
    folder: Path,
    roster: Roster | None = None,
    body_seconds: float = 1.0,
    largest: int = LARGEST,
    buckets: Buckets | None = None,
) -> Iterator[Door]:
    """`folder`: of certificates; `roster`: that the gateway has, where it is not the one in there."""
    credentials = Credentials.read(folder / "gateway", "gateway")
    listed = roster or credentials.roster
    post = Post(member.name for member in listed.in_sums)
    chronicle = Chronicle(listed, post, Patience())
    service = Service(listed, post, chronicle, largest, body_seconds, buckets)
    with Server(service.app, credentials.server_context(), "127.0.0.1", 0) as server:
        yield Door(folder, post, chronicle, service, server.port)


def certificates(folder: Path, **settings: Any) -> Path:
    make_certificates(folder, Experiment(**settings), ["localhost", "127.0.0.1"])
    return folder
