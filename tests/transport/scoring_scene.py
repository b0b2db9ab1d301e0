"""A service of scores and its customers: certificates, a model, rows; in the test's process or as real ones."""

from __future__ import annotations

import csv
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from numpy.typing import NDArray

from secure_fl.report.encrypted_model import EncryptedModel
from secure_fl.scoring.ways import Way
from secure_fl.settings import Experiment
from secure_fl.training import Network
from secure_fl.transport.certificates import SCORER, make_certificates
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.roster import Role, Roster
from secure_fl.transport.scores.allowance import Allowance
from secure_fl.transport.scores.publishing import PublicModel
from secure_fl.transport.scores.service import ScoringService
from secure_fl.transport.scores.sessions import Sessions
from secure_fl.transport.serving import Server
from tests.report.scored_run import ScoredRun, scored_run
from tests.transport.sandbox import careless

ROOT = Path(__file__).parents[2]
CUSTOMERS = ("corner", "other")
HOSTS = ("localhost", "127.0.0.1")


def prepare(folder: Path, network: Network = Network(())) -> ScoredRun:  # noqa: B008  it is frozen
    """Certificates of a federation with two customers, and the files of a run."""
    make_certificates(folder / "c", Experiment(dataset="simulated"), HOSTS, customers=CUSTOMERS)
    return scored_run(folder, network)


def context(folder: Path, who: str = CUSTOMERS[0], role: Role = "customer") -> ssl.SSLContext:
    return Credentials.read(folder / "c" / who, role).client_context()


@dataclass
class Door:
    """A service in the test's own process."""

    folder: Path
    model: EncryptedModel
    public: PublicModel
    sessions: Sessions
    service: ScoringService
    port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def client(self, who: str = CUSTOMERS[0], role: Role = "customer") -> httpx2.Client:
        return httpx2.Client(
            base_url=self.url, verify=careless(context(self.folder, who, role)), trust_env=False, timeout=60
        )


@contextmanager
def door(
    folder: Path,
    run: ScoredRun,
    way: Way = "batched",
    answers: int | None = None,
    of_all: int = 16,
    roster: Roster | None = None,
    **settings: Any,
) -> Iterator[Door]:
    """`roster`: where it is not the one in `folder`."""
    credentials = Credentials.read(folder / "c" / SCORER, "scorer")
    model = EncryptedModel.read(run.model, None, way)
    public = PublicModel(model.planned.plan, model.opened.intake)
    sessions = Sessions(model.planned, of_all, None if answers is None else Allowance(folder, answers))
    service = ScoringService(roster or credentials.roster, public, sessions, **settings)
    with Server(service.app, credentials.server_context(), "127.0.0.1", 0) as server:
        yield Door(folder, model, public, sessions, service, server.port)


@dataclass
class Processes:
    """A service and customers as processes of their own."""

    folder: Path
    way: Way = "batched"
    settings: str = ""
    port: int = 0
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """The service, on the port that it had before, if it was there before."""
        text = f'certificates = "c/{SCORER}"\nmodel = "model.safetensors"\nstate = "state"\nway = "{self.way}"\n'
        (self.folder / "scores.toml").write_text(f"{text}port = {self.port}\n{self.settings}")
        command = [sys.executable, "-m", "secure_fl", "serve-scores", "--config", str(self.folder / "scores.toml")]
        before = self.log.count('"listening"')
        with (self.folder / "service.log").open("ab") as log:
            self.running.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT))
        self.wait_for('"listening"', before + 1)
        self.port = int(re.findall(r'"listening".*"port": (\d+)', self.log)[-1])

    @property
    def service(self) -> subprocess.Popen[bytes]:
        return self.running[-1]

    def kill(self) -> None:
        self.service.kill()
        self.service.wait()

    def end(self) -> int:
        """As systemd does; the exit status."""
        self.service.terminate()
        return self.service.wait(30)

    @property
    def log(self) -> str:
        path = self.folder / "service.log"
        return path.read_text() if path.exists() else ""

    def wait_for(self, event: str, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.log.count(event) < count:
            assert self.service.poll() is None, self.log[-2000:]
            assert time.monotonic() < deadline, self.log[-2000:]
            time.sleep(0.02)

    def customer(
        self, out: str, *options: str, who: str = CUSTOMERS[0], module: str = "secure_fl"
    ) -> subprocess.Popen[bytes]:
        """One that scores `rows.csv`; it is at work when the call returns."""
        command = [sys.executable, "-m", module, "score", "--encrypted", "--at", f"https://localhost:{self.port}"]
        command += ["rows.csv", "--certificates", f"c/{who}", "--out", f"{out}.csv", "--json", f"{out}.json", *options]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )


@contextmanager
def processes(folder: Path, way: Way = "batched", settings: str = "") -> Iterator[Processes]:
    """The service at work; it is killed in the end."""
    made = Processes(folder, way, settings)
    try:
        made.start()
        yield made
    finally:
        for process in made.running:
            process.kill()
            process.wait()


def scores_in(path: Path) -> NDArray[np.float64]:
    with path.open() as file:
        return np.array([float(line["fraud_probability"]) for line in csv.DictReader(file)])


def said_in(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(path.read_text())
    return said
