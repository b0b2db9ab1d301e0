"""Results are whole or absent, and what was there before stays."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest

from secure_fl.errors import ConfigurationError
from secure_fl.files import new_run_directory, only_one_in, staged_directory, staged_file


def test_a_directory_appears_only_when_the_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "one"
    with staged_directory(target) as staging:
        (staging / "a.txt").write_text("a")
        assert not target.exists()
    assert (target / "a.txt").read_text() == "a"
    assert [path.name for path in target.parent.iterdir()] == ["one"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_block_leaves_nothing(tmp_path: Path, interruption: type[BaseException]) -> None:
    def write_half() -> None:
        with staged_directory(tmp_path / "one") as staging:
            (staging / "half.txt").write_text("half")
            raise interruption

    with pytest.raises(interruption):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_earlier_results_are_kept(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    with pytest.raises(ConfigurationError, match="exists already"), staged_directory(tmp_path):
        pytest.fail("the block must not run")
    assert (tmp_path / "old.txt").read_text() == "old"


def test_an_empty_directory_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with staged_directory(tmp_path / "empty") as staging:
        (staging / "a.txt").write_text("a")
    assert (tmp_path / "empty" / "a.txt").exists()


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="choose another --out"), staged_directory(tmp_path / "file" / "run"):
        pytest.fail("the block must not run")
    with pytest.raises(ConfigurationError, match="choose another --out"), staged_file(tmp_path / "no" / "scores.csv"):
        pytest.fail("the block must not run")


def test_a_file_replaces_the_old_one_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    target.write_text("old")

    def write_half() -> None:
        with staged_file(target) as staging:
            staging.write_text("half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        write_half()
    assert target.read_text() == "old"
    with staged_file(target) as staging:
        staging.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_run_directories_do_not_collide(tmp_path: Path) -> None:
    first = new_run_directory(tmp_path)
    first.mkdir()
    assert new_run_directory(tmp_path) != first


def test_results_can_be_read_by_others(tmp_path: Path) -> None:
    with staged_directory(tmp_path / "one"):
        pass
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o755


def test_parents_that_were_made_for_nothing_vanish_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    def fail() -> None:
        with staged_directory(tmp_path / "there" / "new" / "run"):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]
    assert list((tmp_path / "there").iterdir()) == []


def test_only_one_at_a_time_is_in_a_block_about_a_folder(tmp_path: Path) -> None:
    """Read, wait and write back: without a lock, most of the additions would be lost."""
    counter = tmp_path / "counter"
    counter.write_text("0")

    def add(_: int) -> None:
        with only_one_in(tmp_path):
            value = int(counter.read_text())
            sleep(0.002)
            counter.write_text(str(value + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert counter.read_text() == "40"
