"""The fraud model and its training at one bank. The only part of the package that knows torch."""

from secure_fl.training.evaluation import evaluate, examine, predict
from secure_fl.training.local import train, usable_device
from secure_fl.training.model import FlatWeights, FraudModel, flatten, initial_weights
from secure_fl.training.private import NoiseSettings, arithmetic, sample_rate, train_privately
from secure_fl.training.storage import load_model, model_bytes

__all__ = [
    "FlatWeights",
    "FraudModel",
    "NoiseSettings",
    "arithmetic",
    "evaluate",
    "examine",
    "flatten",
    "initial_weights",
    "load_model",
    "model_bytes",
    "predict",
    "sample_rate",
    "train",
    "train_privately",
    "usable_device",
]
