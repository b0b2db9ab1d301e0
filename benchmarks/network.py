"""What a round over the network costs beside the same round in one process, and what the gateway's memory holds.

    .venv/bin/python -m benchmarks.network --json docs/figures/network.json

A real gateway, with TLS 1.3 and certificates, as a process of its own; banks and key holders as real parties with a
connection each, in two processes beside it, since a machine of a benchmark has no room for 200. All on loopback, so the
seconds are those of the code and not those of a line. `sum_seconds`: from the first request of a secure sum to its
total, on both sides, banks' encoding included. `round_seconds`: between two finished rounds, with the model on its way
out and training. Of several rounds the median stands. `gateway_bytes`: the most that the gateway's process
held, less what it held when it began to listen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

from benchmarks.flooding import flooded
from secure_fl.data.datasets import open_dataset
from secure_fl.federation.rounds import run_round
from secure_fl.federation.run import open_federation
from secure_fl.files import make_folder
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.identity import Identity
from secure_fl.settings import Experiment
from secure_fl.training import usual_tensors
from secure_fl.transport.agreement import Agreement
from secure_fl.transport.bank import BankParty
from secure_fl.transport.certificates import GATEWAY, make_certificates
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.holder import HolderParty
from secure_fl.transport.memory import kept_turns
from secure_fl.transport.party import Connection, Do, take_part

PROCESSES = 2
CERTIFICATES, MEMORY, LOG = "certificates", "memory", "gateway.log"
FLOODER = "flooder"
HUGE, LARGE, SMALL = "976-976-976-976", "976-976", "64-32"
CASES = (
    ("masked", 10, LARGE),
    ("ckks", 10, LARGE),
    ("masked", 5, HUGE),
    ("masked", 30, HUGE),
    ("masked", 200, SMALL),
)
ROUNDS = 3


@dataclass(frozen=True)
class Row:
    scheme: str
    banks: int
    parameters: int
    sum_seconds: float
    memory_sum_seconds: float
    """Of the same sum with all parties in one process."""
    round_seconds: float
    memory_round_seconds: float
    gateway_bytes: int

    @property
    def ratio(self) -> float:
        return self.round_seconds / self.memory_round_seconds


def settings_of(scheme: str, banks: int, hidden: str) -> Experiment:
    """Few rows, so that sums are what takes the time."""
    return Experiment(
        scheme=scheme, banks=banks, hidden=hidden, rounds=ROUNDS, dataset="simulated",
        transactions=max(4_000, 200 * banks), fraud_share=0.1, split="pattern", alpha=100.0,
    )  # fmt: skip


def measure(settings: Experiment) -> Row:
    parameters, sums, rounds = in_memory(settings)
    with tempfile.TemporaryDirectory() as name:
        log, held = over_network(settings, Path(name))
    network_rounds = rounds_of(log)
    assert len(network_rounds) == settings.rounds, "every round takes one attempt"
    network_sums = [float(line["seconds"]) for line in log if line["event"] == "sum opened" and line["round"] > 0]
    return Row(
        settings.scheme, settings.banks, parameters, median(network_sums), median(sums), median(network_rounds),
        median(rounds), held,
    )  # fmt: skip


@usual_tensors()
def in_memory(settings: Experiment) -> tuple[int, list[float], list[float]]:
    """Parameters; seconds of sums, and of rounds, which end with the next model as over a network."""
    federation, sums, rounds = open_federation(settings), list[float](), list[float]()
    model, aggregation = federation.start.model, federation.aggregation
    original = aggregation.sum

    def timed(*given: Any, **named: Any) -> Any:
        started = time.perf_counter()
        done = original(*given, **named)
        sums.append(time.perf_counter() - started)
        return done

    aggregation.sum = timed  # type: ignore[method-assign]
    for number in range(1, settings.rounds + 1):
        started = time.perf_counter()
        done = run_round(aggregation, federation.banks, model, model.to_bytes(), number)
        model = model.after(done.mean, settings.clip_margin)
        rounds.append(time.perf_counter() - started)
    return len(model.weights), sums, rounds


def over_network(settings: Experiment, folder: Path, flood: str = "") -> tuple[list[dict[str, Any]], int]:
    """The gateway's log, and the bytes that it held more than at the beginning.

    `flood`: what somebody of the roster does meanwhile who has no part in sums, a kind of `benchmarks.flooding`.
    """
    roster = make_certificates(folder / CERTIFICATES, settings, ["localhost"], customers=(FLOODER,) if flood else ())
    others = list(roster.parties)
    log = folder / LOG
    with started_gateway(folder) as gateway, ExitStack() as stack:
        wait(lambda: "listening" in log.read_text(), gateway)
        before = peak_bytes(gateway.pid)
        port = next(line["port"] for line in lines_of(log) if line["event"] == "listening")
        shares = [others[number::PROCESSES] for number in range(PROCESSES)]
        command = [sys.executable, "-m", "benchmarks.network", "--join", f"https://localhost:{port}", str(folder)]
        banks = [subprocess.Popen([*command, *names]) for names in shares if names]
        try:
            if flood:
                stack.enter_context(flooded(folder / CERTIFICATES / FLOODER, port, flood))
            wait(lambda: any(is_round(line, settings.rounds) for line in lines_of(log)), gateway)
            held = peak_bytes(gateway.pid) - before
            for process in banks:
                assert process.wait(60) == 0
        finally:
            for process in banks:
                process.kill()
                process.wait()
    return lines_of(log), held


@contextmanager
def started_gateway(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    file = folder / "gateway.toml"
    file.write_text(f'certificates = "{CERTIFICATES}/{GATEWAY}"\nstate = "state"\nport = 0\nlinger_seconds = 30\n')
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "secure_fl", "gateway", "--config", str(file)], stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def rounds_of(log: Sequence[Mapping[str, Any]]) -> list[float]:
    """Seconds of each."""
    finished = [datetime.fromisoformat(line["time"]) for line in log if line["event"] == "round finished"]
    return [(after - before).total_seconds() for before, after in itertools.pairwise(finished)]


def is_round(line: Mapping[str, Any], number: int) -> bool:
    return (line["event"], line.get("round")) == ("round finished", number)


def wait(until: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "the gateway takes too long"
        assert process.poll() is None, "the gateway has ended"
        time.sleep(0.1)


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]


def peak_bytes(process: int) -> int:
    """The most that a process has held so far."""
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


@usual_tensors()
def join(url: str, folder: Path, names: Sequence[str]) -> None:
    """Some parties in this process, with a thread and a connection each."""
    parties = [
        (Connection(url, read.client_context(), Agreement(read.roster.settings).largest_order(read.member.name)), party)
        for read, party in parties_of(folder, names)
    ]
    threads = [Thread(target=take_part, args=each) for each in parties]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def parties_of(folder: Path, names: Sequence[str]) -> Iterator[tuple[Credentials, Do]]:
    roster = Credentials.read(folder / CERTIFICATES / GATEWAY, "gateway").roster
    dataset = open_dataset(roster.settings)
    rows = {bank.name: bank for bank in dataset.banks}
    for name in names:
        role, memory = roster.named(name).role, folder / MEMORY / name
        credentials = Credentials.read(folder / CERTIFICATES / name, role)
        make_folder(memory, 0o700)
        if role == "holder":
            yield credentials, HolderParty(roster, name, credentials.own_key(), kept_turns(memory))
        else:
            identity = Identity(SigningKey(credentials.own_key()), kept_turns(memory))
            yield credentials, BankParty(roster, rows[name], dataset.key, identity, lambda model, schema: None)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--case", nargs=3, action="append", metavar=("SCHEME", "BANKS", "HIDDEN"))
    parser.add_argument("--join", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.join:
        url, folder, *names = asked.join
        return join(url, Path(folder), names)
    cases = [(scheme, int(banks), hidden) for scheme, banks, hidden in asked.case or ()] or CASES
    rows = [measure(settings_of(*case)) for case in cases]
    for row in rows:
        print(f"{row}, {row.ratio:.2f} times the round in memory")
    if asked.json is not None:
        asked.json.write_text(json.dumps({"rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
