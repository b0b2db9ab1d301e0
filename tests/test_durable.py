"""A file that is written durably: whole or absent, for its owner only, and nothing beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from secure_fl.files import write_durably


def test_only_its_owner_opens_the_file_and_the_folders_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    old = os.umask(0)
    try:
        write_durably(path, b"a")
    finally:
        os.umask(old)
    assert path.read_bytes() == b"a"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    write_durably(tmp_path / "several" / "new" / "ones" / "a.json", b"a")


def test_it_is_begun_in_its_own_folder_which_is_on_the_same_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path] = []
    replace: Callable[[Path, Path], Path] = Path.replace

    def watched(self: Path, target: Path) -> Path:
        begun.append(self)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_durably(tmp_path / "a.json", b"a")
    assert [path.parent for path in begun] == [tmp_path]


@pytest.mark.parametrize("failure", [OSError, KeyboardInterrupt, SystemExit])
def test_whatever_interrupts_it_the_file_before_stays_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    path = tmp_path / "a.json"
    write_durably(path, b"before")

    def fail(_: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(failure):
        write_durably(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
