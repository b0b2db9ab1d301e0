"""The log is only ever appended to, reaches the disk before it is believed, and notices going back."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from secure_fl.errors import PrivacyError
from secure_fl.files import write_durably
from secure_fl.privacy.lifetime.log import Body, LifeLog, Line, Note

KEY = b"k" * 32


def log_in(folder: Path) -> LifeLog:
    return LifeLog(folder / "store" / "log.jsonl", folder / "notes" / "log.json", KEY)


def grown(folder: Path, *names: str) -> LifeLog:
    log = log_in(folder)
    for name in names:
        log.append(lambda lines, name=name: [{"name": name}])  # type: ignore[misc]
    return log


def names(log: LifeLog) -> list[str]:
    return [line.body["name"] for line in log.read()]


def test_lines_stay_in_order_and_are_numbered(tmp_path: Path) -> None:
    grown(tmp_path, "a", "b").append(lambda lines: [{"name": "c"}, {"name": "d"}])
    lines = log_in(tmp_path).read()
    assert [line.body["name"] for line in lines] == ["a", "b", "c", "d"]
    assert [line.body["line"] for line in lines] == [1, 2, 3, 4]
    assert [line.body["previous"] for line in lines[1:]] == [line.hash for line in lines[:-1]]


def test_nothing_is_written_where_nothing_is_decided(tmp_path: Path) -> None:
    log = grown(tmp_path, "a")
    before = log.path.read_bytes()
    log.append(lambda lines: [])
    assert log.path.read_bytes() == before


def test_a_refusal_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    log = grown(tmp_path, "a")

    def refuse(lines: tuple[Line, ...]) -> list[Body]:
        raise PrivacyError("no; no")

    with pytest.raises(PrivacyError):
        log.append(refuse)
    assert names(log) == names(log_in(tmp_path)) == ["a"]


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    log = grown(tmp_path, "a")
    assert [path.stat().st_mode & 0o777 for path in (log.path, log.note)] == [0o600, 0o600]
    assert KEY.hex() not in repr(log)
    assert repr(KEY) not in repr(log)


WRITER = """
import sys
from pathlib import Path
from secure_fl.privacy.lifetime.log import LifeLog
log = LifeLog(Path(sys.argv[1]) / "store" / "log.jsonl", Path(sys.argv[1]) / "notes" / "log.json", b"k" * 32)
for number in range(40):
    log.append(lambda lines: [{"name": sys.argv[2], "seen": len(lines)}])
"""


@pytest.mark.slow
def test_runs_at_the_same_time_lose_no_entry(tmp_path: Path) -> None:
    """Each writer sees all lines before its own: a budget is never judged by an old state."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines = log_in(tmp_path).read()
    assert sorted(line.body["name"] for line in lines) == sorted("abc" * 40)
    assert [line.body["seen"] for line in lines] == list(range(120))


# On disk


def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """What fsync was called on: the name, and what was in the file."""
    calls: list[tuple[str, bytes]] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append((place.name, place.read_bytes() if place.is_file() else b""))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


def test_a_line_and_its_note_reach_the_disk_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, calls = log_in(tmp_path), synced(monkeypatch)
    log.append(lambda lines: [{"name": "a"}])
    made, first, store, made_too, note, notes = calls
    assert made[0] == made_too[0] == tmp_path.name, "the names of new folders"
    assert first == ("log.jsonl", log.path.read_bytes())
    assert b'"a"' in first[1]
    assert store[0] == "store", "the name of a new file too"
    assert note[1] == log.note.read_bytes()
    assert notes[0] == "notes"


def test_a_durable_file_is_synced_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_durably(tmp_path / "file", b"old")
    order: list[str] = []
    replace = Path.replace
    calls = synced(monkeypatch)

    def watched(self: Path, target: Path) -> Path:
        order.append(f"{len(calls)} synced")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_durably(tmp_path / "file", b"new")
    assert order == ["1 synced"]
    assert [content for _, content in calls] == [b"new", b""]
    assert calls[1][0] == tmp_path.name
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_durable_file_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write_durably(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        write_durably(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_log_that_cannot_be_written_stops_the_release(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(PrivacyError, match=r"nothing may be released; make it writable"):
        grown(tmp_path, "a")


# Damage, and going back


def test_what_a_crash_left_half_written_is_dropped(tmp_path: Path) -> None:
    """Its call never returned, so nothing was released on it."""
    log = grown(tmp_path, "a", "b")
    with log.path.open("ab") as file:
        file.write(b'{"name":"c","li')
    assert names(log_in(tmp_path)) == ["a", "b"]
    log_in(tmp_path).append(lambda lines: [{"name": "d"}])
    assert names(log_in(tmp_path)) == ["a", "b", "d"]


def test_a_crash_between_line_and_note_is_no_harm(tmp_path: Path) -> None:
    log = grown(tmp_path, "a")
    before = log.note.read_bytes()
    grown(tmp_path, "b")
    log.note.write_bytes(before)
    assert names(log_in(tmp_path)) == ["a", "b"]


TAMPERING: dict[str, Callable[[bytes], bytes]] = {
    "a word": lambda text: text.replace(b'"b"', b'"x"'),
    "a line gone": lambda text: b"".join(line for line in text.splitlines(True) if b'"b"' not in line),
    "two swapped": lambda text: b"".join(text.splitlines(True)[place] for place in (1, 0, 2)),
    "one doubled": lambda text: text + text.splitlines(True)[-1],
    "not text": lambda text: b"\xff\xfe\n" + text,
    "a list": lambda text: text + b"[]\n",
    "no hash": lambda text: text + b"{}\n",
    "an empty line": lambda text: text + b"\n",
    "from another key": lambda text: _rewritten(text),
}


def _rewritten(text: bytes) -> bytes:
    """Line 2 said anew by somebody without the key, who can compute any plain hash."""
    import hashlib

    lines = text.splitlines(True)
    body = {name: value for name, value in json.loads(lines[1]).items() if name != "hash"} | {"name": "x"}
    plain = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    told = json.dumps({**body, "hash": hashlib.sha256(plain).hexdigest()}, sort_keys=True, separators=(",", ":"))
    return lines[0] + told.encode() + b"\n"


@pytest.mark.parametrize("how", TAMPERING)
def test_a_changed_log_is_refused(tmp_path: Path, how: str) -> None:
    log = grown(tmp_path, "a", "b", "c")
    log.path.write_bytes(TAMPERING[how](log.path.read_bytes()))
    with pytest.raises(PrivacyError, match=r"; put the newest (whole )?copy back"):
        log_in(tmp_path).read()


@pytest.mark.parametrize("lines", [0, 1, 2])
def test_an_older_copy_is_noticed(tmp_path: Path, lines: int) -> None:
    log = grown(tmp_path, "a", "b", "c")
    log.path.write_bytes(b"".join(log.path.read_bytes().splitlines(True)[:lines]))
    for opened in (log_in(tmp_path), log):
        with pytest.raises(PrivacyError, match="older copy"):
            opened.append(lambda lines: [{"name": "d"}])


def test_an_older_copy_that_went_on_is_noticed(tmp_path: Path) -> None:
    """Longer than what was noted, but another history."""
    log = grown(tmp_path, "a", "b", "c")
    old = b"".join(log.path.read_bytes().splitlines(True)[:1])
    note = log.note.read_bytes()
    log.path.write_bytes(old)
    log.note.unlink()
    grown(tmp_path, "x", "y", "z")
    log.note.write_bytes(note)
    with pytest.raises(PrivacyError, match="older copy"):
        log_in(tmp_path).read()


def test_a_lost_log_is_noticed(tmp_path: Path) -> None:
    log = grown(tmp_path, "a")
    shutil.rmtree(log.path.parent)
    with pytest.raises(PrivacyError, match="older copy, or was cut"):
        log_in(tmp_path).read()


def test_a_note_elsewhere_is_a_third_copy(tmp_path: Path) -> None:
    """Log and note put back together: these two do not notice, what a run's results say does."""
    log = grown(tmp_path, "a", "b")
    noted = log.end
    assert noted == Note(2, log.read()[1].hash)
    log.require(noted)
    shutil.rmtree(tmp_path / "store")
    shutil.rmtree(tmp_path / "notes")
    again = grown(tmp_path, "a")
    assert names(again) == ["a"]
    with pytest.raises(PrivacyError, match="2 entries were noted elsewhere"):
        again.require(noted)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"lines": "x", "head": "y"}'])
def test_a_damaged_note_is_refused(tmp_path: Path, content: bytes) -> None:
    log = grown(tmp_path, "a")
    log.note.write_bytes(content)
    with pytest.raises(PrivacyError, match=r"damaged; put its newest copy back"):
        log_in(tmp_path).read()


def test_who_goes_on_after_a_crash_between_line_and_note_takes_the_note(tmp_path: Path) -> None:
    """Whatever is released then depends on the line: the log must not be cut before it without notice."""
    log = grown(tmp_path, "a")
    older, before = log.path.read_bytes(), log.note.read_bytes()
    grown(tmp_path, "b")
    log.note.write_bytes(before)
    log_in(tmp_path).append(lambda lines: [])  # the line is there already, so that the release may be made
    log.path.write_bytes(older)
    with pytest.raises(PrivacyError, match="older copy"):
        log_in(tmp_path).read()


@pytest.mark.parametrize("content", [b'{"lines":1e400,"head":""}', b"[" * 100_000], ids=["an infinite count", "deep"])
def test_a_note_that_makes_its_reader_stumble_is_damaged_too(tmp_path: Path, content: bytes) -> None:
    log = grown(tmp_path, "a")
    log.note.write_bytes(content)
    with pytest.raises(PrivacyError, match="damaged"):
        log_in(tmp_path).read()


def test_who_reads_sees_what_who_wrote_it_saw(tmp_path: Path) -> None:
    log = grown(tmp_path, "a", "b")
    assert log_in(tmp_path).read() == log.read()
    assert set(log.read()[0].body) == {"name", "line", "previous"}


@pytest.mark.parametrize(("line", "previous"), [(2, "0" * 64), (1, "ab" * 32), (0, "0" * 64)])
def test_a_line_has_its_number_and_the_hash_before_it(tmp_path: Path, line: int, previous: str) -> None:
    """Whoever has the key and writes another program for it gets either wrong first."""
    body = {"name": "a", "line": line, "previous": previous}
    text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    log = log_in(tmp_path)
    log.path.parent.mkdir()
    log.path.write_text(json.dumps({**body, "hash": hmac.digest(KEY, text, hashlib.sha256).hex()}) + "\n")
    with pytest.raises(PrivacyError, match=r"entry 1 of .* is broken"):
        log.read()


def test_the_entry_that_is_broken_is_named(tmp_path: Path) -> None:
    log = grown(tmp_path, "a", "b", "c")
    lines = log.path.read_text().splitlines(keepends=True)
    log.path.write_text(lines[0] + lines[1].replace('"b"', '"x"') + lines[2])
    with pytest.raises(PrivacyError, match=f"^entry 2 of {log.path} is broken or was changed"):
        log_in(tmp_path).read()
