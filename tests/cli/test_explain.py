"""`secure-fl explain` from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from secure_fl.cli.app import main


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "secure_fl", "explain", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)


def test_it_writes_one_page_and_none_over_another(tmp_path: Path) -> None:
    done = run("--scheme", "masked", "--drop", "bank-2@masked_input", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "explain.html: open it in a browser\n", "")
    page = (tmp_path / "explain.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "bank-2 is silent" in page
    again = run("--scheme", "ckks", folder=tmp_path)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert (tmp_path / "explain.html").read_text() == page
    assert run("--scheme", "additive", "--force", folder=tmp_path).returncode == 0
    assert (tmp_path / "explain.html").read_text() != page


def test_a_page_of_an_experimental_scheme_says_so(tmp_path: Path) -> None:
    done = run("--scheme", "rlwe", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "explain.html").read_text()
    assert "<title>rlwe (experimental)" in page
    assert "experimental: the arithmetic is our own, and nobody has audited it" in page


def test_it_prints_where_asked_to(tmp_path: Path) -> None:
    done = run("--scheme", "plaintext", "--out", "-", folder=tmp_path)
    assert done.stdout.startswith("<!DOCTYPE html>")
    assert done.stdout.rstrip().endswith("</html>")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scheme", "caesar"], "there is no scheme 'caesar'; choose one of"),
        (["--drop", "bank-2"], "write BANK@STAGE"),
        (["--drop", "bank-2@unmask", "--drop", "bank-2@share_keys"], "once for each bank"),
        (["--drop", "bank-9@unmask"], "there is no 'bank-9' to drop"),
        (["--scheme", "ckks", "--drop", "bank-1@unmask"], "ckks has no stage 'unmask'"),
        (["--robust", "multi-krum"], "use --scheme ckks"),
        (["--banks", "9"], "3 to 5 banks"),
        (["--out", "nowhere/page.html"], "nowhere/page.html"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_shown_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["secure-fl", "explain", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert said in told.err
    assert list(tmp_path.iterdir()) == []
