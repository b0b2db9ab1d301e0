"""What a student needs is what was measured, and measuring counts all processes of a task."""

from __future__ import annotations

import sys

import pytest

from benchmarks.classroom import PAGE, Task, measure, shared, stored, table, tasks
from benchmarks.written_blocks import read_block

HOLDING = "import time; held = bytearray(60_000_000); time.sleep(0.5)"
WORKING = "x = 0\nwhile __import__('time').process_time() < 0.6: x += 1"
LEAVING = "open('left', 'w').write('x' * 1234)"


def python(text: str) -> Task:
    return Task("a test", (sys.executable, "-c", text))


def in_a_child(text: str) -> Task:
    return python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {text!r}], check=True)")


def test_the_page_is_what_was_measured() -> None:
    assert read_block(PAGE, "needs") == f"{table(stored())}\n\n{shared(stored())}"


def test_what_was_measured_is_what_a_class_does_and_fits_the_server_that_the_page_names() -> None:
    needs = {need["task"]: need for need in stored()["needs"]}
    assert {task.name for task in tasks()} <= needs.keys(), "something new is there; run python -m benchmarks.classroom"
    assert all(10e6 < need["peak_bytes"] < 4e9 and need["processor_seconds"] > 0.1 for need in needs.values())


def test_a_table_says_what_a_class_takes_together() -> None:
    need = {"task": "x", "peak_bytes": 500e6, "processor_seconds": 4.0, "disk_bytes": 2e6}
    assert table({"needs": [need]}).splitlines()[-1] == "| x | 500 | 4.0 | 2.0 | 15.0 | 15 |"


@pytest.mark.slow
def test_memory_and_processor_of_children_count() -> None:
    alone, child = measure(python(HOLDING)), measure(in_a_child(HOLDING))
    assert 60e6 < alone.peak_bytes < child.peak_bytes < 140e6
    assert measure(in_a_child(WORKING)).processor_seconds > 0.6
    assert measure(python(LEAVING)).disk_bytes == 1234
    with pytest.raises(RuntimeError, match="a test ended with status 3"):
        measure(python("raise SystemExit(3)"))
