"""Answers that cheat, and answers that go wrong in every way: the grader keeps its secret, its word and its temper."""

from __future__ import annotations

import ctypes
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from secure_fl.errors import ConfigurationError
from secure_fl.labs import Lab, all_labs, check, running
from secure_fl.labs.apart import apart
from secure_fl.labs.lab import Instance
from secure_fl.labs.sealing import sealed_instances

LABS = all_labs(Path(__file__).parents[2] / "examples" / "labs")
TAG = 0x2B5C9D3
"""Upper digit of hidden numbers, by which a reader knows them in memory. CPython's digits have 30 bits."""
linux = pytest.mark.skipif(sys.platform != "linux", reason="uses /proc or prctl")


def written(folder: Path, text: str) -> Path:
    answer = folder / "answer.py"
    answer.write_text(text, encoding="utf-8")
    return answer


def known() -> Instance:
    return Instance({"value": 7}, [7, 8])


def tagged() -> Instance:
    """A number that a reader knows when it finds it, and finds by its upper digit."""
    number = (TAG << 60) + secrets.randbits(59)
    return Instance({"sha256": hashlib.sha256(str(number).encode()).hexdigest()}, [number])


READER = f"""
import hashlib, os, re, struct
PATTERN = re.compile(struct.pack("<Q", 3) + b"(.{{8}})" + struct.pack("<I", {TAG}), re.DOTALL)  # an int of 3 digits

def parent(pid):
    with open(f"/proc/{{pid}}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])

def areas(pid):
    with open(f"/proc/{{pid}}/mem", "rb", 0) as memory, open(f"/proc/{{pid}}/maps") as maps:
        for line in maps:
            start, end = (int(edge, 16) for edge in line.split()[0].split("-"))
            try:
                memory.seek(start)
                yield memory.read(end - start) if line.split()[1].startswith("rw") else b""
            except (OSError, ValueError, OverflowError):
                pass

FOUND = {{}}
for pid in (os.getppid(), parent(os.getppid())):  # the guard, and the grader
    for area in areas(pid):
        for match in PATTERN.finditer(area):
            low, middle = struct.unpack("<II", match[1])
            number = ({TAG} << 60) + (middle << 30) + low
            FOUND[hashlib.sha256(str(number).encode()).hexdigest()] = number

def recover(seen):
    return [FOUND.get(seen["sha256"], 0)]
"""


@linux
@pytest.mark.slow
def test_who_reads_the_graders_memory_finds_nothing_hidden(tmp_path: Path) -> None:
    """The same reader finds a number that the grader does hold, where the kernel lets it read at all (as root)."""
    reader = written(tmp_path, READER)
    held = [tagged() for _ in range(3)]
    control = check(iter(held).__next__, reader, instances=3)
    assert control.full or "Permission" in (control.trouble or "")
    assert check(tagged, reader, instances=5).right == 0


def dumpable() -> int:
    return int(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))


@linux
def test_the_graders_memory_is_closed_to_its_user_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = []

    def watched(work: Callable[[], Any]) -> Any:
        states.append(dumpable())
        return apart(work)

    monkeypatch.setattr(running, "apart", watched)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    check(known, written(tmp_path, "def recover(seen):\n    return [7, 8]\n"), instances=1)
    assert (states, dumpable()) == ([0], 1)


def test_what_the_grader_keeps_is_a_commitment_to_all_numbers_under_a_new_salt() -> None:
    first, second = sealed_instances(known, 2)
    assert first.opens_with([7, 8])
    assert not any(first.opens_with(numbers) for numbers in ([8, 7], [7], [7, 8, 0], [78], []))
    assert first.seen == {"value": 7}
    assert first.digest != second.digest


def test_instances_are_made_elsewhere_and_that_process_has_ended() -> None:
    made = sealed_instances(lambda: Instance({"pid": os.getpid()}, [0]), 1)[0].seen["pid"]
    assert made != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(made, 0)


def test_a_lab_that_fails_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigurationError, match="the lab made no instances"):
        sealed_instances(lambda: Instance({}, [1 // 0]), 1)
    assert "ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("make", ["instance", "strong"])
@pytest.mark.parametrize("lab", LABS, ids=lambda lab: str(lab.number))
def test_hidden_numbers_are_spread_over_more_than_40_bits(lab: Lab, make: str) -> None:
    """Two draws agree in a place with probability below 1/64, and neighbours of a list do, so 8 places hold 48 bits."""
    drawn = apart(lambda: [getattr(lab, make)().hidden for _ in range(30)])
    pairs = [(a, b) for place in zip(*drawn, strict=True) for i, a in enumerate(place) for b in place[:i]]
    assert len(drawn[0]) == 8
    assert sum(a == b for a, b in pairs) < len(pairs) / 64
    beside = [pair for numbers in drawn for pair in pairwise(numbers)]
    assert sum(a == b for a, b in beside) < len(beside) / 16


FORKED = """
import os, sys, time
def recover(seen):
    for call in (lambda: None, os.setsid):
        read, write = os.pipe()
        if os.fork() == 0:
            call()
            if os.fork() == 0:  # an orphan, when its parent has ended
                os.write(write, str(os.getpid()).encode())
                time.sleep(300)
            os._exit(0)
        with open(seen["told"], "a") as file:
            file.write(os.read(read, 20).decode() + "\\n")
    END
    return [0]
"""


@linux
@pytest.mark.slow
@pytest.mark.parametrize("end", ["pass", "time.sleep(300)", "os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_what_an_answer_starts_ends_with_it_in_any_session(tmp_path: Path, end: str) -> None:
    started = tmp_path / "pids"
    answer = written(tmp_path, FORKED.replace("END", end))
    check(lambda: Instance({"told": str(started)}, [0]), answer, instances=1, seconds=0.8)
    pids = started.read_text(encoding="utf-8").split()
    assert len(pids) == 2
    assert not any(map(running_still, pids))


def running_still(pid: str) -> bool:
    try:
        return Path("/proc", pid, "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@linux
def test_an_answer_that_ends_its_guard_ends_with_it(tmp_path: Path) -> None:
    text = "import os, time\ndef recover(seen):\n    open(seen['told'], 'w').write(str(os.getpid()))\n"
    text += "    os.kill(os.getppid(), 9)\n    time.sleep(300)\n"
    told = tmp_path / "pid"
    grade = check(lambda: Instance({"told": str(told)}, [0]), written(tmp_path, text), instances=2)
    assert (grade.right, grade.trouble) == (0, "the process that guards it was ended")
    pid, until = told.read_text(encoding="utf-8"), time.monotonic() + 5
    while running_still(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not running_still(pid)


@pytest.mark.slow
def test_what_was_solved_before_the_time_was_up_counts(tmp_path: Path) -> None:
    text = (
        "import time\nleft = [1, 2]\ndef recover(seen):\n    left.pop() if left else time.sleep(9)\n    return [7, 8]\n"
    )
    grade = check(known, written(tmp_path, text), instances=4, seconds=0.8)
    assert (grade.right, grade.instances) == (2, 4)
    assert grade.trouble == "it took longer than 0.8 s for all instances"


ALL = "import os, sys\nfrom pathlib import Path\nimport resource\ndef recover(seen):\n    {}\n    return [7, 8]\n"


@pytest.mark.parametrize(
    ("doing", "right", "trouble"),
    [
        ("[os.write(pipe, b'[' * 60_000 + b'\\n') for pipe in range(3, 12) if writable(pipe)]", 1, "2 whole numbers"),
        ("os.write(3, b'\\xff\\xfe\\n')", 1, "2 whole numbers"),
        ("os.write(3, b'7 8')", 0, "2 whole numbers"),
        ("sys.exit('\\x1b[2J\\x1b]0;owned\\x07error: \\u202esolved')", 0, "[2J]0;ownederror: solved"),
        ("sys.exit('\\x1b\\n\\x07')", 0, "it ended with status 1"),
        ("sys.stdin.read()", 1, "it ended with status 0"),
        ("return [7.0, 8.0]", 0, "'float' object cannot be interpreted as an integer"),
        ("return ['7', '8']", 0, "'str' object cannot be interpreted as an integer"),
        ("return [True, False]", 0, "a truth value is no whole number"),
        ("return [10**5000, 8]", 0, "4300 digits"),
        ("return [10**50, 8]", 0, "2 whole numbers"),
        ("return __import__('numpy').array([7, 8])", 2, None),
        ("return bytearray(9 << 30)", 0, "MemoryError"),
        ("return [7 + resource.getrlimit(resource.RLIMIT_CORE)[1], 8]", 2, None),
        ("return [7, 7 + (resource.getrlimit(resource.RLIMIT_FSIZE)[1] >> 26)]", 2, None),
    ],
)
def test_whatever_an_answer_does_is_a_grade(tmp_path: Path, doing: str, right: int, trouble: str | None) -> None:
    preamble = "import os\ndef writable(fd):\n    return os.path.exists(f'/dev/fd/{fd}')\n"
    grade = check(known, written(tmp_path, preamble + ALL.format(doing)), instances=2)
    assert grade.right == right
    assert trouble in (grade.trouble or "") if trouble else grade.trouble is None


@pytest.mark.parametrize(
    "doing",
    [
        "work = os.getcwd(); os.rmdir(work); open(work, 'w').write('a file now')",
        "work = os.getcwd(); os.rename(work, work + 'x'); open(work, 'w').write('a file now')",
        "os.makedirs('a/b'); os.chmod('a', 0)",
    ],
)
def test_a_working_folder_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doing: str) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    assert check(known, written(tmp_path, ALL.format(doing)), instances=1).full
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("stream", [1, 2, 3])
def test_output_has_an_end(tmp_path: Path, stream: int) -> None:
    text = f"import os\ndef recover(seen):\n    while True:\n        os.write({stream}, b'x' * (1 << 20))\n"
    started = time.monotonic()
    grade = check(known, written(tmp_path, text), instances=2, seconds=30.0)
    assert (grade.right, grade.trouble) == (0, "it wrote more than 64 MiB")
    assert time.monotonic() - started < 20
