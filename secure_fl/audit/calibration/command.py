"""`secure-fl audit RUN_DIR --calibrate`: RUN_DIR/calibration/report.html, and calibration.json, which `score` reads."""

from __future__ import annotations

from pathlib import Path

from secure_fl.audit.calibration.calibrating import calibrate
from secure_fl.audit.calibration.page import render, verdict
from secure_fl.audit.leaving import Findings, leave
from secure_fl.audit.opening import EXPERIMENT, MODEL, Subject

FOLDER, FIGURES = "calibration", "calibration.json"


def run_command(
    directory: Path, *, json_file: Path | None = None, page_file: Path | None = None, force: bool = False
) -> None:
    """Calibrate, write the files, say what was found."""

    def find() -> Findings:
        found = calibrate(Subject.of_run(directory))
        document = found.document()
        return Findings(document, render(found, document), {}, (verdict(found),), found.notes, failed=False)

    inputs = (directory / EXPERIMENT, directory / MODEL)
    leave(directory / FOLDER, FIGURES, find, json_file=json_file, page_file=page_file, force=force, inputs=inputs)
