"""Whether the record of a run, and the files that it names, are what was signed.

What is looked at, in this order: every line against the one before it; the end, against a head that was noted, if one
is given; the key, against the one that the reader names, or the reader's own; and every file that the record names.
Nothing is believed before the key is the right one, since anybody can write a record and sign it with a new key.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from secure_fl.chain.links import BrokenChainError, read_links
from secure_fl.errors import ConfigurationError, RecordError
from secure_fl.report.record import RECORD, Line, files_in, hash_of, is_signed
from secure_fl.report.record_key import public_key

_LARGEST = 1 << 28
"""Bytes of a record: that of 100,000 rounds is smaller."""
_ADVICE = "do not rely on this folder, and ask for an unchanged copy"


@dataclass(frozen=True)
class Verified:
    """A record that holds, as far as the reader's key and noted head say."""

    lines: int
    head: str
    key: str
    files: int
    """That the record names, all of them unchanged."""
    unrecorded: tuple[str, ...]
    """Files in the folder that it does not name: nothing is known of these."""


def verify_record(run: Path, *, key: str | None = None, head: str | None = None) -> Verified:
    """Check the record in a run's folder.

    `key`: the signer's public key, hexadecimal or a PEM file; without it the reader's own. `head`: the hash of the last
    line, as it was noted. Raises `RecordError`, which says where, if anything was changed, and `ConfigurationError`
    where there is no record, or `key` or `head` cannot be one.
    """
    trusted = public_key(key)
    if head is not None and (len(head) != 64 or set(head.lower()) - set("0123456789abcdef")):
        raise ConfigurationError("--head takes the 64 hexadecimal digits that were noted; copy all of them")
    lines = _lines(run)
    end = lines[-1]
    if head is not None and head.lower() != end.hash:
        raise RecordError(
            f"{run / RECORD} ends with the hash {end.hash}, not with the noted one: its end was cut, or it was written "
            f"anew after that was noted, or is of another run; {_ADVICE}",
            line=len(lines),
        )
    signer = str(end.says["key"])
    if signer != trusted:
        whose = "which is not yours" if key is None else "not by the one that was named"
        raise RecordError(
            f"{run / RECORD} is signed by the key {signer}, {whose}; compare it with the key of whoever ran this, over "
            "a way that nobody else can write to, and give --key",
            line=len(lines),
        )
    named = _files(run, lines)
    unrecorded = tuple(name for name in files_in(run) if name not in named)
    return Verified(len(lines), end.hash, signer, len(named), unrecorded)


def _lines(run: Path) -> list[Line]:
    """All lines, of which the last one signs those before it."""
    lines: list[Line] = []
    try:
        for line in read_links(_content(run), Line):
            if lines and lines[-1].kind == "signature":
                raise _fault(run, line.seq + 1, "stands behind the signature")
            lines.append(line)
        if not lines or lines[-1].kind != "signature":
            raise _fault(run, len(lines) + 1, "is missing: the record has no signature at its end, which was cut")
        if not is_signed(lines[-1]):
            raise _fault(run, len(lines), "is no signature of the lines before it by the key that it names")
    except BrokenChainError as error:
        torn = "is torn: it has no end"
        changed = "was changed, or the line that stood there or before it was taken away"
        fault = _fault(run, error.line, torn if error.torn else changed)
    else:
        return lines
    raise fault


def _content(run: Path) -> bytes:
    try:
        found = (run / RECORD).stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise RecordError(f"{run / RECORD} is no regular file, or larger than any record; {_ADVICE}", file=RECORD)
        return (run / RECORD).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        fault = "there is none in it, so nothing can be verified: a run of an earlier version, or no finished run"
    except OSError as error:
        fault = f"it cannot be read ({error.strerror or 'input/output error'})"
    raise ConfigurationError(f"{run}: {RECORD} is the record of a run, and {fault}; name the folder of a run's results")


def _files(run: Path, lines: list[Line]) -> dict[str, str]:
    """The files that a record names. Raises `RecordError` where one is not what it was."""
    recorded = {name: str(told) for line in lines if line.kind == "files" for name, told in line.says.items()}
    for name, told in recorded.items():
        fault = _changed(run, name, told)
        if fault:
            raise RecordError(f"{run / name} {fault}: it is not what the record says; {_ADVICE}", file=name)
    return recorded


def _changed(run: Path, name: str, told: str) -> str | None:
    """What is wrong with a file that a record names; None: nothing. Only regular files in the folder are opened."""
    if "\0" in name or ".." in Path(name).parts or Path(name).is_absolute():
        return "is in no run's folder"
    try:
        if not stat.S_ISREG((run / name).stat().st_mode):
            return "is no regular file"
        return None if hash_of(run / name) == told else "was changed after the run"
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read ({error.strerror or 'input/output error'})"


def _fault(run: Path, line: int, what: str) -> RecordError:
    return RecordError(f"line {line} of {run / RECORD} {what}; {_ADVICE}", line=line)
