"""A chronicle behind the two doors that show it: the gateway's own, and the one on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from secure_fl.transport.serving import Server
from secure_fl.transport.status.local import HOST, local_app
from secure_fl.transport.status.snapshot import Status
from secure_fl.transport.status.watching import Watched


class Shown:
    """What a test says that there is."""

    def __init__(self, status: Status, now: float) -> None:
        self.now, self.told = now, status

    def clock(self) -> float:
        return self.now

    def status(self) -> Status:
        return self.told


@contextmanager
def local(watched: Watched, port: int = 0) -> Iterator[int]:
    """The port of the page on this machine."""
    with Server(local_app(watched), None, HOST, port) as server:
        yield server.port


def client(port: int, **settings: Any) -> httpx2.Client:
    return httpx2.Client(base_url=f"http://{HOST}:{port}", trust_env=False, timeout=30, **settings)


def events(answer: httpx2.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of an open stream, each with its name; what is no event is left out."""
    name = ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)
