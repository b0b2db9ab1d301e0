"""A model file and transactions of simulated banks, quickly: weights are drawn, not trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from secure_fl.data import (
    FeatureSchema,
    FederationKey,
    Simulation,
    Standardization,
    moments,
    numeric_features,
    simulate,
    write_simulated,
)
from secure_fl.report.outputs import SCHEMA, SEED
from secure_fl.training import Network, fraud_learner, model_bytes

FAKE_SEED = 3


@dataclass(frozen=True)
class ScoredRun:
    """Files of a run, and rows to score."""

    model: Path
    rows: Path
    training: Path


def scored_run(folder: Path, network: Network, classes: int = 2) -> ScoredRun:
    """A model of these layers, and two tables of labelled rows."""
    rows = simulate(Simulation(transactions=600, fraud_share=0.05, days=20, customers=40, terminals=20, seed=FAKE_SEED))
    key = FederationKey.for_simulation(FAKE_SEED)
    schema = FeatureSchema.create(rows.schema, Standardization.from_moments(moments(numeric_features(rows))), key)
    learner = fraud_learner(0.0, classes=classes, network=network)
    weights = np.random.default_rng(FAKE_SEED).normal(0, 0.2, learner.parameters).astype(np.float32)
    made = ScoredRun(folder / "model.safetensors", folder / "rows.csv", folder / "training.csv")
    made.model.write_bytes(model_bytes(weights, {SCHEMA: schema.to_dict(), SEED: FAKE_SEED}, learner))
    write_simulated(rows.take(slice(0, 300)), made.rows)
    write_simulated(rows.take(slice(300, 600)), made.training)
    return made
