"""Results are whole or absent, and what was there before stays."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from socket import AF_UNIX, socket
from time import sleep
from typing import Any

import pytest

from secure_fl import files
from secure_fl.errors import ConfigurationError, StorageError
from secure_fl.files import (
    STDOUT,
    alone_in,
    new_run_directory,
    only_one_in,
    output_file,
    output_files,
    sealed,
    staged_directory,
    staged_file,
    unfinished,
    unsealed,
    write_durably,
)


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


def test_outputs_of_one_command_are_files_of_their_own(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with output_files(one, None, two) as (first, absent, second):
        assert absent is None
        for staging in (first, second):
            assert staging is not None
            staging.write_text(staging.name)
    assert (one.read_text(), two.read_text()) == ("one", "two")
    (tmp_path / "link").symlink_to(one)
    for others in ((one, None, one), (one, tmp_path / "link"), (tmp_path / "x", tmp_path / "." / "x")):
        with pytest.raises(ConfigurationError, match="used by this command"), output_files(*others, force=True):
            pytest.fail("the block must not run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "one", "two"]


def test_what_goes_to_standard_output_is_printed_when_all_went_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(*, fail: bool) -> None:
        with output_files(STDOUT, tmp_path / "page") as (printed, page):
            assert printed is not None
            assert page is not None
            printed.write_text("é\n", encoding="utf-8")
            page.write_text("a page")
            if fail:
                raise ValueError("broken")
            assert capsys.readouterr().out == ""

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="broken"):
        write(fail=True)
    assert (capsys.readouterr().out, list(tmp_path.iterdir())) == ("", [])
    write(fail=False)
    assert (capsys.readouterr().out, list(tmp_path.iterdir())) == ("é\n", [tmp_path / "page"])


@pytest.mark.parametrize("theirs", [False, True])
def test_a_disk_without_hard_links_takes_outputs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: bool
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def write() -> None:
        with output_file(target) as staging:
            staging.write_text("new")
            if theirs:
                target.write_text("theirs")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    target = tmp_path / "scores.csv"
    if theirs:
        with pytest.raises(ConfigurationError, match="exists already"):
            write()
    else:
        write()
    assert target.read_text() == ("theirs" if theirs else "new")
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_to_a_device_is_no_place_for_an_output(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(os.devnull)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        written(tmp_path / "link", force=True)


def test_run_directories_do_not_collide(tmp_path: Path) -> None:
    with new_run_directory(tmp_path) as first, new_run_directory(tmp_path) as second:
        assert first != second  # taken already while nothing has been written
        first.mkdir()
    with new_run_directory(tmp_path) as third:
        assert not third.exists()
        assert third != first


def test_a_name_that_was_taken_for_nothing_is_given_back(tmp_path: Path) -> None:
    with new_run_directory(tmp_path / "runs" / "mine") as taken:
        assert unfinished(taken).is_dir()
    assert list(tmp_path.iterdir()) == []
    with new_run_directory(tmp_path / "runs") as taken:
        (unfinished(taken) / "state").write_text("a round")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [unfinished(taken).name]


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_an_interrupt_while_a_name_is_taken_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """In the middle of making the folders, each of which reaches the disk, or when the mark is set."""
    calls = [0]

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            done = original(*arguments)
            calls[0] += 1
            if calls[0] == call:
                raise KeyboardInterrupt
            return done

        return wrapper

    monkeypatch.setattr(files, "sync", counted(files.sync))
    monkeypatch.setattr(os.path, "lexists", counted(os.path.lexists))
    with pytest.raises(KeyboardInterrupt), new_run_directory(tmp_path / "deep" / "er" / "runs"):
        pytest.fail("it was interrupted before")
    assert list(tmp_path.iterdir()) == []


def test_many_takers_take_different_names_in_one_second(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool, ExitStack() as taken:
        names = list(pool.map(lambda _: taken.enter_context(new_run_directory(tmp_path)), range(24)))
        assert len(set(names)) == 24


@pytest.mark.parametrize("how", [".", "link", "folder"])
def test_an_empty_folder_stays_the_folder_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """It may be a mount point, a link or where the shell is: it receives the files, and no other takes its place."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder if how == "." else tmp_path)
    before = folder.stat().st_ino
    with staged_directory(Path(how)) as staging:
        (staging / "a.txt").write_text("a")
        (staging / "ledgers").mkdir()
        (staging / "ledgers" / "b.txt").write_text("b")
    assert folder.stat().st_ino == before
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "ledgers"]
    assert (folder / "ledgers" / "b.txt").read_text() == "b"
    assert (tmp_path / "link").is_symlink()


def test_a_folder_that_is_filled_meanwhile_keeps_what_it_has(tmp_path: Path) -> None:

    def fill() -> None:
        with staged_directory(tmp_path) as staging:
            (staging / "a.txt").write_text("mine")
            (tmp_path / "a.txt").write_text("theirs")

    with pytest.raises(ConfigurationError, match="no longer empty"):
        fill()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "theirs"


def test_what_a_killed_run_left_in_an_empty_folder_is_no_result(tmp_path: Path) -> None:
    (tmp_path / ".secure-fl-1").mkdir()
    with staged_directory(tmp_path) as staging:
        (staging / "a.txt").write_text("a")
    assert (tmp_path / "a.txt").exists()


def test_a_link_to_nothing_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match="a link to nothing"), staged_directory(tmp_path / "link"):
        pytest.fail("the block must not run")


def test_the_state_of_a_run_lies_beside_its_folder_however_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one" / "two").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "one" / "two")
    assert unfinished(Path()) == tmp_path / "one" / "two.unfinished"
    assert unfinished(Path("..")) == tmp_path / "one.unfinished"
    assert unfinished(Path("x")) == Path("x.unfinished")


def written(target: Path, **options: Any) -> None:
    with output_file(target, **options) as staging:
        staging.write_text("new")


def test_an_output_replaces_a_file_only_when_that_is_said(tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    written(target)
    target.write_text("old")
    kept = r"exists already and is kept as it is; name another file, or add --force$"
    with pytest.raises(ConfigurationError, match=kept), output_file(target):
        pytest.fail("the block must not run")
    assert target.read_text() == "old"
    written(target, force=True)
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"

    def write() -> None:
        with output_file(target) as staging:
            staging.write_text("new")
            target.write_text("theirs")

    with pytest.raises(ConfigurationError, match="exists already"):
        write()
    assert target.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "far" / "scores.csv")
    written(link)
    assert link.is_symlink()
    assert (tmp_path / "far" / "scores.csv").read_text() == "new"
    with pytest.raises(ConfigurationError, match="exists already"):
        written(link)
    (tmp_path / "far" / "scores.csv").write_text("old")
    written(link, force=True)
    assert link.is_symlink()
    assert (tmp_path / "far" / "scores.csv").read_text() == "new"


@pytest.mark.parametrize("kind", ["folder", "fifo", "socket", "link to a fifo", "circle"])
def test_what_is_no_regular_file_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    with socket(AF_UNIX) as listening:
        if kind == "folder":
            target.mkdir()
        elif kind == "socket":
            listening.bind(str(target))
        elif kind == "circle":
            target.symlink_to(target)
        else:
            place = target if kind == "fifo" else tmp_path / "pipe"
            os.mkfifo(place)
            if kind != "fifo":
                target.symlink_to(place)
        before = target.lstat()
        with pytest.raises(ConfigurationError, match="not a regular file"):
            written(target, force=True)
        assert target.lstat() == before


@pytest.mark.parametrize("way", ["name", "link", "hard link", "in a folder", "not there yet"])
def test_an_output_is_never_a_file_that_is_used_otherwise(tmp_path: Path, way: str) -> None:
    used = tmp_path / "rows.csv"
    target = tmp_path / "out.csv"
    if way != "not there yet":
        used.write_text("rows")
    if way == "link":
        target.symlink_to(used)
    elif way == "hard link":
        target.hardlink_to(used)
    elif way == "in a folder":
        target, used = used, tmp_path
    else:
        target = tmp_path / ".." / tmp_path.name / "rows.csv"
    with pytest.raises(ConfigurationError, match="used by this command otherwise"):
        written(target, force=True, inputs=[None, used])
    if way != "not there yet":
        assert target.read_text() == "rows"


def test_a_run_directory_is_named_by_the_second_and_then_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls(2026, 3, 4, 15, 6, 7, tzinfo=UTC)

        def astimezone(self, tz: tzinfo | None = None) -> Clock:
            return self

    monkeypatch.setattr("secure_fl.files.datetime", Clock)
    for name in ("20260304-150607", "20260304-150607-2", "20260304-150607-3"):
        with new_run_directory(tmp_path) as taken:
            assert taken == tmp_path / name
        (tmp_path / name).write_text("a file takes the name too")


def test_a_file_is_not_replaced_by_a_directory(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("mine")
    with pytest.raises(ConfigurationError, match="exists already"), staged_directory(tmp_path / "one"):
        pytest.fail("the block must not run")
    assert (tmp_path / "one").read_text() == "mine"


def test_a_file_that_cannot_be_written_says_why_and_what_to_do(tmp_path: Path) -> None:
    why = r"scores\.csv cannot be written \(No such file or directory\); name another$"
    with pytest.raises(ConfigurationError, match=why), staged_file(tmp_path / "no" / "scores.csv", "name another"):
        pytest.fail("the block must not run")
    (tmp_path / "taken" / "by-a-folder").mkdir(parents=True)
    with (
        pytest.raises(ConfigurationError, match=r"taken cannot be written \(Is a directory\); name another$"),
        staged_file(tmp_path / "taken", "name another") as staging,
    ):
        staging.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_results_can_be_read_by_others(tmp_path: Path) -> None:
    with staged_directory(tmp_path / "one"):
        pass
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o755


def test_parents_that_were_made_for_nothing_vanish_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    def fail() -> None:
        with staged_directory(tmp_path / "there" / "new" / "newer" / "run"):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]
    assert list((tmp_path / "there").iterdir()) == []


def test_parents_that_hold_results_or_somebody_elses_stay(tmp_path: Path) -> None:
    with staged_directory(tmp_path / "new" / "newer" / "run"):
        pass
    assert (tmp_path / "new" / "newer" / "run").is_dir()

    def fail() -> None:
        with staged_directory(tmp_path / "a" / "b" / "run"):
            (tmp_path / "a" / "other").write_text("somebody else's")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]


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


def test_a_folder_that_a_process_is_alone_in_is_refused_to_others_until_it_ends(tmp_path: Path) -> None:
    with alone_in(tmp_path / "a"):
        with pytest.raises(ConfigurationError, match="a is in use by another process"), alone_in(tmp_path / "a"):
            raise AssertionError
        with alone_in(tmp_path / "b"):
            pass
    with alone_in(tmp_path / "a"):
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_text("")
    for no_folder in (tmp_path / "file", tmp_path / "file" / "in"):
        with pytest.raises(ConfigurationError, match="cannot be written"), alone_in(no_folder):
            raise AssertionError


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@pytest.mark.parametrize("number", FULL)
@pytest.mark.parametrize("where", ["in the block", "at the sync"])
@pytest.mark.parametrize("staged", [staged_file, output_file, staged_directory])
def test_a_full_disk_is_a_failure_that_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, where: str, staged: Any
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    def write() -> None:
        with staged(tmp_path / "new" / "result" if staged is staged_directory else tmp_path / "result") as staging:
            (staging / "a" if staging.is_dir() else staging).write_text("half")
            if where == "in the block":
                full()
            monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(
        StorageError, match=r"result could not be written \(.*\); make room, or (choose|name)"
    ) as caught:
        write()
    assert caught.value.exit_code == 1
    assert os.strerror(number) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_files_are_not_said_to_be_of_the_target(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged_file(tmp_path / "result"):
        (tmp_path / "absent").read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_durable_write_makes_its_folder_for_the_owner_only(tmp_path: Path) -> None:
    write_durably(tmp_path / "new" / "state", b"a")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["state"]


@pytest.mark.parametrize("content", [b"", b"a", b"\x00\n# sha256 \n", bytes(range(256))])
def test_a_seal_notices_every_bit_and_every_cut(content: bytes) -> None:
    data = sealed(content)
    assert unsealed(data) == content
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="seal"):
            unsealed(bytes(changed))
    for cut in range(len(data)):
        with pytest.raises(ValueError, match="seal"):
            unsealed(data[:cut])
    with pytest.raises(ValueError, match="seal"):
        unsealed(data + b"\n")
