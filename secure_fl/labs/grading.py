"""Grades an answer: `recover(seen)` in a file of the student's, against fresh random instances.

It runs in a process of its own, in an empty folder, and is given what an eavesdropper sees and nothing else: no name of
a lab's file, no seed, and nothing of what is hidden, which does not leave the grading process. It is the student's own
code on the student's own machine: whoever wants to read the memory of other processes there can, and learns less.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secure_fl.errors import ConfigurationError
from secure_fl.labs.lab import Instance

INSTANCES = 20
SECONDS = 60.0
"""For all instances together."""
_RUNNER = """
import json, os, runpy, sys
told = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what an answer prints is not its answer
recover = runpy.run_path(sys.argv[1]).get("recover")
if not callable(recover):
    sys.exit("there is no function recover(seen)")
for line in sys.stdin:
    print(json.dumps([int(number) for number in recover(json.loads(line))]), file=told, flush=True)
"""


@dataclass(frozen=True)
class Grade:
    """What came of an answer."""

    right: int
    """Instances that were solved."""
    instances: int
    trouble: str | None
    """Why it stopped, or what was wrong with its form; None where it ran to its end."""

    @property
    def full(self) -> bool:
        return self.right == self.instances


def check(make: Callable[[], Instance], answer: Path, instances: int = INSTANCES, seconds: float = SECONDS) -> Grade:
    """Grade an answer on fresh instances. Raises `ConfigurationError` where there is no such file."""
    if not answer.is_file():
        raise ConfigurationError(f"{answer} is no file; write one with a function recover(seen)")
    made = [make() for _ in range(instances)]
    lines, trouble = _run(answer, [instance.seen for instance in made], seconds)
    right = 0
    for instance, line in zip(made, lines, strict=False):
        found = _numbers(line)
        if found is None or len(found) != len(instance.hidden):
            trouble = trouble or f"an answer is not a list of {len(instance.hidden)} whole numbers"
        right += found == instance.hidden
    return Grade(right, instances, trouble)


def _run(answer: Path, seen: Sequence[Any], seconds: float) -> tuple[list[str], str | None]:
    """The lines that came back, and what went wrong."""
    text = "".join(json.dumps(each) + "\n" for each in seen)
    command = [sys.executable, "-c", _RUNNER, str(answer.resolve())]
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(  # noqa: S603  the student's own code, which is what is asked for
                command, input=text, capture_output=True, text=True, timeout=seconds, cwd=folder, check=False
            )
        except subprocess.TimeoutExpired:
            return [], f"it took longer than {seconds:g} s for {len(seen)} instances"
        except UnicodeDecodeError:
            return [], "it wrote something that is no text"
    lines = done.stdout.splitlines()[: len(seen)]
    if done.returncode == 0 and len(lines) == len(seen):
        return lines, None
    said = done.stderr.strip().splitlines()
    return lines, (said[-1] if said else f"it ended with status {done.returncode}")[:200]


def _numbers(line: str) -> list[int] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(type(number) is int for number in found) else None
