"""The column `probability` beside the scores of `secure-fl score --calibration FILE`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.calibration.stored import StoredMap
from secure_fl.audit.fairness import to_log_odds
from secure_fl.errors import DataError
from secure_fl.federation.global_model import weights_sha256
from secure_fl.report.scores import Encoded, RunModel


class Calibrated:
    """What share of rows with such a score is fraud, as the file has learned it."""

    names: Sequence[str] = ("probability",)

    def __init__(self, model: RunModel, file: Path) -> None:
        """Raises `DataError` where the file is of another model, or as `StoredMap.read` does."""
        self._file, stored = file, StoredMap.read(file)
        if stored.model != weights_sha256(model.stored.weights):
            raise DataError(f"{file} is the calibration of another model; make one with secure-fl audit --calibrate")
        self._map = stored.fitted

    def columns(self, rows: Encoded, fraud: NDArray[np.float64]) -> Sequence[Sequence[str]]:
        return [[f"{each:.9g}" for each in self._map.probabilities(to_log_odds(fraud)).tolist()]]

    def document(self) -> Mapping[str, Any]:
        return {"calibration": {"file": str(self._file), "map": asdict(self._map)}}
