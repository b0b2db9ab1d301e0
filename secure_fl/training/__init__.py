"""The model and its training at one bank: the fraud model, or a module that somebody brings.

The only part of the package that knows torch.
"""

from secure_fl.training.evaluation import evaluate, examine, predict
from secure_fl.training.learner import (
    Fit,
    Learner,
    MakeModule,
    fraud_learner,
    make_learner,
    usual_learner,
    usual_tensors,
)
from secure_fl.training.local import mixed_seed, train, usable_device
from secure_fl.training.model import USUAL, FlatWeights, FraudModel, Network, flatten, initial_weights
from secure_fl.training.private import NoiseSettings, arithmetic, sample_rate, train_privately
from secure_fl.training.rows_apart import behaviour, require_rows_apart
from secure_fl.training.storage import load_model, model_bytes

__all__ = [
    "USUAL",
    "Fit",
    "FlatWeights",
    "FraudModel",
    "Learner",
    "MakeModule",
    "Network",
    "NoiseSettings",
    "arithmetic",
    "behaviour",
    "evaluate",
    "examine",
    "flatten",
    "fraud_learner",
    "initial_weights",
    "load_model",
    "make_learner",
    "mixed_seed",
    "model_bytes",
    "predict",
    "require_rows_apart",
    "sample_rate",
    "train",
    "train_privately",
    "usable_device",
    "usual_learner",
    "usual_tensors",
]
