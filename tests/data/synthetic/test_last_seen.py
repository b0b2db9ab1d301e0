"""What somebody who may write the log can do to it, and which reader notices when."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from secure_fl.chain.links import START
from secure_fl.data.synthetic import last_seen
from secure_fl.data.synthetic.last_seen import LastSeen
from secure_fl.data.synthetic.review_line import Act, Entry
from secure_fl.data.synthetic.review_log import ReviewLog
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.errors import SyntheticError
from secure_fl.files import only_one_in

KEY = ReviewerKey.generate()


def act(number: int) -> Callable[[tuple[Entry, ...]], Act]:
    digest = hashlib.sha256(bytes([number])).hexdigest()
    return lambda _entries: Act("approve", digest, digest, "A. Reviewer", f"reason number {number}")


@pytest.fixture
def log(tmp_path: Path) -> ReviewLog:
    """Four lines, as their writer saw them."""
    path = tmp_path / "store" / "review.jsonl"
    log = ReviewLog(path, LastSeen(path, tmp_path / "writer"))
    for number in range(4):
        log.append(act(number), KEY)
    return log


@pytest.fixture
def reader(log: ReviewLog, tmp_path: Path) -> ReviewLog:
    """Somebody else, who has looked once."""
    reader = ReviewLog(log.path, LastSeen(log.path, tmp_path / "reader"))
    reader.read()
    return reader


def rewritten(log: ReviewLog, folder: Path, lines: int) -> bytes:
    """Another log with valid signatures of the same key, as only its holder can write it."""
    other = ReviewLog(folder / "other.jsonl", LastSeen(folder / "other.jsonl", folder / "other"))
    for number in range(lines):
        other.append(act(10 + number), KEY)
    return other.path.read_bytes()


@pytest.mark.parametrize("lines", [0, 1, 3])
def test_a_cut_log_is_noticed_by_all_who_saw_it(log: ReviewLog, reader: ReviewLog, lines: int) -> None:
    log.path.write_bytes(b"".join(log.path.read_bytes().splitlines(keepends=True)[:lines]))
    for seen_before in (log, reader):
        with pytest.raises(SyntheticError, match="was cut or rewritten: line 4"):
            seen_before.read()
        with pytest.raises(SyntheticError, match="was cut or rewritten: line 4"):
            seen_before.append(act(9), KEY)


def test_a_log_that_is_gone_is_noticed(log: ReviewLog, reader: ReviewLog) -> None:
    log.path.unlink()
    with pytest.raises(SyntheticError, match="was cut or rewritten"):
        reader.read()


@pytest.mark.parametrize("lines", [1, 4, 6])
def test_a_log_written_anew_is_noticed_even_by_who_holds_the_key(
    log: ReviewLog, reader: ReviewLog, tmp_path: Path, lines: int
) -> None:
    log.path.write_bytes(rewritten(log, tmp_path, lines))
    with pytest.raises(SyntheticError, match="was cut or rewritten: line 4"):
        reader.read()
    newcomer = ReviewLog(log.path, LastSeen(log.path, tmp_path / "newcomer"))
    assert len(newcomer.read()) == lines  # who never looked before cannot tell: a noted head can


def test_what_was_noticed_is_noticed_again_until_the_log_is_back(log: ReviewLog, reader: ReviewLog) -> None:
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[: whole.index(b"\n") + 1])
    for _ in range(2):
        with pytest.raises(SyntheticError, match="was cut or rewritten"):
            reader.read()
    log.path.write_bytes(whole)
    assert len(reader.read()) == 4


def test_an_older_copy_is_noticed_after_every_look_and_every_line(log: ReviewLog, reader: ReviewLog) -> None:
    """The record moves on with what the reader reads and the writer writes."""
    copies = []
    for number in range(4, 7):
        copies.append(log.path.read_bytes())
        log.append(act(number), KEY)
        reader.read()
        for copy in copies:
            now = log.path.read_bytes()
            log.path.write_bytes(copy)
            for each in (log, reader):
                with pytest.raises(SyntheticError, match=f"line {number + 1} is not the one"):
                    each.read()
            log.path.write_bytes(now)


def test_a_log_that_grew_elsewhere_raises_no_alarm_and_an_old_view_does_not_turn_the_record_back(
    log: ReviewLog, reader: ReviewLog
) -> None:
    old = reader.read()
    log.append(act(4), KEY)
    assert len(reader.read()) == 5
    reader.seen.note(old)
    assert reader.seen.recall().lines == 5
    reader.seen.note(())
    assert reader.seen.recall().lines == 5


def test_those_who_read_while_others_write_are_not_alarmed(log: ReviewLog) -> None:
    """One record for all: it is read before the log, so that it is never ahead of it."""

    def use(number: int) -> None:
        log.append(act(20 + number), KEY) if number % 2 else log.read()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(60)))
    assert log.seen.recall().lines == len(log.read()) == 34


def test_the_record_says_what_it_is_about_and_nothing_is_kept_of_an_empty_log(log: ReviewLog, tmp_path: Path) -> None:
    head = log.seen.recall()
    assert (head.log, head.lines, head.head) == (str(log.path.resolve()), 4, log.read()[-1].hash)
    path = tmp_path / "empty.jsonl"
    empty = ReviewLog(path, LastSeen(path, tmp_path / "none"))
    assert empty.read() == ()
    assert (empty.seen.recall().lines, empty.seen.recall().head) == (0, START)
    assert not (tmp_path / "none").exists()


def test_two_logs_have_two_records_and_one_log_by_two_ways_has_one(log: ReviewLog, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(log.path.parent)
    by_link = LastSeen(tmp_path / "link" / log.path.name, log.seen.folder)
    assert by_link.recall() == log.seen.recall()
    for other in (tmp_path / "other.jsonl", tmp_path / "another store" / log.path.name):
        assert LastSeen(other, log.seen.folder).recall().lines == 0


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"log":"x","lines":-1,"head":"%s"}' % (b"0" * 64)])
def test_a_malformed_record_is_no_empty_one(log: ReviewLog, content: bytes) -> None:
    log.seen.path.write_bytes(content)
    for look in (log.read, lambda: log.append(act(9), KEY)):
        with pytest.raises(SyntheticError, match="is malformed"):
            look()


def test_a_record_that_cannot_be_read_or_written_is_named(log: ReviewLog, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SyntheticError, match=r"record .* cannot be"):
        ReviewLog(log.path, LastSeen(log.path, tmp_path / "file")).read()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(SyntheticError, match=r"record .* cannot be written"):
        ReviewLog(log.path, LastSeen(log.path, tmp_path / "nowhere")).read()


def test_who_may_write_both_places_is_not_noticed(log: ReviewLog, reader: ReviewLog) -> None:
    """Stated in `last_seen`: the limit of a witness that lies within reach."""
    log.path.write_bytes(log.path.read_bytes().splitlines(keepends=True)[0])
    reader.seen.path.unlink()
    assert len(reader.read()) == 1


def test_what_another_noted_in_the_meantime_is_not_taken_back(
    log: ReviewLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had seen more of the log when it got hold of the record first."""
    entries, seen = log.read(), LastSeen(log.path, tmp_path / "shared")

    @contextmanager
    def late(folder: Path) -> Iterator[None]:
        monkeypatch.setattr(last_seen, "only_one_in", only_one_in)
        LastSeen(log.path, tmp_path / "shared").note(entries)
        with only_one_in(folder):
            yield

    monkeypatch.setattr(last_seen, "only_one_in", late)
    seen.note(entries[:2])
    assert seen.recall().lines == 4


def test_what_was_seen_lies_in_a_folder_of_its_owner(log: ReviewLog, tmp_path: Path) -> None:
    fresh = ReviewLog(log.path, LastSeen(log.path, tmp_path / "fresh"))
    old = os.umask(0)
    try:
        fresh.read()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o700
