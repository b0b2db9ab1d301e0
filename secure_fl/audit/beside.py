"""What `secure-fl score` writes beside scores: calibrated probabilities, reasons, or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from secure_fl.audit.calibration.beside import Calibrated
from secure_fl.audit.reasons import Reasons
from secure_fl.report.scores import Beside, RunModel


@dataclass(frozen=True)
class Wanted:
    """What a person asked for; makes it once the model is known."""

    calibration: Path | None
    """File of a calibration; None: no probabilities."""
    reasons: int | None
    """Of each row; None: none."""
    history: Path | None
    note: Callable[[str], None]
    """Is told what reasons are relative to."""

    def __call__(self, model: RunModel) -> list[Beside]:
        """Raises as `Calibrated` and `Reasons` do."""
        made: list[Beside] = []
        if self.calibration is not None:
            made.append(Calibrated(model, self.calibration))
        if self.reasons is not None:
            explained = Reasons(model, self.reasons, self.history)
            self.note(f"reasons are relative to {explained.relative_to}")
            made.append(explained)
        return made
