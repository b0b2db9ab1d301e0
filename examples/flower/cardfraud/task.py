"""The app's own model and rows, with nothing of secure sums in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl import Experiment
from secure_fl.data.datasets import Dataset, open_dataset

FEATURES = 24
Rows = tuple[NDArray[np.float32], NDArray[np.float32]]


def make_model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.BatchNorm1d(FEATURES), nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, 1))


def rows_of_bank(number: int, banks: int) -> Rows:
    """Simulated transactions; a bank with rows of its own reads them here."""
    return _rows(_simulated(banks).banks[number].train)


def test_rows(banks: int) -> Rows:
    """Later transactions of all banks, for whoever runs the federation."""
    tests = [_rows(raw) for raw in _simulated(banks).tests]
    return np.concatenate([x for x, _ in tests]), np.concatenate([y for _, y in tests])


def train(model: nn.Module, rows: Rows, seed: int, epochs: int = 2) -> float:
    """Train in place; the last loss."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    x, y = map(torch.from_numpy, rows)
    loss_of = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(5.0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(x)), 256):
            optimizer.zero_grad()
            loss = loss_of(model(x[batch]).squeeze(1), y[batch])
            loss.backward()
            optimizer.step()
    return float(loss.detach())


def auprc(model: nn.Module, rows: Rows) -> float:
    from sklearn.metrics import average_precision_score  # what only the server needs

    x, y = rows
    model.eval()
    with torch.no_grad():
        return float(average_precision_score(y, model(torch.from_numpy(x)).squeeze(1).numpy()))


def _simulated(banks: int) -> Dataset:
    return open_dataset(Experiment(transactions=20_000, fraud_share=0.02, banks=banks, seed=1))


def _rows(raw: Any) -> Rows:
    """Amounts and times span decades, so their logarithms go in."""
    values = np.asarray(raw.numeric, dtype=np.float64)
    logarithms = np.sign(values) * np.log1p(np.abs(values))
    return logarithms.astype(np.float32), np.asarray(raw.fraud, dtype=np.float32)
