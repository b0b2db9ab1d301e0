"""The log of the review: no byte can change unnoticed, and nothing of a line is lost in silence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import ConfigurationError, SyntheticError
from secure_fl.synthetic.review_log import START, Act, Entry, ReviewLog, require_signed

pytestmark = pytest.mark.slow


def act(number: int, **changes: str) -> Callable[[tuple[Entry, ...]], Act]:
    fields = {"reviewer": "Ä. Reviewer", "reason": f"reason number {number}", **changes}
    digest = hashlib.sha256(bytes([number])).hexdigest()
    return lambda _entries: Act("propose", digest, digest, **fields)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    log = ReviewLog(tmp_path_factory.mktemp("log") / "review.jsonl")
    for number in range(4):
        log.append(act(number))
    return log.path.read_bytes()


def read(content: bytes, folder: Path) -> tuple[Entry, ...]:
    log = ReviewLog(folder / "changed.jsonl")
    log.path.write_bytes(content)
    return log.read()


def test_the_chain_is_what_anybody_can_recompute(written: bytes) -> None:
    previous = "0" * 64
    for seq, line in enumerate(written.splitlines()):
        document = json.loads(line)
        claimed = document.pop("hash")
        assert document["seq"] == seq
        assert document["previous"] == previous
        assert document["time"].endswith("Z")
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        assert claimed == hashlib.sha256(text.encode()).hexdigest()
        previous = claimed


@settings(max_examples=400)
@given(st.data())
def test_any_changed_added_or_removed_byte_is_detected(
    written: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(written) - 1))
    byte = bytes([data.draw(st.integers(0, 255).filter(lambda value: value != written[place]))])
    line = written[:place].count(b"\n") + 1
    changed = {
        "changed": written[:place] + byte + written[place + 1 :],
        "removed": written[:place] + written[place + 1 :],
        "added": written[:place] + byte + written[place:],
    }[data.draw(st.sampled_from(["changed", "removed", "added"]))]
    with pytest.raises(SyntheticError, match=f"line {line} of the log"):
        read(changed, tmp_path_factory.getbasetemp())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'":', b'": '),
        (b'"seq":1', b'"seq":1.0'),
        (b"number 1", b"number \\u0031"),
        (b'"seq":1', b'"seq":7,"seq":1'),
        (b"}\n", b"}\r\n"),
        (b"{", b" {"),
    ],
)
def test_other_bytes_that_mean_the_same_are_detected(written: bytes, tmp_path: Path, old: bytes, new: bytes) -> None:
    lines = written.splitlines(keepends=True)
    assert old in lines[1]
    lines[1] = lines[1].replace(old, new, 1)
    with pytest.raises(SyntheticError, match="line 2 of the log"):
        read(b"".join(lines), tmp_path)


def test_a_line_that_was_written_anew_with_its_hash_breaks_the_next_one(written: bytes, tmp_path: Path) -> None:
    lines = written.splitlines(keepends=True)
    entry = Entry.from_line(lines[1])
    assert entry is not None
    lines[1] = entry.model_copy(update={"reason": "another reason"}).to_line()
    with pytest.raises(SyntheticError, match="line 3 of the log"):
        read(b"".join(lines), tmp_path)


@given(st.permutations(range(4)), st.sets(st.integers(0, 3)))
def test_lines_cannot_be_moved_or_dropped_between_others(
    written: bytes, tmp_path_factory: pytest.TempPathFactory, order: list[int], dropped: set[int]
) -> None:
    lines = written.splitlines(keepends=True)
    kept = [number for number in order if number not in dropped]
    content = b"".join(lines[number] for number in kept)
    if kept == list(range(len(kept))):  # a log that was cut at its end is a log: only a noted head shows it
        assert len(read(content, tmp_path_factory.getbasetemp())) == len(kept)
    else:
        with pytest.raises(SyntheticError, match="broken or was changed"):
            read(content, tmp_path_factory.getbasetemp())


def test_a_torn_last_line_is_an_error_at_every_length(written: bytes, tmp_path: Path) -> None:
    ends = {place + 1 for place, byte in enumerate(written) if byte == ord("\n")}
    around = {end + step for end in ends for step in (-2, -1, 1, 2)}
    for length in sorted({*range(1, len(written), 97), *around}):
        if length not in ends and length < len(written):
            with pytest.raises(SyntheticError, match=rf"line {written[:length].count(bytes([10])) + 1} .* is torn"):
                read(written[:length], tmp_path)


@pytest.mark.parametrize("more", [b"\n", b" ", b"x", b"\x00", b"{}\n"])
def test_bytes_behind_the_last_line_are_detected(written: bytes, tmp_path: Path, more: bytes) -> None:
    with pytest.raises(SyntheticError, match="line 5 of the log"):
        read(written + more, tmp_path)


def test_nothing_is_appended_to_a_broken_log(written: bytes, tmp_path: Path) -> None:
    log = ReviewLog(tmp_path / "review.jsonl")
    log.path.write_bytes(written[:-1])
    with pytest.raises(SyntheticError, match="torn"):
        log.append(act(9))
    assert log.path.read_bytes() == written[:-1]


def test_a_noted_head_shows_a_cut_log_and_a_new_one(written: bytes, tmp_path: Path) -> None:
    log = ReviewLog(tmp_path / "review.jsonl")
    assert log.verify() == START
    log.path.write_bytes(written)
    head = log.verify()
    log.append(act(7))
    assert log.verify(head) != head  # lines may be added
    lines = written.splitlines(keepends=True)
    log.path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(SyntheticError, match="no longer holds the line"):
        log.verify(head)
    log.path.unlink()
    with pytest.raises(SyntheticError, match="no longer holds the line"):
        log.verify(head)


def test_writers_at_the_same_time_make_one_chain(tmp_path: Path) -> None:
    log = ReviewLog(tmp_path / "review.jsonl")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log.append(act(number)), range(40)))
    entries = log.read()
    assert [entry.seq for entry in entries] == list(range(40))
    assert {entry.reason for entry in entries} == {f"reason number {number}" for number in range(40)}


def test_what_decides_sees_all_earlier_lines_and_may_refuse(tmp_path: Path) -> None:
    log = ReviewLog(tmp_path / "review.jsonl")
    log.append(act(0))

    def refuse(entries: tuple[Entry, ...]) -> Act:
        raise ConfigurationError(f"{len(entries)} are enough; stop")

    with pytest.raises(ConfigurationError, match="1 are enough"):
        log.append(refuse)
    assert len(log.read()) == 1


@pytest.mark.parametrize("text", ["", " ", " a", "a\n", "a\nb", "a\x1b[31m", "\u202ea", "\x00", "x" * 1001])
def test_names_and_reasons_are_one_plain_line(text: str) -> None:
    require_signed("A Name", "a reason")
    with pytest.raises(ConfigurationError, match="name of the reviewer"):
        require_signed(text, "a reason")
    with pytest.raises(ConfigurationError, match="the reason"):
        require_signed("A Name", text)


def test_nobody_signs_as_the_machine() -> None:
    with pytest.raises(ConfigurationError, match="name of a person"):
        require_signed("secure-fl", "a reason")


@pytest.mark.parametrize(
    "line", [b"\n", b"null\n", b"[]\n", b"7\n", b'{"seq": 0}\n', b"\xff\xfe\n", b"[" * 200_000 + b"\n", b"{}\n"]
)
def test_what_is_no_line_is_named(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(SyntheticError, match=r"line 1 of the log .* is broken"):
        read(line, tmp_path)


def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    log = ReviewLog(tmp_path)
    with pytest.raises(SyntheticError, match="cannot be read"):
        log.read()
    with pytest.raises(SyntheticError, match="cannot be written"):
        log.append(act(0))
