"""What a command says, to readers who close the pipe, and to disks that are full. In processes of their own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SAYING = [
    ("plan",),
    ("plan", "--json"),
    ("--help",),
    ("run", "--help"),
    ("ledger", "--json"),
]
SMALL = ("--transactions", "12000", "--fraud-share", "0.03", "--rounds", "2")
FULL = "No space left on device"


def started(*arguments: str, folder: Path, stdout: int, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "secure_fl", *arguments], cwd=folder, stdout=stdout, stderr=stderr)


def closed_pipe() -> int:
    """The end that one writes to; nobody reads any more."""
    reads, writes = os.pipe()
    os.close(reads)
    return writes


@pytest.mark.slow
@pytest.mark.parametrize("arguments", SAYING, ids=" ".join)
def test_who_closes_the_pipe_has_seen_enough(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    writes = closed_pipe()
    process = started(*arguments, folder=tmp_path, stdout=writes)
    os.close(writes)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_refusal_stays_one_whoever_reads_it(tmp_path: Path, unbuffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the interpreter, when it ends, tries once more to write what is left."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    writes = closed_pipe()
    process = started("plan", "--banks", "2", folder=tmp_path, stdout=subprocess.DEVNULL, stderr=writes)
    os.close(writes)
    assert process.wait() == 2


@pytest.mark.slow
@pytest.mark.parametrize("arguments", SAYING, ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with Path("/dev/full").open("wb") as full:
        process = started(*arguments, folder=tmp_path, stdout=full.fileno())
        _, err = process.communicate()
    assert process.returncode == 1
    assert err.decode() == f"error: nothing more can be written ({FULL}); make room, or write elsewhere\n"


@pytest.mark.slow
def test_a_run_goes_on_without_readers_and_its_results_are_there(tmp_path: Path) -> None:
    """Neither progress on stderr nor the summary on stdout is worth a run."""
    writes = closed_pipe()
    process = started("run", *SMALL, "--out", "one", folder=tmp_path, stdout=writes, stderr=writes)
    os.close(writes)
    assert process.wait() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert len(json.loads((tmp_path / "one" / "metrics.json").read_text())["rounds"]) == 2


@pytest.mark.slow
def test_results_are_kept_where_only_the_summary_cannot_be_written(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = started("run", *SMALL, "--out", "one", folder=tmp_path, stdout=full.fileno())
        _, err = process.communicate()
    assert process.returncode == 1
    assert err.decode().splitlines()[-1].startswith(f"error: nothing more can be written ({FULL})")
    assert (tmp_path / "one" / "report.html").exists()


PRIVATE = ("--mechanism", "distributed", "--noise-multiplier", "2", "--delta", "1e-5")


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 20_000, 50_000, 90_000])
def test_a_disk_that_fills_up_is_one_line_and_forgets_no_charge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """At four points of a run: its first file, its state, its results. No file may be larger than the limit."""
    monkeypatch.setenv("SECURE_FL_LEDGERS", str(tmp_path / "life"))
    monkeypatch.setenv("SECURE_FL_LEDGER_NOTES", str(tmp_path / "notes"))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    (tmp_path / "here").mkdir()
    command = [sys.executable, "-m", "secure_fl", "run", *SMALL, *PRIVATE]
    done = subprocess.run(
        [*command, "--out", "one"],
        cwd=tmp_path / "here",
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "File too large" in error
    assert "; make room" in error
    assert "Traceback" not in done.stderr
    left = {path.name for path in (tmp_path / "here").iterdir()}
    assert left <= {"one.unfinished"}, "nothing is half-written"
    assert not list(tmp_path.rglob(".*")), "and nothing hidden is left"
    charged = (tmp_path / "life" / "ledgers.jsonl").exists() and (tmp_path / "life" / "ledgers.jsonl").read_text()
    assert bool(left) == ("--resume one" in done.stderr) == bool(charged)
    if left:
        resumed = subprocess.run(
            [*command[:4], "--resume", "one"], cwd=tmp_path / "here", capture_output=True, check=False
        )
        assert resumed.returncode == 0, resumed.stderr
        metrics = json.loads((tmp_path / "here" / "one" / "metrics.json").read_text())
        assert [record["round"] for record in metrics["rounds"]] == [1, 2]
        lines = [json.loads(line) for line in (tmp_path / "life" / "ledgers.jsonl").read_text().splitlines()]
        assert metrics["privacy"]["ledger"]["lines"] == len(lines)
        assert {line["release"] for line in lines} == {"round 1", "round 2"}
