"""Each row in a process of its own, so that its peak memory is its own and no row changes the next one's caches.

`peak_rss_bytes` is that process's: interpreter, libraries, the updates of all banks and all parties. On Linux it is
read from /proc/self/status (VmHWM), because getrusage also counts what the parent held when it started the child.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from secure_fl.bench.measured import Clock, Measured, Subject, median_round
from secure_fl.bench.peers import INSTALL, PEERS
from secure_fl.bench.schemes.cases import Case, make_updates
from secure_fl.bench.schemes.rows import Row, measured_row
from secure_fl.bench.schemes.subject import SchemeSubject, plan_case
from secure_fl.errors import PlanError, SecureFLError
from secure_fl.secagg.budget import MIN_BANKS

WARM_UP = 100
"""Parameters of the round before the first that counts."""


def measure_case(case: Case) -> Row:
    """The row of a case, measured in a child process; what cannot be measured becomes a row that says why."""
    unable = cannot_measure(case)
    if unable is not None:
        return unable
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "row.json"
        child = subprocess.run(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "secure_fl.bench.schemes.measuring", str(result)],
            input=json.dumps(case.to_dict()),
            stdout=subprocess.DEVNULL,  # TenSEAL prints warnings there
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if result.exists():
            return Row.from_dict(json.loads(result.read_text(encoding="utf-8")))
    return Row.of(case, "failed", note=_how_it_ended(child))


def cannot_measure(case: Case) -> Row | None:
    """The row of a case that the planner refuses, or whose library is missing; None for all others."""
    if case.peer:
        return None if PEERS[case.scheme].installed else Row.of(case, "not installed", note=INSTALL)
    try:
        plan_case(case)
    except PlanError as error:
        return Row.of(case, "refused", note=str(error))
    return None


def measure_here(case: Case) -> Row:
    """The row of a case, measured in this process. Its peak memory is then that of everything done so far."""
    try:
        measured = measure_rounds(case)
    except SecureFLError as error:
        return Row.of(case, "failed", note=str(error))
    except ImportError as error:
        return Row.of(case, "not installed", note=f"{INSTALL} ({error})")
    return measured_row(case, measured, peak_rss_bytes())


def make_subject(case: Case, clock: Clock = time.perf_counter) -> Subject:
    """A scheme or a peer ready to run rounds."""
    if case.peer:
        subject: Subject = PEERS[case.scheme].subject(make_updates(case), clock)
        return subject
    return SchemeSubject(case, clock=clock)


def measure_rounds(case: Case) -> Measured:
    """The median round of a case, in this process, after a small round that only warms up."""
    make_subject(replace(case, banks=MIN_BANKS, parameters=WARM_UP)).measure_round(1)
    subject = make_subject(case)
    return median_round([subject.measure_round(number) for number in range(1, case.repeat + 1)])


def peak_rss_bytes() -> int:
    """The largest resident memory of this process so far."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _how_it_ended(child: subprocess.CompletedProcess[str]) -> str:
    if child.returncode == -9:
        return "the system stopped it, most likely for want of memory; use fewer banks or parameters"
    last = (child.stderr.strip().splitlines() or ["no message"])[-1]
    return f"it ended with status {child.returncode}: {last[:200]}"


def main(result: str) -> None:
    """The child: a case on stdin, its row into the file `result`."""
    row = measure_here(Case(**json.loads(sys.stdin.read())))
    Path(result).write_text(json.dumps(row.to_dict()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
