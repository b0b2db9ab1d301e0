"""A federation of real processes on loopback: a gateway, key holders and banks, each started and killed at will."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from secure_fl.settings import Experiment
from secure_fl.transport.certificates import GATEWAY, make_certificates, revoke
from secure_fl.transport.roster import Roster
from tests.transport.forked import Forked

SMALL = {"dataset": "simulated", "transactions": 4_000, "fraud_share": 0.05, "rounds": 3, "hidden": "none"}
PACKAGE = "secure_fl"
HOSTS = ("localhost", "127.0.0.1")
ROOT = Path(__file__).parents[2]
PATIENCE = "stage_seconds = 10\ntrain_seconds = 60\nabsent_seconds = 5\nlinger_seconds = 60\n"


class Processes:
    """The parties of one federation, by name."""

    def __init__(
        self,
        folder: Path,
        experiment: Experiment,
        module: str = PACKAGE,
        own: Mapping[str, Path] | None = None,
        extra: str = "",
        gateway: str = PACKAGE,
        passphrase: bytes | None = None,
    ) -> None:
        """`module`: what banks and key holders run; another one than the package's starts all as new interpreters.

        `gateway`: what the gateway runs; `own`: banks with rows of their own, and where these lie; `extra`: lines for
        the gateway's file.
        """
        self.folder = folder
        self.roster: Roster = make_certificates(folder / "certificates", experiment, HOSTS, passphrase=passphrase)
        self.parties = list(self.roster.parties)
        self.module, self.gateway, self.extra = module, gateway, extra
        self.running: dict[str, subprocess.Popen[bytes] | Forked] = {}
        self.port = 0
        self.own = own or {}

    def start_gateway(self) -> None:
        """On the port that it had before, if it was there before."""
        text = f'certificates = "certificates/{GATEWAY}"\nstate = "state"\nport = {self.port}\n{PATIENCE}{self.extra}'
        (self.folder / f"{GATEWAY}.toml").write_text(text)
        self._start(GATEWAY, "gateway")
        self.port = int(self.gateway_says(r'"event": "listening".*"port": (\d+)'))

    def gateway_says(self, pattern: str, seconds: float = 60) -> str:
        """The group of a pattern in its log, once it is there."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.findall(pattern, self.log(GATEWAY))
            if found:
                return str(found[-1])
            assert self.running[GATEWAY].poll() is None, self.log(GATEWAY)
            time.sleep(0.1)
        raise AssertionError(f"the gateway's log says nothing like {pattern}")

    def start(self, name: str) -> None:
        """A bank or a key holder."""
        role = self.roster.named(name).role
        lines = [f'certificates = "certificates/{name}"', f'gateway = "https://localhost:{self.port}"']
        lines += [f'memory = "memory-{name}"', *([f'out = "out-{name}"'] if role == "bank" else [])]
        lines += [f'transactions = "{self.own[name]}"'] if name in self.own else []
        (self.folder / f"{name}.toml").write_text("\n".join(lines))
        self._start(name, "bank" if role == "bank" else "key-authority")

    def kill(self, name: str) -> None:
        """As a power cut does."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def pause(self, name: str) -> None:
        """It stands still, with all that it holds."""
        self.running[name].send_signal(signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """After a pause."""
        self.running[name].send_signal(signal.SIGCONT)

    def finish(self, seconds: float = 180, names: Sequence[str] | None = None) -> None:
        """Until all have ended, and well; or some: a gateway lingers for parties that never come back."""
        deadline = time.monotonic() + seconds
        for name in self.running if names is None else names:
            process = self.running[name]
            left = max(0.1, deadline - time.monotonic())
            try:
                assert process.wait(left) == 0, f"{name}: {self.log(name)[-2000:]}"
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{name} has not ended: {self.log(name)[-2000:]}") from None

    def rounds(self) -> list[int]:
        """That the gateway says are finished, over all its lives."""
        return [int(n) for n in re.findall(r'"event": "round finished", "round": (\d+)', self.log(GATEWAY))]

    def wait_for_round(self, number: int, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while number not in self.rounds():
            assert time.monotonic() < deadline, self.log(GATEWAY)[-2000:]
            time.sleep(0.05)

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def model(self, bank: str) -> dict[str, np.ndarray]:
        return load_file(self.folder / f"out-{bank}" / "model.safetensors")

    def _start(self, name: str, command: str) -> None:
        arguments, log = [command, "--config", str(self.folder / f"{name}.toml")], self.folder / f"{name}.log"
        module = self.gateway if name == GATEWAY else self.module
        if self.module == self.gateway == PACKAGE:
            self.running[name] = Forked(arguments, log)
            return
        with log.open("ab") as stream:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], stdout=stream, stderr=stream, cwd=ROOT
            )


@contextmanager
def federation(
    folder: Path, module: str = PACKAGE, revoked: tuple[str, ...] = (), extra: str = "", **settings: object
) -> Iterator[Processes]:
    """All parties at work; what still runs in the end is killed."""
    parties = Processes(folder, Experiment(**{**SMALL, **settings}), module, extra=extra)  # type: ignore[arg-type]
    for name in revoked:
        revoke(folder / "certificates", name)
        parties.parties.remove(name)
    with at_work(parties):
        yield parties


@contextmanager
def at_work(parties: Processes, start: Sequence[str] | None = None) -> Iterator[Processes]:
    """The gateway and all parties, or some; what still runs in the end is killed."""
    try:
        parties.start_gateway()
        for name in parties.parties if start is None else start:
            parties.start(name)
        yield parties
    finally:
        for name in list(parties.running):
            parties.kill(name)
