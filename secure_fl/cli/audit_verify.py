"""`secure-fl audit --verify`: whether a run's record and files are what was signed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from secure_fl.cli.words import Force, Json
from secure_fl.errors import ConfigurationError, RecordError

EXAMPLE = "secure-fl audit runs/ckks --verify --key signer.pem"


def audit(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that secure-fl run wrote.")],
    verify_: Annotated[
        bool, typer.Option("--verify", help="Check the record's chain and signature, and the files that it names.")
    ] = False,
    head: Annotated[
        str | None, typer.Option(help="The record's last hash, as it was noted elsewhere when the run ended.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Whose signature counts: a public key, or a PEM file of it.  [default: yours]")
    ] = None,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Check what a finished run says of itself."""
    if not verify_:
        raise ConfigurationError("audit has nothing but --verify yet; add it")
    verify(run, head, key, json_file, force)


def verify(run: Path, head: str | None, key: str | None, json_file: Path | None, force: bool = False) -> None:
    """Say that the record of a run holds. Raises `RecordError` where it does not, which --json tells too."""
    from secure_fl.files import STDOUT, output_files
    from secure_fl.progress import plain_console
    from secure_fl.report.record_check import Verified, verify_record

    outcome: Verified | RecordError
    with output_files(json_file, force=force, inputs=[run]) as (target,):
        try:
            outcome = verify_record(run, key=key, head=head)
        except RecordError as error:
            outcome = error
        if target:
            target.write_text(json.dumps({"schema": 1, "record": _told(outcome)}, indent=1) + "\n", encoding="utf-8")
    if isinstance(outcome, RecordError):
        raise outcome
    if json_file == STDOUT:
        return
    console = plain_console()
    console.print(f"verified: {outcome.lines} lines of the record, and {outcome.files} files", soft_wrap=True)
    console.print(f"head: {outcome.head}" + ("" if head else ", compared with none that was noted"), soft_wrap=True)
    console.print(f"signed by {outcome.key}", soft_wrap=True)
    if outcome.unrecorded:
        console.print(f"not in the record: {', '.join(outcome.unrecorded)}", soft_wrap=True)


def _told(outcome: Any) -> dict[str, Any]:
    if isinstance(outcome, RecordError):
        return {"verified": False, "reason": str(outcome), "line": outcome.line, "file": outcome.file}
    return {"verified": True, **asdict(outcome)}
