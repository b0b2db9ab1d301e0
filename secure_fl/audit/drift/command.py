"""`secure-fl audit RUN_DIR --drift OLD NEW`: from two files to a verdict.

RUN_DIR/drift/report.html and drift.json hold what the banks share; RUN_DIR/drift/BANK/drift.json holds that bank's own
figures, for it alone, and lies there only because the sandbox plays all banks.
"""

from __future__ import annotations

import json
from pathlib import Path

from secure_fl.audit.command import replace_folder
from secure_fl.audit.drift.holdings import read_holdings
from secure_fl.audit.drift.page import render, verdict
from secure_fl.audit.drift.watching import Drift, find_drift
from secure_fl.audit.opening import EXPERIMENT, MODEL, read_run
from secure_fl.errors import AuditError, ConfigurationError
from secure_fl.files import STDOUT, output_files
from secure_fl.progress import plain_console

FOLDER, PAGE, FIGURES = "drift", "report.html", "drift.json"


def run_command(
    directory: Path,
    old: Path,
    new: Path,
    *,
    max_psi: float | None = None,
    json_file: Path | None = None,
    page_file: Path | None = None,
    force: bool = False,
) -> None:
    """Compare, write the files, say what was found. Raises `AuditError` where a given limit is exceeded."""
    folder = directory / FOLDER
    if folder.exists() and not force:
        raise ConfigurationError(f"{folder} exists already and is kept as it is; --force replaces it")
    inputs = (directory / EXPERIMENT, directory / MODEL, folder, old, new)
    with output_files(json_file, page_file, force=force, inputs=inputs) as (json_target, page_target):
        experiment, model = read_run(directory)
        found = find_drift(experiment, model.intake, read_holdings(experiment, model, old, new), max_psi)
        document = found.document()
        text, page = _text(document), render(found, document)
        for target, content in ((json_target, text), (page_target, page)):
            if target:
                target.write_text(content, encoding="utf-8")
        files = {PAGE: page, FIGURES: text}
        files |= {f"{name}/{FIGURES}": _text(own) for name, own in found.local_documents().items()}
        replace_folder(folder, files)
    if json_file != STDOUT:
        _print(found, page_file or folder / PAGE)
    if found.failed:
        raise AuditError(verdict(found).rstrip(".") + f"; see {page_file or folder / PAGE}")


def _text(document: object) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _print(found: Drift, page: Path) -> None:
    console = plain_console()
    console.print(verdict(found))
    for note in found.notes:
        console.print(f"note: {note}")
    console.print(f"report: {page}")
