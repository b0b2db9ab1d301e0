"""Plans of encrypted training: what the owner of the rows and the trainer must agree on before anything is encrypted.

A plan is public. It follows from its task alone, so only the task travels, and whoever receives it plans again: no
parameters that the planner would not choose can be slipped in.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from secure_fl.scoring.descent.error_bound import DescentScales, StageScales, stage_scales
from secure_fl.scoring.descent.task import DescentTask
from secure_fl.scoring.hazmat.objects import chain_of
from secure_fl.scoring.noise import FAILURE_BITS
from secure_fl.scoring.parameters import CkksParameters

VERSION = 1


@dataclass(frozen=True)
class DescentPlan:
    """Public."""

    task: DescentTask
    parameters: CkksParameters
    scales: DescentScales
    gradient_error: float
    """On one epoch's gradient, Euclidean, but for 2**-FAILURE_BITS a session."""
    error_bound: float
    """On weights and bias together after all epochs, against the same descent in float64, Euclidean."""

    @property
    def rows_per_batch(self) -> int:
        return self.parameters.slots

    @property
    def batches(self) -> int:
        return -(-self.task.rows // self.rows_per_batch)

    def rows_of(self, batch: int) -> int:
        """Of a batch: as many as fit, and the rest in the last one."""
        return min(self.rows_per_batch, self.task.rows - batch * self.rows_per_batch)

    @property
    def reach(self) -> float:
        """The largest logit that a row may have: the interval, less what plain descent may be ahead."""
        return self.task.interval - self.error_bound * self.task.longest

    @cached_property
    def stages(self) -> StageScales:
        return stage_scales(chain_of(self.parameters), self.scales)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the task."""
        return hashlib.sha256(b"descent" + self.to_json()).digest()

    def to_json(self) -> bytes:
        """As it travels; `planning.read_plan` reads it."""
        return json.dumps(asdict(self.task) | {"version": VERSION}, sort_keys=True).encode()

    def derived(self) -> dict[str, Any]:
        """For people and scripts."""
        return {
            "poly_modulus_degree": self.parameters.degree,
            "coeff_mod_bit_sizes": list(self.parameters.coeff_mod_bit_sizes),
            "security": self.parameters.security,
            "batches": self.batches,
            "scale_bits": asdict(self.scales),
            "gradient_error": self.gradient_error,
            "error_bound": self.error_bound,
            "largest_logit": self.reach,
            "sigmoid": asdict(self.task.sigmoid),
            "failure_probability": f"2^-{FAILURE_BITS} a session",
        }
