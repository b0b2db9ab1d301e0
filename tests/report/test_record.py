"""The record of a run: what it says, and that nothing of it or of the run's files changes unnoticed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl import Result
from secure_fl.chain.links import START
from secure_fl.errors import ConfigurationError, RecordError
from secure_fl.report.outputs import write_run
from secure_fl.report.record import RECORD, Line, Signed
from secure_fl.report.record_check import verify_record
from secure_fl.report.record_key import RecordKey, public_key, record_key_path

KEY = RecordKey.generate()
FILES = ["experiment.toml", "metrics.json", "model.safetensors", "report.html", "transcript.jsonl"]
FILES += ["models/round-01.safetensors", "models/round-02.safetensors"]


@pytest.fixture(scope="module")
def written(run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result, Signed]:
    """A run's folder with its record, the result, and what was noted of it."""
    folder = tmp_path_factory.mktemp("run")
    result = run_small(scheme="masked", banks=4, drop=["bank-2@2:masked_input"])
    return folder, result, write_run(result, folder, key=KEY)


@pytest.fixture
def copy(written: tuple[Path, Result, Signed], tmp_path: Path) -> Path:
    """One that a test may spoil."""
    return Path(shutil.copytree(written[0], tmp_path / "copy"))


def lines_of(run: Path) -> list[bytes]:
    return (run / RECORD).read_bytes().splitlines(keepends=True)


def said(run: Path) -> list[tuple[str, Any]]:
    return [(document["kind"], document["says"]) for document in map(json.loads, lines_of(run))]


def chained(said: list[tuple[str, Any]], key: RecordKey) -> bytes:
    """What somebody can write who holds a key, by the rules of the format and without our code for it."""
    content, head = b"", START
    for seq, (kind, says) in enumerate(said):
        body = {"kind": kind, "previous": head, "says": says, "seq": seq}
        if kind == "signature":
            body["says"] = {"key": key.public, "signature": key.sign(head.encode())} | says
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        head = hashlib.sha256(text.encode()).hexdigest()
        content += json.dumps({**body, "hash": head}, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    return content


def test_a_record_says_who_took_part_and_what_came_of_it(written: tuple[Path, Result, Signed]) -> None:
    run, result, signed = written
    kinds, told = zip(*said(run), strict=True)
    assert kinds == ("run", "round", "round", "outcome", "files", "signature")
    opening, first, second, outcome, files, signature = told
    assert opening["banks"] == ["bank-1", "bank-2", "bank-3", "bank-4"]
    assert opening["settings_sha256"] == files["experiment.toml"]
    assert {"secure_fl", "python", "torch", "tenseal", "numpy", "opacus"} <= set(opening["software"])
    assert (first["contributors"], first["dropped"]) == (["bank-1", "bank-2", "bank-3", "bank-4"], [])
    assert (second["contributors"], second["dropped"]) == (["bank-1", "bank-3", "bank-4"], ["bank-2"])
    assert {"attempts", "refused", "excluded", "epsilon"} < set(first)
    assert first["model_sha256"] != second["model_sha256"]
    assert second["model_sha256"] == hashlib.sha256(result.model.weights.astype("<f4").tobytes()).hexdigest()
    assert outcome["custody"]["scheme"] == "masked"
    assert outcome["privacy"] is None
    assert files == {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in FILES}
    assert signature["key"] == signed.key == KEY.public
    assert (run / RECORD).read_bytes() == chained(said(run), KEY)


def test_a_record_that_was_left_alone_is_verified(written: tuple[Path, Result, Signed], tmp_path: Path) -> None:
    run, _, signed = written
    verified = verify_record(run, key=KEY.public, head=signed.head)
    assert (verified.lines, verified.head, verified.key, verified.files) == (6, signed.head, KEY.public, 7)
    assert verified.unrecorded == ()
    assert verify_record(run, key=KEY.public.upper(), head=signed.head.upper()) == verified
    pem = tmp_path / "signer.pem"
    pem.write_bytes(KEY._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert verify_record(run, key=str(pem)) == verified


@settings(max_examples=300)
@given(st.data())
def test_any_changed_added_or_removed_byte_is_found_in_its_line(
    written: tuple[Path, Result, Signed], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = (written[0] / RECORD).read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = bytes([data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))])
    changed = {
        "changed": whole[:place] + byte + whole[place + 1 :],
        "removed": whole[:place] + whole[place + 1 :],
        "added": whole[:place] + byte + whole[place:],
    }[data.draw(st.sampled_from(["changed", "removed", "added"]))]
    run = tmp_path_factory.getbasetemp()
    (run / RECORD).write_bytes(changed)
    with pytest.raises(RecordError, match=r"^line ") as caught:
        verify_record(run, key=KEY.public)
    assert caught.value.line == whole[:place].count(b"\n") + 1


@settings(max_examples=60)
@given(st.permutations(range(6)), st.sets(st.integers(0, 5)), st.integers(0, 5))
def test_lines_that_are_moved_taken_away_or_doubled_are_named(
    written: tuple[Path, Result, Signed],
    tmp_path_factory: pytest.TempPathFactory,
    order: list[int],
    dropped: set[int],
    doubled: int,
) -> None:
    lines = lines_of(written[0])
    for kept in ([n for n in order if n not in dropped], [*range(doubled + 1), *range(doubled, 6)]):
        if kept == list(range(6)):
            continue
        run = tmp_path_factory.getbasetemp()
        (run / RECORD).write_bytes(b"".join(lines[number] for number in kept))
        with pytest.raises(RecordError) as caught:
            verify_record(run, key=KEY.public)
        assert caught.value.line == next((at for at, number in enumerate(kept) if at != number), len(kept)) + 1


@pytest.mark.parametrize("left", range(6))
def test_a_cut_end_is_noticed_also_without_a_noted_head(copy: Path, left: int) -> None:
    (copy / RECORD).write_bytes(b"".join(lines_of(copy)[:left]))
    with pytest.raises(RecordError, match=f"line {left + 1} of .* is missing: .* was cut") as caught:
        verify_record(copy, key=KEY.public)
    assert caught.value.line == left + 1


def test_lines_behind_the_signature_are_noticed(copy: Path) -> None:
    (copy / RECORD).write_bytes(chained([*said(copy), ("round", {"round": 3})], KEY))
    with pytest.raises(RecordError, match=r"line 7 of .* stands behind the signature"):
        verify_record(copy, key=KEY.public)


def shorter(told: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The second round, and the bank that vanished in it, never were."""
    return [*(each for each in told[:-1] if each[1].get("round") != 2), ("signature", {})]


def test_only_a_noted_head_tells_of_another_history_by_the_same_key(
    written: tuple[Path, Result, Signed], copy: Path
) -> None:
    (copy / RECORD).write_bytes(chained(shorter(said(copy)), KEY))
    assert verify_record(copy, key=KEY.public).lines == 5
    with pytest.raises(RecordError, match="not with the noted one: its end was cut, or it was written anew"):
        verify_record(copy, key=KEY.public, head=written[2].head)


def test_a_history_under_another_key_is_noticed(copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forger = RecordKey.generate()
    (copy / RECORD).write_bytes(chained(shorter(said(copy)), forger))
    with pytest.raises(RecordError, match=f"signed by the key {forger.public}, not by the one that was named"):
        verify_record(copy, key=KEY.public)
    monkeypatch.setenv("SECURE_FL_RECORD_KEY", str(tmp_path / "no.key"))
    with pytest.raises(RecordError, match=f"signed by the key {forger.public}, which is not yours"):
        verify_record(copy)
    assert not (tmp_path / "no.key").exists(), "who only verifies needs no key"


def test_a_forged_line_under_the_right_key_needs_the_key(copy: Path) -> None:
    """Hashes that are made to fit, and the old signature or one by another key in the right one's name."""
    told = said(copy)
    told[1][1]["contributors"] = ["bank-1"]
    for signature in (told[-1][1], {"key": KEY.public}):
        (copy / RECORD).write_bytes(chained([*told[:-1], ("signature", signature)], RecordKey.generate()))
        with pytest.raises(RecordError, match=r"line 6 of .* is no signature of the lines before it"):
            verify_record(copy, key=KEY.public)


@pytest.mark.parametrize("change", ["more", "upper", "blank", "number"])
def test_a_signature_has_one_form(copy: Path, change: str) -> None:
    """Else somebody without the key could make another head of the same lines."""
    told, good = said(copy)[:-1], said(copy)[-1][1]
    changes: dict[str, dict[str, Any]] = {
        "more": {"more": 1},
        "upper": {"signature": good["signature"].upper()},
        "blank": {"signature": good["signature"][:64] + " " + good["signature"][64:]},
        "number": {"signature": 7},
    }
    (copy / RECORD).write_bytes(chained([*told, ("signature", good | changes[change])], KEY))
    with pytest.raises(RecordError, match=r"line 6 of .* is no signature"):
        verify_record(copy, key=KEY.public)


@settings(max_examples=40)
@given(st.sampled_from(FILES), st.data())
def test_any_changed_byte_of_a_file_of_the_run_is_found(
    written: tuple[Path, Result, Signed], tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    run = tmp_path_factory.mktemp("spoilt")
    shutil.copytree(written[0], run, dirs_exist_ok=True)
    content = bytearray((run / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (run / name).write_bytes(content)
    with pytest.raises(RecordError, match=f"{name} was changed after the run") as caught:
        verify_record(run, key=KEY.public)
    assert (caught.value.file, caught.value.line) == (name, None)
    shutil.rmtree(run)


def test_a_file_that_is_gone_is_named_and_one_that_came_is_told(copy: Path) -> None:
    (copy / "later.html").write_text("made after the run")
    assert verify_record(copy, key=KEY.public).unrecorded == ("later.html",)
    (copy / "model.safetensors").unlink()
    with pytest.raises(RecordError, match=r"model\.safetensors is gone") as caught:
        verify_record(copy, key=KEY.public)
    assert caught.value.file == "model.safetensors"


@pytest.mark.parametrize("name", [RECORD, "model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_named_and_not_read(copy: Path, name: str, kind: str) -> None:
    """A pipe would be waited for, and a device read, for ever."""
    (copy / name).unlink()
    make: dict[str, Callable[[Path], object]] = {
        "pipe": os.mkfifo,
        "device": lambda path: path.symlink_to("/dev/zero"),
        "folder": Path.mkdir,
    }
    make[kind](copy / name)
    with pytest.raises(RecordError, match=f"{name} is no regular file") as caught:
        verify_record(copy, key=KEY.public)
    assert caught.value.file == name


def test_a_record_larger_than_any_is_not_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secure_fl.report.record_check._LARGEST", 100)
    with pytest.raises(RecordError, match="larger than any record"):
        verify_record(copy, key=KEY.public)


def test_links_pipes_and_closed_folders_that_came_are_told(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files behind a link to a folder are in no file of this one."""
    (copy / "folder").symlink_to(tmp_path)
    (copy / "nothing").symlink_to("nowhere")
    os.mkfifo(copy / "pipe")
    (copy / "sub").mkdir()
    (copy / "sub" / RECORD).touch()
    (copy / "closed").mkdir(mode=0)
    walk = os.walk

    def refusing(top: Path, onerror: Callable[[OSError], None]) -> Iterator[tuple[str, list[str], list[str]]]:
        """As for somebody who is not root."""
        for folder, folders, files in walk(top, onerror=onerror):
            if folder == str(copy / "closed") and not files:
                onerror(PermissionError(13, "Permission denied", folder))
            yield folder, folders, files

    monkeypatch.setattr("secure_fl.report.record.os.walk", refusing)
    assert verify_record(copy, key=KEY.public).unrecorded == ("closed", "folder", "nothing", "pipe", f"sub/{RECORD}")


@pytest.mark.parametrize("name", ["../mine", "/etc/hostname", "sub/../../mine", "a\0b"])
def test_the_signer_names_no_file_elsewhere(copy: Path, name: str) -> None:
    (copy.parent / "mine").write_text("private")
    told = [*said(copy)[:-2], ("files", {name: hashlib.sha256(b"private").hexdigest()}), ("signature", {})]
    (copy / RECORD).write_bytes(chained(told, KEY))
    with pytest.raises(RecordError, match="is in no run's folder"):
        verify_record(copy, key=KEY.public)


def test_no_file_is_opened_for_a_stranger(copy: Path, tmp_path: Path) -> None:
    """A record could name any file of the reader's, to learn its hash from the answer."""
    (tmp_path / "mine").write_text("private")
    told = [*said(copy)[:-2], ("files", {"../mine": "0" * 64}), ("signature", {})]
    (copy / RECORD).write_bytes(chained(told, RecordKey.generate()))
    with pytest.raises(RecordError, match="signed by the key"):
        verify_record(copy, key=KEY.public)


@pytest.mark.parametrize("missing", ["record", "folder", "no folder"])
def test_a_run_without_a_record_is_one_clear_error(copy: Path, missing: str) -> None:
    (copy / RECORD).unlink()
    run = {"record": copy, "folder": copy / "nowhere", "no folder": copy / "metrics.json"}[missing]
    with pytest.raises(ConfigurationError, match=r"there is none in it, .* a run of an earlier version"):
        verify_record(run, key=KEY.public)


def test_what_cannot_be_a_head_or_a_key_is_refused(copy: Path, tmp_path: Path) -> None:
    for head in ("", "12ab", "x" * 64):
        with pytest.raises(ConfigurationError, match="64 hexadecimal digits that were noted"):
            verify_record(copy, key=KEY.public, head=head)
    (tmp_path / "no.pem").write_text("no key")
    for key in ("", "12ab", str(tmp_path / "no.pem"), str(tmp_path)):
        with pytest.raises(ConfigurationError, match="give the 64 hexadecimal digits, or a PEM file"):
            verify_record(copy, key=key)


def test_the_users_key_is_made_on_first_use_and_is_what_a_reader_trusts(
    written: tuple[Path, Result, Signed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECURE_FL_RECORD_KEY", str(tmp_path / "own" / "record.key"))
    assert public_key(None) is None
    saved = written[1].save(tmp_path / "saved")
    assert record_key_path().stat().st_mode & 0o777 == 0o600
    assert load_pem_private_key(record_key_path().read_bytes(), password=None) is not None
    assert verify_record(saved).key == public_key(None) == RecordKey.of_user().public
    monkeypatch.delenv("SECURE_FL_RECORD_KEY")
    assert record_key_path().name == "record.key"
    assert "secure-fl" in record_key_path().parts


def test_a_line_of_a_record_is_read_as_it_was_written(written: tuple[Path, Result, Signed]) -> None:
    for line in lines_of(written[0]):
        link = Line.from_line(line)
        assert link is not None
        assert link.to_line() == line
