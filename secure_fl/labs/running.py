"""Runs an answer: a fresh interpreter in an empty folder, with limits, of which nothing is left when it is over.

What it reads and writes are files without a name. A process between the grader and the answer (the guard) waits, and
then ends all that descends from the answer: by its process group, and on Linux also what left that group, since orphans
become the guard's children. If the answer ends the guard, it ends with it; what it started in other sessions does not.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from secure_fl.labs.apart import EndedEarly, apart
from secure_fl.labs.linux import adopt_orphans, children, end_with_parent, unreadable

MEMORY, WRITTEN = 8 << 30, 64 << 20
"""Bytes: of address space, which libraries reserve more of than they use, and of any file that an answer writes."""
_TAIL = 4096
"""Bytes at the end of what it said in which its last line is looked for."""
_RUNNER = """
import json, operator, os, runpy, sys
told = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what an answer prints is not its answer
recover = runpy.run_path(sys.argv[1]).get("recover")
if not callable(recover):
    sys.exit("there is no function recover(seen)")
def whole(number):
    if isinstance(number, bool):
        raise TypeError("a truth value is no whole number")
    return str(operator.index(number))  # numpy's too, and no floats
for line in sys.stdin:
    print(*map(whole, recover(json.loads(line))), file=told, flush=True)
"""


class Ran(NamedTuple):
    """What came of it."""

    lines: list[bytes]
    """One an instance, as far as it came."""
    trouble: str | None


class _Streams(NamedTuple):
    asked: IO[bytes]
    told: IO[bytes]
    said: IO[bytes]


def run_answer(answer: Path, seen: Sequence[Any], seconds: float) -> Ran:
    """Give it what is seen of each instance, a line each."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as outer,  # the inner one may be renamed, or a file
        tempfile.TemporaryFile() as asked,
        tempfile.TemporaryFile() as told,
        tempfile.TemporaryFile() as said,
    ):
        asked.write("".join(json.dumps(each) + "\n" for each in seen).encode())
        asked.seek(0)
        folder = Path(outer) / "empty"
        folder.mkdir()
        streams = _Streams(asked, told, said)
        with unreadable():
            ended = _ended(answer, folder, streams, seconds)
        lines = os.pread(told.fileno(), WRITTEN, 0).split(b"\n")[:-1][: len(seen)]
        return Ran(lines, _trouble(ended, streams, complete=len(lines) == len(seen)))


def _ended(answer: Path, folder: Path, streams: _Streams, seconds: float) -> int | str:
    """With which status, or what kept it from having one."""
    command = [sys.executable, "-c", _RUNNER, str(answer.resolve())]
    try:
        status = apart(lambda: _guard(command, folder, streams, seconds))
    except EndedEarly:
        return "the process that guards it was ended"
    return f"it took longer than {seconds:g} s for all instances" if status is None else int(status)


def _guard(command: Sequence[str], folder: Path, streams: _Streams, seconds: float) -> int | None:
    """The status of the answer, or None where its time was up. Runs in the guard, which has one thread."""
    adopt_orphans()
    process = subprocess.Popen(  # noqa: S603  the student's own code, which is what is asked for
        command,
        stdin=streams.asked,
        stdout=streams.told,
        stderr=streams.said,
        cwd=folder,
        start_new_session=True,
        preexec_fn=_limit,
    )
    try:
        return process.wait(seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        return None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end_all(process)


def _limit() -> None:
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, WRITTEN), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(what, (least, least))
    end_with_parent()


def _end_all(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """Ends the answer and what descends from it. What forks faster than that is given up after `patience` seconds."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + patience
    while time.monotonic() < until:
        for child in children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


def _trouble(ended: int | str, streams: _Streams, complete: bool) -> str | None:
    if isinstance(ended, str):
        return ended
    sizes = [os.fstat(stream.fileno()).st_size for stream in (streams.told, streams.said)]
    if max(sizes) >= WRITTEN:
        return f"it wrote more than {WRITTEN >> 20} MiB"
    if ended == 0 and complete:
        return None
    tail = os.pread(streams.said.fileno(), _TAIL, max(0, sizes[1] - _TAIL)).decode(errors="replace")
    lines = [line for line in map(_printable, tail.splitlines()) if line]
    return (lines[-1] if lines else f"it ended with status {ended}")[:200]


def _printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(letter for letter in text if letter.isprintable()).strip()
