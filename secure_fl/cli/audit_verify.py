"""`secure-fl audit --verify`: whether a run's record and files are what was signed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from secure_fl.errors import RecordError


def verify(run: Path, head: str | None, key: str | None, json_file: Path | None, force: bool = False) -> None:
    """Say that the record of a run holds. Raises `RecordError` where it does not, which --json tells too."""
    from secure_fl.data.transactions import quoted
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
        console.print(f"not in the record: {quoted(outcome.unrecorded)}", soft_wrap=True)


def _told(outcome: Any) -> dict[str, Any]:
    if isinstance(outcome, RecordError):
        return {"verified": False, "reason": str(outcome), "line": outcome.line, "file": outcome.file}
    return {"verified": True, **asdict(outcome)}
