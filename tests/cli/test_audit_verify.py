"""`secure-fl audit --verify`: what it says of a run's record, to people and to scripts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secure_fl import Result
from secure_fl.cli.app import app
from secure_fl.errors import ConfigurationError, RecordError
from secure_fl.report.outputs import write_run
from secure_fl.report.record import Signed

OTHER = "ab" * 32


@pytest.fixture(scope="module")
def written(run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Signed]:
    folder = tmp_path_factory.mktemp("run")
    return folder, write_run(run_small(scheme="plaintext"), folder)


def audit(*arguments: object) -> str:
    """What is printed. Raises the command's error."""
    done = CliRunner().invoke(app, ["audit", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_a_run_that_holds_is_said_to_be_verified(written: tuple[Path, Signed]) -> None:
    run, signed = written
    out = audit(run, "--verify", "--head", signed.head, "--key", signed.key)
    assert out.splitlines() == [
        "verified: 6 lines of the record, and 7 files",
        f"head: {signed.head}",
        f"signed by {signed.key}",
    ]
    assert f"head: {signed.head}, compared with none that was noted" in audit(run, "--verify"), "own key, no head"


def test_scripts_read_whether_it_holds(written: tuple[Path, Signed], tmp_path: Path) -> None:
    run, signed = written
    document = json.loads(audit(run, "--verify", "--json", "-"))
    assert document["schema"] == 1
    assert document["record"] == {
        "verified": True,
        "lines": 6,
        "head": signed.head,
        "key": signed.key,
        "files": 7,
        "unrecorded": [],
    }
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "metrics.json").write_text("{}")
    with pytest.raises(RecordError) as caught:
        audit(copy, "--verify", "--json", tmp_path / "out.json")
    record = json.loads((tmp_path / "out.json").read_text())["record"]
    assert record == {"verified": False, "reason": str(caught.value), "line": None, "file": "metrics.json"}


def test_files_that_the_record_does_not_name_are_told(written: tuple[Path, Signed], tmp_path: Path) -> None:
    copy = shutil.copytree(written[0], tmp_path / "copy")
    (copy / "audit.html").write_text("later")
    assert 'not in the record: "audit.html"' in audit(copy, "--verify")


def test_names_of_files_say_nothing_else_and_steer_no_terminal(written: tuple[Path, Signed], tmp_path: Path) -> None:
    copy = shutil.copytree(written[0], tmp_path / "copy")
    names = ("a\x1b[1A\x1b[2K", "b\nsigned by somebody", os.fsdecode(b"c\xff"))
    for name in names:
        (copy / name).touch()
    out = audit(copy, "--verify")
    assert out.count("\nsigned by ") == 1
    assert out.endswith('not in the record: "a?[1A?[2K", "b?signed by somebody", "c?"\n')
    audit(copy, "--verify", "--json", tmp_path / "out.json")
    assert tuple(json.loads((tmp_path / "out.json").read_text())["record"]["unrecorded"]) == names


def test_key_and_head_are_compared(written: tuple[Path, Signed]) -> None:
    for option in ("--key", "--head"):
        with pytest.raises(RecordError, match=r"record\.jsonl"):
            audit(written[0], "--verify", option, OTHER)


def test_what_is_written_is_no_part_of_the_run(written: tuple[Path, Signed]) -> None:
    with pytest.raises(ConfigurationError, match="lies in a folder that is"):
        audit(written[0], "--verify", "--json", written[0] / "audit.json")


@pytest.mark.parametrize("asked", [("--head", OTHER), ("--key", OTHER)])
def test_heads_and_keys_are_for_verify(written: tuple[Path, Signed], asked: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="is for --verify and --dpia; add"):
        audit(written[0], *asked)


@pytest.mark.parametrize(
    "asked", [("--group", "bank"), ("--threshold", 0.0), ("--max-gap", 0.0), ("--rows", 500), ("--out", "page.html")]
)
def test_verify_asks_nothing_of_the_model(written: tuple[Path, Signed], asked: tuple[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="is not for --verify; leave it out"):
        audit(written[0], "--verify", *asked)


@pytest.mark.slow
def test_a_run_prints_what_to_note_and_a_spoilt_one_ends_with_status_1(tmp_path: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "secure_fl", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    small = ("--transactions", "3000", "--fraud-share", "0.05", "--rounds", "1", "--scheme", "plaintext")
    run = tmp_path / "one"
    ran = call("run", *small, "--out", str(run))
    assert ran.returncode == 0, ran.stderr
    (head,) = (line.split()[-1] for line in ran.stdout.splitlines() if line.startswith("record: head"))
    (key,) = (line.split()[2].rstrip(";") for line in ran.stdout.splitlines() if line.startswith("signed by"))
    assert call("audit", str(run), "--verify", "--head", head, "--key", key).returncode == 0
    lines = (run / "record.jsonl").read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"attempts":1', b'"attempts":2')
    (run / "record.jsonl").write_bytes(b"".join(lines))
    spoilt = call("audit", str(run), "--verify")
    assert (spoilt.returncode, spoilt.stdout) == (1, "")
    assert spoilt.stderr.startswith(f"error: line 2 of {run}/record.jsonl was changed")
    assert spoilt.stderr.count("\n") == 1
