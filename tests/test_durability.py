"""What is promised to be on disk is there when the call returns: a disk that forgets all that was not synced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from secure_fl.data import FederationKey
from secure_fl.data.synthetic.last_seen import LastSeen
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.review_line import MACHINE, Act
from secure_fl.data.synthetic.review_log import ReviewLog
from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.data.synthetic.validation import Verdict
from secure_fl.files import staged_directory, staged_file

PATTERN = library()[0]


class Disk:
    """What a crash would leave: contents as of their last sync, names as of their folder's."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.contents: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {}
        self.torn: list[str] = []
        """What got its final name before its content was on disk."""
        self.log: list[str] = []
        self._fsync = os.fsync
        patch.setattr(os, "fsync", self._sync)
        patch.setattr(os, "replace", self._named(os.replace))
        patch.setattr(os, "link", self._named(os.link))

    def after_crash(self, path: Path) -> bytes | None:
        """Content of the file, or None where its name would be lost."""
        inode = self.names.get(path.parent.stat().st_ino, {}).get(path.name)
        return None if inode is None else self.contents.get(inode)

    def _sync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        inode, path = os.fstat(descriptor).st_ino, Path(f"/proc/self/fd/{descriptor}")
        self.log.append(path.readlink().name)
        if path.is_dir():
            self.names[inode] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self.contents[inode] = path.read_bytes()

    def _named(self, rename: Callable[..., None]) -> Callable[..., None]:
        def checked(source: str | Path, target: str | Path) -> None:
            paths = [Path(source), *Path(source).rglob("*")]
            files = [path for path in paths if path.is_file()]
            self.torn += [path.name for path in files if self.contents.get(path.stat().st_ino) != path.read_bytes()]
            rename(source, target)

        return checked


@pytest.fixture
def disk() -> Iterator[Disk]:
    with pytest.MonkeyPatch.context() as patch:
        yield Disk(patch)


def holds(disk: Disk, path: Path) -> bool:
    return disk.torn == [] and disk.after_crash(path) == path.read_bytes()


def test_this_disk_forgets(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert disk.after_crash(tmp_path / "a") is None
    (tmp_path / "a").replace(tmp_path / "b")
    assert disk.torn == ["a"]


@pytest.mark.parametrize("create", [FederationKey.load_or_create, ReviewerKey.load_or_create])
def test_a_new_key_is_on_disk_before_anything_is_made_with_it(
    disk: Disk, tmp_path: Path, create: Callable[[Path], object]
) -> None:
    create(tmp_path / "new" / "a.key")
    assert holds(disk, tmp_path / "new" / "a.key")


def test_a_file_of_results_is_on_disk(disk: Disk, tmp_path: Path) -> None:
    for content in ("old", "new"):
        with staged_file(tmp_path / "scores.csv") as staging:
            staging.write_text(content)
        assert holds(disk, tmp_path / "scores.csv")


def test_a_folder_of_results_is_on_disk_with_all_that_is_in_it(disk: Disk, tmp_path: Path) -> None:
    with staged_directory(tmp_path / "run") as staging:
        (staging / "more").mkdir()
        for name in ("a.txt", "more/b.txt"):
            (staging / name).write_text(name)
    for name in ("a.txt", "more/b.txt"):
        assert holds(disk, tmp_path / "run" / name)
    assert "run" in disk.names[tmp_path.stat().st_ino]
    assert "more" in disk.names[(tmp_path / "run").stat().st_ino]


@pytest.fixture
def store(tmp_path: Path) -> PatternStore:
    return PatternStore(tmp_path / "patterns", ReviewerFiles.in_folder(tmp_path / "own"))


def test_a_pattern_is_on_disk_before_the_log_names_it(disk: Disk, store: PatternStore) -> None:
    store.propose(PATTERN, Verdict(PATTERN.digest, ()))
    assert holds(disk, store.folder / f"{PATTERN.digest}.json")
    assert disk.log.index(f"{PATTERN.digest}.json") < disk.log.index("review.jsonl")


def test_every_decision_is_on_disk_when_the_call_returns(disk: Disk, store: PatternStore) -> None:
    store.propose(PATTERN, Verdict(PATTERN.digest, ()))
    assert holds(disk, store.log.path)
    for decide in (store.approve, store.reject, store.approve):
        decide(PATTERN.digest, "A. Reviewer", "a reason")
        assert holds(disk, store.log.path)
        assert holds(disk, store.log.seen.path)
    assert holds(disk, store.own.trusted)


def test_a_new_log_is_on_disk_whatever_else_is_written_beside_it(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "store" / "review.jsonl"
    log = ReviewLog(path, LastSeen(path, tmp_path / "heads"))
    log.append(lambda _entries: Act("propose", "0" * 64, "0" * 64, MACHINE, "a reason"))
    assert holds(disk, path)


def test_what_a_reader_saw_is_on_disk_when_it_looked(disk: Disk, store: PatternStore, tmp_path: Path) -> None:
    store.propose(PATTERN, Verdict(PATTERN.digest, ()))
    reader = PatternStore(store.folder, ReviewerFiles.in_folder(tmp_path / "reader"))
    reader.read()
    assert holds(disk, reader.log.seen.path)
    assert disk.log.index("review.jsonl") < disk.log.index(reader.log.seen.path.name)  # never ahead of the log
