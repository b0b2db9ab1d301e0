"""Random models and rows, and a session in memory with every message serialized."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from secure_fl.scoring import (
    DataOwner,
    Layer,
    Linear,
    ModelOwner,
    PlannedModel,
    Quadratic,
    Relu,
    compile_model,
    plan_batched,
    plan_single,
)
from secure_fl.scoring.network import Matrix, Vector

CLIP = 4.0


def random_layers(rng: np.random.Generator, widths: tuple[int, ...], relu: bool = False) -> list[Layer]:
    """Linear layers of these widths (inputs first) with an activation between each two."""
    layers: list[Layer] = []
    for inputs, outputs in itertools.pairwise(widths):
        if layers:
            square = rng.normal(0, 0.3, inputs)
            layers.append(Relu() if relu else Quadratic(square, rng.normal(0, 0.5, inputs), rng.normal(0, 0.1, inputs)))
        layers.append(Linear(rng.normal(0, 1 / np.sqrt(inputs), (outputs, inputs)), rng.normal(0, 0.2, outputs)))
    return layers


def random_rows(rng: np.random.Generator, count: int, features: int) -> Matrix:
    return np.clip(rng.normal(0, 1, (count, features)), -CLIP, CLIP)


def rows_at_the_edge(rng: np.random.Generator, count: int, features: int) -> Matrix:
    """Corners of the clip range, a third of them with some features inside."""
    rows = CLIP * rng.choice([-1.0, 1.0], (count, features))
    inside = rng.random((count, features)) < 0.3
    inside[count // 3 :] = False
    rows[inside] = rng.uniform(-CLIP, CLIP, int(inside.sum()))
    return rows


@dataclass
class Session:
    model: PlannedModel
    owner: DataOwner
    scorer: ModelOwner
    keys: bytes

    def score(self, rows: Matrix) -> Vector:
        return np.concatenate([self.owner.open(self.scorer.score(request)) for request in self.owner.encrypt(rows)])

    def errors(self, rows: Matrix) -> Vector:
        plain = self.model.network.logits(rows[:, list(self.model.plan.positions)])
        return np.abs(self.score(rows) - plain)


def open_session(model: PlannedModel) -> Session:
    owner = DataOwner(model.plan)
    keys = owner.keys()
    return Session(model, owner, ModelOwner(model, keys), keys)


def planned(seed: int, widths: tuple[int, ...], single: bool = False, tolerance: float = 1e9) -> PlannedModel:
    rng = np.random.default_rng(seed)
    compiled = compile_model(random_layers(rng, widths), random_rows(rng, 500, widths[0]), CLIP)
    return (plan_single if single else plan_batched)(compiled, tolerance)


def session_of(seed: int, widths: tuple[int, ...], single: bool = False, tolerance: float = 1e9) -> Session:
    return open_session(planned(seed, widths, single, tolerance))
