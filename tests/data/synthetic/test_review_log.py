"""The log of the review: no byte can change unnoticed, and nothing of a line is lost in silence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.chain.links import START
from secure_fl.data.synthetic.last_seen import LastSeen
from secure_fl.data.synthetic.review_line import Act, Entry, require_name, require_reason
from secure_fl.data.synthetic.review_log import ReviewLog, place_of
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.errors import ConfigurationError, SyntheticError

pytestmark = pytest.mark.slow


KEY = ReviewerKey.generate()


def log_in(folder: Path, name: str = "review.jsonl") -> ReviewLog:
    """A log whose reader never saw it before."""
    heads = folder / f"heads-{len(list(folder.iterdir())) if folder.exists() else 0}"
    return ReviewLog(folder / name, LastSeen(folder / name, heads))


def act(number: int, **changes: str) -> Callable[[tuple[Entry, ...]], Act]:
    fields = {"reviewer": "Ä. Reviewer", "reason": f"reason number {number}", **changes}
    digest = hashlib.sha256(bytes([number])).hexdigest()
    return lambda _entries: Act("approve", digest, digest, **fields)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    log = log_in(tmp_path_factory.mktemp("log"))
    for number in range(4):
        log.append(act(number), KEY)
    return log.path.read_bytes()


def read(content: bytes, folder: Path) -> tuple[Entry, ...]:
    with TemporaryDirectory(dir=folder) as fresh:
        log = log_in(Path(fresh), "changed.jsonl")
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


def changed_line(written: bytes, number: int, **changes: object) -> tuple[list[bytes], Entry]:
    lines = written.splitlines(keepends=True)
    entry = Entry.from_line(lines[number])
    assert entry is not None
    return lines, entry.model_copy(update=changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "another reason"},
        {"reviewer": "B. Reviewer"},
        {"action": "reject"},
        {"pattern": "0" * 64},
        {"file": "0" * 64},
        {"replaces": "0" * 64},
        {"time": "2020-01-01T00:00:00Z"},
        pytest.param({"key": ReviewerKey.generate().public}, id="another key"),  # of a new name in every process
        {"key": "f" * 64},
        {"signature": "0" * 128},
        {"key": None},
        {"signature": None},
        {"key": None, "signature": None},
        {"reviewer": "secure-fl"},
        {"reviewer": "secure-fl", "key": None},
        {"reviewer": "secure-fl", "signature": None},
    ],
    ids=str,
)
def test_nobody_changes_a_decision_without_its_key_though_the_hashes_hold(
    written: bytes, tmp_path: Path, changes: dict[str, object]
) -> None:
    """Even the last line, which no later hash covers."""
    lines, entry = changed_line(written, 3, **changes)
    lines[3] = entry.to_line()
    with pytest.raises(SyntheticError, match=r"line 4 of the log .* is not signed by"):
        read(b"".join(lines), tmp_path)


def test_a_decision_cannot_be_moved_to_another_place_or_log(written: bytes, tmp_path: Path) -> None:
    entries = read(written, tmp_path)
    moved = entries[3].model_copy(update={"seq": 1, "previous": entries[0].hash})
    with pytest.raises(SyntheticError, match=r"line 2 of the log .* is not signed by"):
        read(entries[0].to_line() + moved.to_line(), tmp_path)
    other = log_in(tmp_path, "other.jsonl")
    other.append(act(7), KEY)
    moved = entries[1].model_copy(update={"previous": other.read()[0].hash})
    with pytest.raises(SyntheticError, match=r"line 2 of the log .* is not signed by"):
        read(other.path.read_bytes() + moved.to_line(), tmp_path)


def test_who_holds_the_key_can_change_a_line_and_breaks_the_next_one(written: bytes, tmp_path: Path) -> None:
    lines, entry = changed_line(written, 1, reason="another reason")
    lines[1] = entry.signed(KEY).to_line()
    with pytest.raises(SyntheticError, match=r"line 3 of the log .* was changed"):
        read(b"".join(lines), tmp_path)
    assert len(read(b"".join(lines[:2]), tmp_path)) == 2  # a log cut there holds: only a noted head shows it


@pytest.mark.parametrize("seq", [0, 2, 4, 7])
def test_a_line_with_another_number_is_no_line_of_the_log_even_if_signed(
    written: bytes, tmp_path: Path, seq: int
) -> None:
    lines, entry = changed_line(written, 3, seq=seq)
    lines[3] = entry.signed(KEY).to_line()
    with pytest.raises(SyntheticError, match=r"line 4 of the log .* was changed"):
        read(b"".join(lines), tmp_path)


def test_a_persons_line_without_a_key_is_not_written_for_long(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    with pytest.raises(ConfigurationError, match="needs a key"):
        log.append(act(0))
    assert log.read() == ()


def test_what_validation_wrote_has_no_signature_and_takes_none(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    entry = log.append(act(0, reviewer="secure-fl"))
    assert (entry.key, entry.signature) == (None, None)
    assert log.read() == (entry,)
    with pytest.raises(ConfigurationError, match="needs a key"):
        log.append(act(1, reviewer="secure-fl"), KEY)


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
    log = log_in(tmp_path)
    log.path.write_bytes(written[:-1])
    with pytest.raises(SyntheticError, match="torn"):
        log.append(act(9), KEY)
    assert log.path.read_bytes() == written[:-1]


def test_a_noted_head_has_a_place_in_the_log_or_is_missed(written: bytes, tmp_path: Path) -> None:
    entries = read(written, tmp_path)
    assert place_of(START, ()) == place_of(START, entries) == 0
    assert [place_of(entry.hash, entries) for entry in entries] == [1, 2, 3, 4]
    for shorter in (entries[:-1], ()):
        with pytest.raises(SyntheticError, match="was cut or rewritten"):
            place_of(entries[-1].hash, shorter)


def test_writers_at_the_same_time_make_one_chain(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log.append(act(number), KEY), range(40)))
    entries = log.read()
    assert [entry.seq for entry in entries] == list(range(40))
    assert {entry.reason for entry in entries} == {f"reason number {number}" for number in range(40)}


def test_what_decides_sees_all_earlier_lines_and_may_refuse(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.append(act(0), KEY)

    def refuse(entries: tuple[Entry, ...]) -> Act:
        raise ConfigurationError(f"{len(entries)} are enough; stop")

    with pytest.raises(ConfigurationError, match="1 are enough"):
        log.append(refuse)
    assert len(log.read()) == 1


@pytest.mark.parametrize("text", ["", " ", " a", "a\n", "a\nb", "a\x1b[31m", "\u202ea", "\x00", "x" * 1001])
def test_names_and_reasons_are_one_plain_line(text: str) -> None:
    require_name("A Name")
    require_reason("a reason")
    with pytest.raises(ConfigurationError, match="name of the reviewer"):
        require_name(text)
    with pytest.raises(ConfigurationError, match="the reason"):
        require_reason(text)


@pytest.mark.parametrize("text", ["", " a", "a ", "a\n", "a\nb", "x" * 1001])
@pytest.mark.parametrize("field", ["reviewer", "reason"])
def test_no_line_holds_a_name_or_reason_of_another_form(tmp_path: Path, field: str, text: str) -> None:
    """Also where nobody asked for it before."""
    log = log_in(tmp_path)
    with pytest.raises(ConfigurationError, match="one plain line"):
        log.append(act(1, **{field: text}), KEY)
    assert log.read() == ()


def test_names_and_reasons_may_be_as_long_as_is_said() -> None:
    require_name("x" * 100)
    require_reason("x" * 1000)
    with pytest.raises(ConfigurationError, match="1 to 100 printable"):
        require_name("x" * 101)


def test_nobody_signs_as_the_machine() -> None:
    with pytest.raises(ConfigurationError, match="name of a person"):
        require_name("secure-fl")


@pytest.mark.parametrize(
    "line", [b"\n", b"null\n", b"[]\n", b"7\n", b'{"seq": 0}\n', b"\xff\xfe\n", b"[" * 200_000 + b"\n", b"{}\n"]
)
def test_what_is_no_line_is_named(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(SyntheticError, match=r"line 1 of the log .* is broken"):
        read(line, tmp_path)


def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    log = ReviewLog(tmp_path, LastSeen(tmp_path, tmp_path / "heads"))
    with pytest.raises(SyntheticError, match="cannot be read"):
        log.read()
    with pytest.raises(SyntheticError, match="cannot be written"):
        log.append(act(0), KEY)
