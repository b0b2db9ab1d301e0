"""The figures of each seed on disk: what was measured is read back, and a stopped measurement goes on.

Rules: the file is JSON with one line for each seed, written whole after each. Only figures that the same settings, the
same code and the same libraries gave are put together; everything else about the claims is computed from them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from secure_fl.bench.claims.alarms import Noticed
from secure_fl.bench.claims.measuring import Claims, SeedRun
from secure_fl.bench.claims.positives import Case, Positives
from secure_fl.bench.claims.scene import StreamSettings
from secure_fl.bench.claims.stream import Detection
from secure_fl.bench.machine import describe_machine
from secure_fl.errors import ConfigurationError
from secure_fl.files import output_file
from secure_fl.settings import Steps

SCHEMA = 2
Record = TypeVar("Record", Positives, Detection, Noticed)

_MEASURING = (
    "codec/quantization.py",
    "data/**/*.py",
    "federation/bank.py",
    "federation/baselines.py",
    "federation/global_model.py",
    "federation/history.py",
    "federation/opening.py",
    "federation/rounds.py",
    "federation/run.py",
    "settings/*.py",
    "training/**/*.py",
    *(
        f"bench/claims/{part}.py"
        for part in ("alarms", "delays", "library", "positives", "retraining", "scene", "stream")
    ),
)
_LIBRARIES = ("numpy", "river", "torch")


def code_digest() -> str:
    """SHA-256 of the code and the library versions that the figures depend on."""
    package = Path(str(files("secure_fl")))
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _MEASURING for path in package.glob(pattern)}):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}\0".encode())
    return digest.hexdigest()


def describe_environment() -> dict[str, str]:
    """What the figures came from; seconds play no part."""
    machine = describe_machine()
    return {name: machine[name] for name in ("processor", "python")} | {name: version(name) for name in _LIBRARIES}


def save_claims(claims: Claims, path: Path) -> None:
    """Write the file whole, or leave it as it was."""
    document = {
        "schema": SCHEMA,
        "command": claims.command,
        "code": claims.code,
        "environment": claims.environment,
        "settings": _settings(claims.cases, claims.stream),
        "summary": claims.summary(),
    }
    head = "".join(f"{json.dumps(name)}: {json.dumps(value)},\n" for name, value in document.items())
    runs = ",\n".join(json.dumps(_run_to_dict(run)) for run in claims.runs)
    with output_file(path, force=True) as target:  # what it held is in `claims`
        target.write_text(f'{{\n{head}"runs": [\n{runs}\n]\n}}\n', encoding="utf-8")


def load_claims(path: Path) -> Claims:
    """What `save_claims` wrote. Raises `ConfigurationError` where the file is something else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise ValueError
        settings = document["settings"]
        training = Steps(**settings["stream"].pop("training"))
        return Claims(
            command=document["command"],
            cases=tuple(Case(c["dataset"], c["split"], _pairs(c["settings"])) for c in settings["cases"]),
            stream=StreamSettings(**settings["stream"], training=training),
            runs=tuple(_run_from_dict(run) for run in document["runs"]),
            environment=document["environment"],
            code=document["code"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{path} holds no figures of this benchmark; name another file") from None


def require_same(stored: Claims, claims: Claims, path: Path) -> None:
    """Raises `ConfigurationError` where stored figures cannot be put together with what would be measured now."""
    for what, ours, theirs in (
        ("settings", _settings(claims.cases, claims.stream), _settings(stored.cases, stored.stream)),
        ("code or libraries", claims.code, stored.code),
    ):
        if ours != theirs:
            raise ConfigurationError(f"{path} holds figures of other {what}; move it away, or name another file")


def _settings(cases: Sequence[Case], stream: StreamSettings) -> dict[str, Any]:
    """As they are after a way through JSON."""
    settings: dict[str, Any] = {"cases": [asdict(case) for case in cases], "stream": asdict(stream)}
    settings["stream"]["training"] = stream.training.model_dump()
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _pairs(settings: Sequence[Sequence[Any]]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value) for name, value in settings)


def _run_to_dict(run: SeedRun) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "fraud_share": run.fraud_share,
        "false_positives": _to_table(run.positives, Positives),
        "detections": _to_table(run.detections, Detection),
        "drift_alarms": _to_table(run.noticed, Noticed),
    }


def _run_from_dict(document: dict[str, Any]) -> SeedRun:
    return SeedRun(
        document["seed"],
        document["fraud_share"],
        tuple(_from_table(document["false_positives"], Positives)),
        tuple(_from_table(document["detections"], Detection)),
        tuple(_from_table(document["drift_alarms"], Noticed)),
    )


def _to_table(records: Sequence[Record], kind: type[Record]) -> dict[str, Any]:
    """Names once, then a list of values for each record."""
    columns = [field.name for field in fields(kind)]
    return {"columns": columns, "rows": [[getattr(record, name) for name in columns] for record in records]}


def _from_table(table: dict[str, Any], kind: Callable[..., Record]) -> list[Record]:
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    lists = ({name: tuple(v) if isinstance(v, list) else v for name, v in row.items()} for row in rows)
    return [kind(**row) for row in lists]
