"""A listed party that sends the gateway as much as it can: a process of its own, without our client's manners.

    python -m benchmarks.flooding FOLDER PORT CONNECTIONS KIND

FOLDER: of its certificate. KIND: `requests`, fifty at once without waiting for answers (pipelining); `bodies`, requests
whose bodies never end; `connections`, a new one to each request. A connection that is closed is opened again. What
comes back is counted by status, and said once the process is told to end.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secure_fl.transport.certificates import AUTHORITY, CERTIFICATE, KEY

CHEAP = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
ENDLESS = b"GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\n\r\n"
ROOT = Path(__file__).parents[1]
SOON = 2.0
"""Seconds that one connection waits, to send or to hear."""


class Flood:
    """From one party."""

    def __init__(self, context: ssl.SSLContext, port: int, kind: str) -> None:
        self._context, self._port, self._kind = context, port, kind
        self.counted: Counter[str] = Counter()
        self._lock = threading.Lock()

    def go_on(self) -> None:
        """Without end: one connection after the other."""
        while True:
            try:
                plain = socket.create_connection(("localhost", self._port), timeout=SOON)
                with self._context.wrap_socket(plain, server_hostname="localhost") as wire:
                    self._count("connections")
                    self._send(wire)
            except OSError as error:
                self._count(type(error).__name__)

    def _send(self, wire: ssl.SSLSocket) -> None:
        if self._kind == "bodies":
            wire.sendall(ENDLESS)
            while True:
                wire.sendall(bytes(1 << 18))
                self._count("quarters of a MiB")
        many = 1 if self._kind == "connections" else 50
        while True:
            wire.sendall(many * CHEAP)
            heard = 0
            while heard < many:
                data = wire.recv(1 << 16)
                if not data:
                    return
                for status in re.findall(rb"HTTP/1.1 (\d{3})", data):
                    heard += 1
                    self._count(status.decode())
            if self._kind == "connections":
                return

    def _count(self, what: str) -> None:
        with self._lock:
            self.counted[what] += 1


def context(folder: Path) -> ssl.SSLContext:
    """Of whatever role."""
    made = ssl.create_default_context(cafile=folder / AUTHORITY)
    made.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return made


@contextmanager
def flooded(folder: Path, port: int, kind: str, connections: int = 16) -> Iterator[subprocess.Popen[bytes]]:
    """Such a process, which is ended."""
    command = [sys.executable, "-m", "benchmarks.flooding", str(folder), str(port), str(connections), kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    folder, port, connections, kind = sys.argv[1:]
    flood = Flood(context(Path(folder)), int(port), kind)
    for _ in range(int(connections)):
        threading.Thread(target=flood.go_on, daemon=True).start()
    signal.sigwait({signal.SIGTERM})
    sys.stdout.write(json.dumps(flood.counted) + "\n")


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main()
