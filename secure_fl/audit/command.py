"""The `audit` command: from a run directory to the files of its audit.

RUN_DIR/audit/report.html and audit.json hold what the banks share; RUN_DIR/audit/BANK/values.html is for that bank
alone, and lies there only because the sandbox plays all banks.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from secure_fl.audit.auditing import Asked, Audit, audit
from secure_fl.audit.opening import EXPERIMENT, MODEL, Subject
from secure_fl.audit.page import render, render_bank, verdict
from secure_fl.errors import AuditError, ConfigurationError
from secure_fl.files import STDOUT, output_files, staged_directory
from secure_fl.progress import ShowProgress, plain_console

FOLDER, PAGE, FIGURES, LOCAL = "audit", "report.html", "audit.json", "values.html"
_SHOWN = 5
"""Features that are printed."""


def run_command(
    directory: Path,
    asked: Asked,
    show_progress: ShowProgress,
    *,
    json_file: Path | None = None,
    page_file: Path | None = None,
    force: bool = False,
) -> None:
    """Audit, write the files, say what was found. Raises `AuditError` where a gap is larger than allowed."""
    folder = directory / FOLDER
    if folder.exists() and not force:
        raise ConfigurationError(f"{folder} exists already and is kept as it is; --force replaces it")
    inputs = (directory / EXPERIMENT, directory / MODEL, folder)
    with output_files(json_file, page_file, force=force, inputs=inputs) as (json_target, page_target):
        subject = Subject.of_run(directory)
        with show_progress() as progress:
            found = audit(subject, asked, progress)
        document = found.document()
        text, page = json.dumps(document, indent=1, allow_nan=False) + "\n", render(found, document)
        for target, content in ((json_target, text), (page_target, page)):
            if target:
                target.write_text(content, encoding="utf-8")
        replace_folder(folder, {FIGURES: text, PAGE: page} | _local_pages(found))
    if json_file != STDOUT:
        _print(found, document["shap"]["features"], page_file or folder / PAGE)
    if found.fairness.failed:
        raise AuditError(verdict(found).rstrip(".") + f"; see {page_file or folder / PAGE}")


def replace_folder(folder: Path, files: Mapping[str, str]) -> None:
    """A folder of these files, by their names in it, in the place of an earlier one. Raises `ConfigurationError`."""
    if folder.is_symlink() or folder.is_file():
        raise ConfigurationError(f"{folder} is no folder of an audit; move it away")
    if folder.exists():
        shutil.rmtree(folder)
    with staged_directory(folder) as staging:
        for name, content in files.items():
            (staging / name).parent.mkdir(exist_ok=True)
            (staging / name).write_text(content, encoding="utf-8")


def _local_pages(found: Audit) -> dict[str, str]:
    """Each bank's page of its own rows, by its name in the folder."""
    return {
        f"{bank.name}/{LOCAL}": render_bank(bank.name, found.summed.features, own)
        for bank, own in zip(found.subject.banks, found.local, strict=True)
        if len(own.rows)
    }


def _print(found: Audit, features: list[str], page: Path) -> None:
    console = plain_console()
    console.print(f"scores are driven most by: {', '.join(features[:_SHOWN])}")
    console.print(verdict(found))
    for note in found.notes:
        console.print(f"note: {note}")
    console.print(f"report: {page}")
