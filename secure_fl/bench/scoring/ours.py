"""Our designs: the rows' owner and the model's owner, with every message serialized.

A subject here takes rows as the data owner has them, peers take the network's inputs only.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from secure_fl.bench.measured import Clock
from secure_fl.bench.scoring.measured import MeasuredBatch, Steps
from secure_fl.scoring import CompiledModel, DataOwner, ModelOwner, ScoringPlan
from secure_fl.scoring.ways import PLANNERS, Way

HIDDEN: Way = "hidden"
"""Batched too, and the weights are hidden, as they are by no peer."""


class OurSubject:
    """Both owners of one model. Raises `PlanError` and `ScoringError` as the planners do."""

    def __init__(self, design: Way, model: CompiledModel, clock: Clock = time.process_time) -> None:
        started = clock()
        self._model = PLANNERS[design](model)
        self.plan_seconds = clock() - started
        self._clock = clock
        self._owner = DataOwner(self.plan)
        keys = self._owner.keys()
        self.key_bytes = len(keys)
        self._scorer = ModelOwner(self._model, keys)

    @property
    def plan(self) -> ScoringPlan:
        return self._model.plan

    @property
    def rows_per_batch(self) -> int:
        return self.plan.rows_per_batch

    @property
    def degree(self) -> int:
        return self.plan.parameters.degree

    @property
    def coeff_mod_bit_sizes(self) -> tuple[int, ...]:
        return self.plan.parameters.coeff_mod_bit_sizes

    def score(self, rows: NDArray[np.float64]) -> MeasuredBatch:
        steps = Steps(self._clock)
        with steps("encrypt"):
            (request,) = self._owner.encrypt(rows)
        with steps("score"):
            reply = self._scorer.score(request)
        with steps("open"):
            logits = self._owner.open(reply)
        return steps.measured(logits, len(request), len(reply))
