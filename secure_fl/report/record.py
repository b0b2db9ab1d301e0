"""The record of a run, chained and signed: who took part, with which settings, models, privacy and software.

`record.jsonl` is a chain (`chain.links`). Its lines, by `kind`: `run`, a `round` for each, `outcome`, `files` with the
SHA-256 of each file of the run, and `signature`, of the hash before it, with the public key.

Rules:
- It is written when a run is finished, from what was kept round by round; so a run that was stopped and went on has one
  record. A folder of results without a signed record is no finished run of this version.
- It holds hashes, names of banks, counts of rounds and what the protocol said: no row, nothing computed from a single
  row, no name of a column (only a hash of them), no path.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from secure_fl import __version__
from secure_fl.chain.links import START, Link, canonical
from secure_fl.federation.results import Result, RoundRecord
from secure_fl.report.record_key import RecordKey
from secure_fl.settings import Experiment

RECORD = "record.jsonl"
FORMAT = 1
Kind = Literal["run", "round", "outcome", "files", "signature"]
_PACKAGES = ("cryptography", "numpy", "opacus", "pyarrow", "pydantic", "safetensors", "scipy", "tenseal", "torch")
_OF_A_ROUND = ("round", "contributors", "dropped", "attempts", "refused", "excluded", "epsilon", "model_sha256")


class Line(Link):
    """One line of a record."""

    kind: Kind
    says: dict[str, Any]


@dataclass(frozen=True)
class Signed:
    """What whoever made a record notes elsewhere."""

    head: str
    """Hash of the last line."""
    key: str
    """The public key that it is signed with."""


def write_record(result: Result, directory: Path, key: RecordKey) -> Signed:
    """The record of a run whose other files are in the folder already."""
    content, head = b"", START
    for seq, (kind, says) in enumerate(_said(result, directory)):
        line = Line(seq=seq, previous=head, kind=kind, says=says)
        content, head = content + line.to_line(), line.hash
    signature = {"key": key.public, "signature": key.sign(head.encode("ascii"))}
    end = Line(seq=seq + 1, previous=head, kind="signature", says=signature)
    (directory / RECORD).write_bytes(content + end.to_line())
    return Signed(end.hash, key.public)


def is_signed(end: Line) -> bool:
    """Whether a last line is a signature of the hash before it by the key that it names, and nothing else.

    In one form only: otherwise somebody without the key could make another head of the same record.
    """
    if end.kind != "signature" or set(end.says) != {"key", "signature"}:
        return False
    key, signature = str(end.says["key"]), str(end.says["signature"])
    hexadecimal = re.fullmatch("[0-9a-f]{64} [0-9a-f]{128}", f"{key} {signature}")
    return hexadecimal is not None and RecordKey.holds(key, signature, end.previous.encode("ascii"))


def files_in(directory: Path) -> list[str]:
    """What is in a run's folder but for folders and the record, by names below it.

    Links, whatever they lead to, are of it, and so are folders that nobody may look into.
    """
    found: list[Path] = []

    def closed(error: OSError) -> None:
        found.append(Path(error.filename))

    for folder, folders, files in os.walk(directory, onerror=closed):
        found += [Path(folder, name) for name in files]
        found += [path for path in (Path(folder, name) for name in folders) if path.is_symlink()]
    return sorted({path.relative_to(directory).as_posix() for path in found} - {RECORD})


def hash_of(path: Path) -> str:
    """SHA-256. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _said(result: Result, directory: Path) -> Iterator[tuple[Kind, dict[str, Any]]]:
    yield "run", _opening(result)
    for record in result.rounds:
        yield "round", _round(record)
    yield (
        "outcome",
        {
            "custody": asdict(result.custody),
            "privacy": None if result.privacy is None else asdict(result.privacy),
        },
    )
    yield "files", {name: hash_of(directory / name) for name in files_in(directory)}


def _opening(result: Result) -> dict[str, Any]:
    synthetic, settings = result.synthetic, Experiment(**result.experiment)
    return {
        "record": FORMAT,
        "written": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "banks": list(result.data["banks"]),
        "parameters": result.parameters,
        "settings_sha256": hashlib.sha256(settings.to_toml().encode()).hexdigest(),
        "columns_sha256": _hash(result.data["columns"]),
        "features_sha256": _hash(result.model.feature_schema),
        "without": list(settings.without),
        "retrained_from": settings.retrained_from,
        "synthetic": None if synthetic is None else {name: synthetic[name] for name in ("review", "log_head")},
        "software": software(),
    }


def _round(record: RoundRecord) -> dict[str, Any]:
    said = asdict(record)
    return {name: said[name] for name in _OF_A_ROUND}


def _hash(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(document)).hexdigest()


def software() -> dict[str, str | None]:
    """The versions of what computed; None for a package that is not there."""
    own = {"secure_fl": __version__, "python": platform.python_version()}
    return own | {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
