"""The server half alone: record what it was answered in one round, and run it again on the same bytes.

A server half is deterministic, so replayed it does exactly the same work with nobody else in its process. That is how
its own time and its own peak memory are measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from secure_fl.bench.schemes.cases import Case
from secure_fl.bench.schemes.measuring import peak_rss_bytes
from secure_fl.bench.schemes.subject import SchemeSubject, case_cohort, plan_case
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.protocol import Party, SecureSum, ServerHalf
from secure_fl.secagg.transcript import Transcript

ROUND = 1


class _Recorder:
    """Passes requests on and keeps the answers."""

    def __init__(self, party: Party, keep: Callable[[bytes], None]) -> None:
        self._party, self._keep = party, keep

    def respond(self, request: bytes) -> bytes:
        answer = self._party.respond(request)
        self._keep(answer)
        return answer


def record(subject: SchemeSubject, keep: Callable[[str, bytes], None]) -> None:
    """Run round `ROUND` once; `keep` gets each bank's and trustee's answers in order."""
    cohort = subject.cohort(ROUND)

    def recording(name: str, party: Party) -> Party:
        return _Recorder(party, lambda answer: keep(name, answer))

    clients = {bank: subject.client(cohort, row) for row, bank in enumerate(cohort.banks)}
    subject.run(cohort, clients, Transcript(), around=recording)


def replay(server: ServerHalf, answers: Mapping[str, list[bytes]]) -> SecureSum:
    """Run a server half on recorded answers."""
    given: defaultdict[str, int] = defaultdict(int)

    def fetch(name: str) -> bytes:
        given[name] += 1
        return answers[name][given[name] - 1]

    return _drive(server, fetch)


def peak_server_memory(case: Case, folder: Path) -> int:
    """Peak resident memory, in bytes, of a process that runs only the server half, its answers read from files."""
    subject = SchemeSubject(case)
    written: defaultdict[str, int] = defaultdict(int)

    def keep(name: str, answer: bytes) -> None:
        written[name] += 1
        (folder / f"{name}-{written[name]}").write_bytes(answer)

    record(subject, keep)
    arguments = [sys.executable, "-m", "secure_fl.bench.schemes.replay", str(folder), json.dumps(case.to_dict())]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)  # noqa: S603  our own module
    return int(done.stdout.split()[-1])


def _drive(server: ServerHalf, fetch: Callable[[str], bytes]) -> SecureSum:
    def replies(names: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
        for name in names:
            yield name, fetch(name)

    try:
        stage = next(server)
        while True:
            stage = server.send(replies(stage.requests))
    except StopIteration as finished:
        total: SecureSum = finished.value
        return total


def main(folder: str, case: str) -> None:
    """The child of `peak_server_memory`: only schemes whose server holds no key can be replayed in it."""
    chosen = Case(**json.loads(case))
    plan = plan_case(chosen)
    server = SCHEMES[chosen.scheme].deploy(plan).server(case_cohort(plan, ROUND))
    given: defaultdict[str, int] = defaultdict(int)

    def fetch(name: str) -> bytes:
        given[name] += 1
        return Path(folder, f"{name}-{given[name]}").read_bytes()

    _drive(server, fetch)
    sys.stdout.write(f"{peak_rss_bytes()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
