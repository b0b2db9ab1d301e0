"""A bad line between parties and a gateway: a proxy of the test's own, which sees TLS and nothing in it.

What goes wrong with a connection is drawn when it is made, from a seed that is kept.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Fault = Callable[[random.Random, bytes], Iterator[bytes]]
"""A piece that came, as pieces that go on; they end early where the line is cut (`CutError`)."""


class CutError(Exception):
    """The line breaks here."""


def delayed(draw: random.Random, data: bytes) -> Iterator[bytes]:
    time.sleep(draw.uniform(0.02, 0.1))
    yield data


def dribbling(draw: random.Random, data: bytes) -> Iterator[bytes]:
    """Byte by byte; of a long piece the first ones."""
    for place in range(min(len(data), 200)):
        yield data[place : place + 1]
    yield data[200:]


def cut(draw: random.Random, data: bytes) -> Iterator[bytes]:
    """One piece in twenty breaks off, with the connection."""
    if draw.randrange(20) == 0:
        yield data[: len(data) // 2]
        raise CutError
    yield data


@dataclass
class Line:
    """To one port of this machine, by another one."""

    to: int
    fault: Fault
    seed: int = 14
    port: int = 0
    cuts: int = 0
    pieces: int = 0
    _open: threading.Event = field(default_factory=threading.Event)
    """Set while nothing is held up."""

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Nothing goes on meanwhile, and no connection ends."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def serve(self, listening: socket.socket) -> None:
        self._open.set()
        draw = random.Random(self.seed)
        with suppress(OSError):  # until it is closed
            while True:
                here, _ = listening.accept()
                threading.Thread(target=self._connect, args=(here, draw.random()), daemon=True).start()

    def _connect(self, here: socket.socket, seed: float) -> None:
        with here, socket.create_connection(("127.0.0.1", self.to)) as there:
            for end in (here, there):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._carry, args=(there, here, random.Random(seed + 1)), daemon=True)
            back.start()
            self._carry(here, there, random.Random(seed))
            back.join()

    def _carry(self, source: socket.socket, target: socket.socket, draw: random.Random) -> None:
        try:
            while data := source.recv(1 << 14):
                self.pieces += 1
                for piece in self.fault(draw, data):
                    self._open.wait()
                    target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except CutError:
            self.cuts += 1
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        except OSError:
            with suppress(OSError):
                source.shutdown(socket.SHUT_RDWR)


@contextmanager
def line(to: int, fault: Fault) -> Iterator[Line]:
    """Open for connections as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Line(to, fault, port=listening.getsockname()[1])
        threading.Thread(target=made.serve, args=(listening,), daemon=True).start()
        yield made
        listening.shutdown(socket.SHUT_RDWR)
