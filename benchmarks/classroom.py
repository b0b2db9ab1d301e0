"""What a student needs of a machine: each thing that a class does, in processes of its own.

    .venv/bin/python -m benchmarks.classroom [--stored]

Memory is the largest sum of resident pages over all processes of a task, looked at every hundredth of a second: pages
that students share, of libraries for instance, count for each of them. Processor seconds are those of all its
processes. What is not there is left out: JupyterLab and lessons need the extra `lessons`. Linux only; takes a minute
and, where there are lessons, as long as they do. `--stored` writes the table from figures of the last time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.written_blocks import write_block
from secure_fl.bench.machine import describe_machine

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "teaching.md"
FIGURES = PAGE.parent / "figures" / "classroom.json"
STUDENTS, CORES = 30, 8
LABS = {3: "the longest", 10: "the most memory"}
"""Of all labs, with the solutions of the tests."""
_EVERY = 0.01
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_COMMAND = (sys.executable, "-m", "secure_fl")
_IMPORTS = "import matplotlib.pyplot, tenseal, torch, secure_fl.secagg, secure_fl.federation.run"
_KERNEL = f"""
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
client.execute_interactive({_IMPORTS!r}, timeout=120)
client.stop_channels()
manager.shutdown_kernel()
"""
_SERVER = """
import socket, subprocess, sys, time, urllib.request
with socket.socket() as free:
    free.bind(("localhost", 0))
    port = free.getsockname()[1]
server = subprocess.Popen([sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--port={port}", "--allow-root",
    "--ServerApp.port_retries=0", "--IdentityProvider.token=x"])
for _ in range(600):
    try:
        urllib.request.urlopen(f"http://localhost:{port}/lab?token=x")
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("JupyterLab did not answer")
time.sleep(2)
server.terminate()
server.wait()
"""


@dataclass(frozen=True)
class Task:
    """Something that a student does, as a command."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Need:
    """What a task took."""

    task: str
    peak_bytes: int
    processor_seconds: float
    seconds: float
    disk_bytes: int
    """What it left in its folder."""


def tasks() -> Iterator[Task]:
    """What a class does, as far as it is there."""
    if find_spec("jupyterlab"):
        yield Task("JupyterLab, a server for one student", (sys.executable, "-c", _SERVER))
    if find_spec("ipykernel"):
        yield Task("a notebook with everything imported", (sys.executable, "-c", _KERNEL))
    if any((ROOT / "examples" / "lessons").glob("[0-9]*.py")) and find_spec("nbclient"):
        lessons = ("lesson", "execute", "--lessons", str(ROOT / "examples" / "lessons"), "--to", "lessons")
        yield Task("all lessons, one after another", (*_COMMAND, *lessons))
    for number, demand in LABS.items():
        answer = ROOT / "tests" / "labs" / "solutions" / f"lab_{number:02}.py"
        check = ("lab", "check", str(number), str(answer), "--labs", str(ROOT / "examples" / "labs"))
        yield Task(f"`lab check {number}`, which takes {demand}", (*_COMMAND, *check))
    run = ("run", "--dataset", "ulb", "--scheme", "ckks", "--rounds", "2", "--out", "run")
    yield Task("`run --dataset ulb --scheme ckks --rounds 2`", (*_COMMAND, *run))
    if find_spec("secure_fl.cli.explain"):
        yield Task("`explain --scheme ckks`", (*_COMMAND, "explain", "--scheme", "ckks", "--out", "page.html"))


def measure(task: Task) -> Need:
    """Raises RuntimeError where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        process = subprocess.Popen(
            task.command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        peak, ended = 0, (0, 0, None)
        while not ended[0]:
            peak = max(peak, resident_bytes(process.pid))
            time.sleep(_EVERY)
            ended = os.wait4(process.pid, os.WNOHANG)  # type: ignore[assignment]
        _, status, used = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or used is None:
            raise RuntimeError(f"{task.name} ended with status {process.returncode}: {' '.join(task.command)}")
        seconds = time.monotonic() - started
        return Need(task.name, peak, used.ru_utime + used.ru_stime, seconds, size(Path(folder)))


def resident_bytes(process: int) -> int:
    """Of a process and of all that it started; 0 for one that ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
        children = [
            each.read_text(encoding="ascii").split() for each in Path(f"/proc/{process}/task").glob("*/children")
        ]
    except (OSError, IndexError):
        return 0
    return pages * _PAGE_BYTES + sum(resident_bytes(int(child)) for some in children for child in some)


def size(folder: Path) -> int:
    """Of all files in a folder, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def table(document: Mapping[str, Any]) -> str:
    """One line a task: a student's needs, and a class's that does it at the same time."""
    lines = [
        f"| | memory, MB | processor, s | disk, MB | memory of {STUDENTS} at once, GB "
        f"| all {STUDENTS} done on {CORES} cores after, s |",
        "|---|---|---|---|---|---|",
    ]
    for need in document["needs"]:
        memory, used = need["peak_bytes"], need["processor_seconds"]
        lines.append(
            f"| {need['task']} | {memory / 1e6:,.0f} | {used:.1f} | {need['disk_bytes'] / 1e6:.1f} "
            f"| {STUDENTS * memory / 1e9:.1f} | {STUDENTS * used / CORES:,.0f} |"
        )
    return "\n".join(lines)


def shared(document: Mapping[str, Any]) -> str:
    """What the server holds once for everybody, and what it was measured on."""
    machine = document["machine"]
    return (
        f"The environment takes {document['environment_bytes'] / 1e9:.1f} GB of disk, the ULB transactions "
        f"{document['transactions_bytes'] / 1e6:.0f} MB; both lie on the server once. Measured on "
        f"{machine['processor']}, {machine['cores']} cores, {machine['python']}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What a student needs of a machine.")
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    if not parser.parse_args(arguments).stored:
        from secure_fl.data.ulb import fetch

        transactions = fetch().stat().st_size
        needs = []
        for task in tasks():
            needs.append(asdict(measure(task)))
            print(json.dumps(needs[-1]), flush=True)
        document = {
            "machine": describe_machine(), "needs": needs, "environment_bytes": size(Path(sys.prefix)),
            "transactions_bytes": transactions,
        }  # fmt: skip
        FIGURES.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    document = stored()
    write_block(PAGE, "needs", f"{table(document)}\n\n{shared(document)}")


def stored() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return document


if __name__ == "__main__":
    main()
