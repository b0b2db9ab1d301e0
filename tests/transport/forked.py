"""The command as processes of their own that need not import it: they are forked from a server that has.

What a new interpreter takes to import torch, two seconds of a core, would be most of what these tests take. Each is a
process with memory and sockets of its own all the same, and is killed as any other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "secure_fl.__main__",
        "secure_fl.cli.app",
        "secure_fl.transport.starting_gateway",
        "secure_fl.transport.starting_party",
    ]
)


class Forked:
    """`secure-fl` with arguments, as `subprocess.Popen` has it; what it says is appended to a log."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._arguments = list(arguments)
        self._process = SERVER.Process(target=_run, args=(self._arguments, log, dict(os.environ)), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


def _run(arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.argv = ["secure-fl", *arguments]
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)

    from secure_fl.__main__ import main

    main()
