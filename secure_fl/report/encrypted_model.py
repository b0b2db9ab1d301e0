"""A model file, planned for ciphertexts: what the model owner computes with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.report.scores import RunModel
from secure_fl.scoring.network import Layer, plain_logits
from secure_fl.scoring.plans import PlannedModel
from secure_fl.scoring.relu import Replacement
from secure_fl.scoring.rows import sent
from secure_fl.scoring.squares import compile_model
from secure_fl.scoring.ways import PLANNERS, Way
from secure_fl.training.encrypted import clip_range, stored_layers

_BLOCK = 1 << 14


@dataclass(frozen=True)
class EncryptedModel:
    """A model file, planned for ciphertexts."""

    opened: RunModel
    layers: tuple[Layer, ...]
    planned: PlannedModel
    replacement: Replacement | None
    """What polynomials in the place of ReLU changed."""

    @classmethod
    def read(cls, model: Path, training: Path | None, way: Way) -> EncryptedModel:
        """`training`: transactions that the model's owner has, which tell how far a model with ReLU reaches.

        Raises `DataError`, `ScoringError` and `PlanError`.
        """
        opened = RunModel.read(model)
        rows = None if training is None else opened.encode(training).features.astype(np.float64)
        layers = stored_layers(opened.stored, opened.schema)
        compiled = compile_model(layers, rows, clip_range(opened.schema), send_all=True)
        planned = PLANNERS[way](compiled)
        return cls(opened, layers, planned, compiled.replacement)

    def derived(self) -> dict[str, Any]:
        """For people and scripts."""
        replaced = None if self.replacement is None else asdict(self.replacement)
        return self.planned.plan.derived() | {"relu_replaced": replaced}

    def in_plain(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Logits of the same polynomial in float64, and of the model as it was trained; each [n]."""
        blocks = [features[start : start + _BLOCK] for start in range(0, len(features), _BLOCK)]
        polynomial = [self.planned.network.logits(sent(self.planned.plan, block)) for block in blocks]
        trained = [plain_logits(self.layers, block.astype(np.float64)) for block in blocks]
        return np.concatenate(polynomial), np.concatenate(trained)
