"""Files with a secret: never half of one, never for others, and never over one that is there."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from secure_fl.errors import ConfigurationError
from secure_fl.files import create_secret, read_secret


def test_a_secret_comes_back_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.key"
    old = os.umask(0)
    try:
        create_secret(path, b"secret")
    finally:
        os.umask(old)
    assert read_secret(path, "the key") == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_secret_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    create_secret(path, b"first")
    create_secret(path, b"second")
    assert read_secret(path, "the key") == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_all_who_create_it_at_once_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.key"

    def use(number: int) -> bytes:
        create_secret(path, bytes([number]) * 32)
        return read_secret(path, "the key")

    with ThreadPoolExecutor(8) as pool:
        read = set(pool.map(use, range(40)))
    assert len(read) == 1


@pytest.mark.parametrize("mode", [0o610, 0o601, 0o640, 0o604, 0o620, 0o602])
def test_what_others_may_open_is_refused_by_name_and_without_its_content(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    create_secret(path, b"secret")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"the key .*a\.key is open to other users; run: chmod 600") as caught:
        read_secret(path, "the key")
    assert "secret" not in str(caught.value)


def test_a_crash_while_it_is_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        create_secret(tmp_path / "a.key", b"secret")
    assert list(tmp_path.iterdir()) == []
