"""The `audit` command: from a run directory to the files of its audit.

RUN_DIR/audit/report.html and audit.json hold what the banks share; RUN_DIR/audit/BANK/values.html is for that bank
alone.
"""

from __future__ import annotations

from pathlib import Path

from secure_fl.audit.auditing import Asked, Audit, audit
from secure_fl.audit.leaving import Findings, leave
from secure_fl.audit.opening import EXPERIMENT, MODEL, Subject, require_run
from secure_fl.audit.page import render, render_bank, verdict
from secure_fl.progress import ShowProgress

FOLDER, FIGURES, LOCAL = "audit", "audit.json", "values.html"
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

    def find() -> Findings:
        subject = Subject.of_run(directory)
        with show_progress() as progress:
            found = audit(subject, asked, progress)
        document = found.document()
        driven = f"scores are driven most by: {', '.join(document['shap']['features'][:_SHOWN])}"
        lines = (driven, verdict(found))
        page, local = render(found, document), _local_pages(found)
        return Findings(document, page, local, lines, found.notes, bool(found.fairness.failed))

    require_run(directory)
    inputs = (directory / EXPERIMENT, directory / MODEL)
    leave(directory / FOLDER, FIGURES, find, json_file=json_file, page_file=page_file, force=force, inputs=inputs)


def _local_pages(found: Audit) -> dict[str, str]:
    """Each bank's page of its own rows, by its name in the folder."""
    return {
        f"{bank.name}/{LOCAL}": render_bank(bank.name, found.summed.features, own)
        for bank, own in zip(found.subject.banks, found.local, strict=True)
        if len(own.rows)
    }
