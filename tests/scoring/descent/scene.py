"""Random rows with labels, and a training in memory with every message serialized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from secure_fl.scoring.descent import DescentPlan, RowOwner, Trainer, plan_descent
from secure_fl.scoring.network import Matrix, Vector

CLIP = 3.0


def small_plan(features: int = 2, rows: int = 50, epochs: int = 2, rate: float = 1.0) -> DescentPlan:
    return plan_descent(features, rows, clip=CLIP, rate=rate, epochs=epochs)


def random_examples(rng: np.random.Generator, rows: int, features: int) -> tuple[Matrix, Vector]:
    """Standardized features and labels that follow them."""
    values = np.clip(rng.normal(0, 1, (rows, features)), -CLIP, CLIP)
    labels = (values @ rng.normal(0, 1, features) + rng.normal(0, 0.5, rows) > 0).astype(np.float64)
    return values, labels


@dataclass
class Training:
    plan: DescentPlan
    rows: Matrix
    labels: Vector
    owner: RowOwner
    trainer: Trainer
    keys: bytes

    def send_rows(self) -> Training:
        for batch in self.owner.training_rows():
            self.trainer.accept(batch)
        return self

    def step(self) -> None:
        self.owner.update(self.trainer.gradient(self.owner.request()))

    def run(self) -> Vector:
        """Bias and weights after all epochs."""
        self.send_rows()
        while self.owner.epochs_left:
            self.step()
        return self.reached()

    def reached(self) -> Vector:
        return np.concatenate([[self.owner.bias], self.owner.weights])


def training_of(plan: DescentPlan, rows: Matrix, labels: Vector) -> Training:
    owner = RowOwner(plan, rows, labels)
    keys = owner.keys()
    return Training(plan, rows, labels, owner, Trainer(plan, keys), keys)


def small_training(seed: int = 0, plan: DescentPlan | None = None) -> Training:
    plan = plan or small_plan()
    rows, labels = random_examples(np.random.default_rng(seed), plan.task.rows, plan.task.features)
    return training_of(plan, rows, labels)
