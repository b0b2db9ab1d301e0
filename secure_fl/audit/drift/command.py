"""`secure-fl audit RUN_DIR --drift OLD NEW`: from two files to a verdict.

RUN_DIR/drift/report.html and drift.json hold what the banks share; RUN_DIR/drift/BANK/drift.json holds that bank's own
figures, for it alone.
"""

from __future__ import annotations

from pathlib import Path

from secure_fl.audit.drift.holdings import read_holdings
from secure_fl.audit.drift.page import render, verdict
from secure_fl.audit.drift.watching import find_drift
from secure_fl.audit.leaving import Findings, json_text, leave
from secure_fl.audit.opening import EXPERIMENT, MODEL, read_run, require_run

FOLDER, FIGURES = "drift", "drift.json"


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

    def find() -> Findings:
        experiment, model = read_run(directory)
        found = find_drift(experiment, model.intake, read_holdings(experiment, model, old, new), max_psi)
        document = found.document()
        local = {f"{name}/{FIGURES}": json_text(own) for name, own in found.local_documents().items()}
        return Findings(document, render(found, document), local, (verdict(found),), found.notes, found.failed)

    require_run(directory)
    inputs = (directory / EXPERIMENT, directory / MODEL, old, new)
    leave(directory / FOLDER, FIGURES, find, json_file=json_file, page_file=page_file, force=force, inputs=inputs)
