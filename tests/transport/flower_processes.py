"""Flower's own processes on loopback: a SuperLink, SuperNodes and `flwr run`, none of which outlives the test.

Telemetry and look-ups of updates are off, and everything that Flower writes is in a folder of the test.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

APP = Path(__file__).parents[2] / "examples" / "flower"
TLS_1_3 = """openssl_conf = all
[all]
ssl_conf = tls
[tls]
system_default = only
[only]
Protocol = -TLSv1,-TLSv1.1,-TLSv1.2
"""
"""For OPENSSL_CONF: Flower's SuperLink takes TLS 1.2 as well, unless OpenSSL does not."""


class Flower:
    """One SuperLink and whoever connects to it."""

    def __init__(self, folder: Path, options: str) -> None:
        self.folder, self.port = folder, free_port()
        self._started: list[subprocess.Popen[bytes]] = []
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            **{"PATH": path, "FLWR_HOME": str(folder / "home"), "RAY_TMPDIR": str(folder)},
            **{"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "RAY_USAGE_STATS_ENABLED": "0"},
            **{"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},  # as on those systems, Ray stays on 127.0.0.1
            **{"PYTHONPATH": str(APP.parents[1]), "OMP_NUM_THREADS": "1"},
            **{"PYTHONUNBUFFERED": "1"},  # logs are waited for: a kill that waits for a full buffer comes too late
        }
        (folder / "home").mkdir()
        (folder / "home" / "config.toml").write_text(
            f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "127.0.0.1:{self.port}"\n{options}\n'
        )

    def start(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """A process whose output goes to a file of that name."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def superlink(self, *options: str, **environment: str) -> None:
        self.start(
            "superlink", "flower-superlink", "--disable-runtime-dependency-installation",
            "--host", "127.0.0.1", "--port", str(self.port), *options, **environment,
        )  # fmt: skip
        self._wait(lambda: reachable(self.port), "superlink", 60)

    def command(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout.decode()

    def run(self, name: str, **settings: str | int) -> subprocess.Popen[bytes]:
        """`flwr run` of the example; its log is streamed."""
        said = " ".join(f"{key}={json.dumps(value)}" for key, value in settings.items())
        return self.start(name, "flwr", "run", str(APP), "here", "--stream", "--run-config", said)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait_for(self, text: str, name: str, seconds: float, times: int = 1) -> None:
        self._wait(lambda: self.log(name).count(text) >= times, name, seconds)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """The whole of it, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)

    def end(self) -> None:
        """Whatever was started here, and what that started: all have this folder in their environment."""
        for process in reversed(self._started):
            self.kill(process)
        marker = f"FLWR_HOME={self.folder / 'home'}".encode()
        until = time.monotonic() + 20
        while ours := _with_environment(marker):
            assert time.monotonic() < until, f"still there: {ours}"
            for pid in ours:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def _wait(self, true: Any, name: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, f"{name} in {seconds} s:\n{self.log(name)[-3000:]}"
            time.sleep(0.2)


@contextlib.contextmanager
def flower(options: str) -> Iterator[Flower]:
    """`options`: of the connection to the SuperLink, as TOML."""
    with tempfile.TemporaryDirectory(prefix="fl", ignore_cleanup_errors=True) as folder:
        here = Flower(Path(folder), options)
        try:
            yield here
        finally:
            here.end()


def node_key(folder: Path, name: str) -> Path:
    """A SuperNode's key for Flower's node authentication, and beside it its public half (.pub)."""
    key, place = ec.generate_private_key(ec.SECP384R1()), folder / name
    place.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    place.with_suffix(".pub").write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    return place


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reachable(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _with_environment(marker: bytes) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if place.name.isdigit() and marker in (place / "environ").read_bytes().split(b"\0"):
                state = (place / "stat").read_text().rpartition(")")[2].split()[0]
                found += [int(place.name)] if state != "Z" else []
    return found
