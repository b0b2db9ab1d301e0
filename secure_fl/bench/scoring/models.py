"""What is scored: models trained on ULB transactions before the cut in time, and all rows after it; or random ones.

The random network of 128-64-32-1 has inputs of deviation 0.5 and a clip range of +-2. Random models need no download.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl.data.datasets import open_dataset
from secure_fl.data.features import Examples, FeatureSchema, encode
from secure_fl.data.standardization import CLIP, Standardization
from secure_fl.scoring import CompiledModel, Layer, Linear, Quadratic, compile_model
from secure_fl.settings import Experiment
from secure_fl.training.layers import layers_of
from secure_fl.training.model import Square

LOGISTIC, SQUARES, RELU, RANDOM = "logistic regression", "square 16-8", "ReLU 64-32", "random 128-64-32-1"
QUICK: Mapping[str, tuple[int, ...]] = {"random 32-1": (32, 1), "random 32-16-8-1": (32, 16, 8, 1)}
SEED, EPOCHS, BATCH = 1, 10, 512
RANDOM_CLIP = 2.0
QUICK_ROWS = 200


@dataclass(frozen=True, eq=False, repr=False)
class ScoredModel:
    """A model and the rows that it scores."""

    name: str
    layers: tuple[Layer, ...]
    training: NDArray[np.float64]
    """Rows that it was trained on, float64 [n, features]."""
    clip: float
    rows: NDArray[np.float64]
    """To score, float64 [n, features]."""
    fraud: NDArray[np.bool_] | None
    """Of the rows; None where nobody knows."""

    @cached_property
    def compiled(self) -> CompiledModel:
        return compile_model(self.layers, self.training, self.clip)

    @cached_property
    def _mixed(self) -> NDArray[np.int64]:
        """Places of fraud and of other rows in turn, in a random order; once fraud is used up, the others."""
        shuffled = np.random.default_rng(SEED).permutation(len(self.rows))
        if self.fraud is None:
            return shuffled
        rank = np.empty(len(shuffled))
        for side in (self.fraud[shuffled], ~self.fraud[shuffled]):
            rank[side] = np.arange(side.sum())
        return shuffled[np.argsort(rank, kind="stable")]

    def chosen(self, count: int) -> NDArray[np.int64]:
        """Places of `count` rows, half of them fraud as far as there is any; fewer are the first of more."""
        return self._mixed[:count] if count < len(self.rows) else np.arange(len(self.rows))


def real_models() -> Iterator[ScoredModel]:
    """Logistic regression and two networks, trained here in some seconds, then the random network."""
    train, test = ulb_examples()
    training, rows = train.features.astype(np.float64), test.features.astype(np.float64)
    for name in (LOGISTIC, SQUARES, RELU):
        yield ScoredModel(name, trained(name, train), training, CLIP, rows, test.fraud)
    yield random_model(RANDOM, (128, 64, 32, 1), 2000)


def quick_models() -> Iterator[ScoredModel]:
    """Small random ones."""
    for name, widths in QUICK.items():
        yield random_model(name, widths, QUICK_ROWS, bias=0.5)


def random_model(name: str, widths: tuple[int, ...], rows: int, bias: float = 0.1) -> ScoredModel:
    """Random weights with squares between the layers, biases of that deviation, and rows for them."""
    rng = np.random.default_rng(SEED)
    layers: list[Layer] = []
    for inputs, outputs in pairwise(widths):
        if layers:
            layers.append(Quadratic(np.ones(inputs), np.zeros(inputs), np.zeros(inputs)))
        layers.append(Linear(rng.normal(0, inputs**-0.5, (outputs, inputs)), rng.normal(0, bias, outputs)))
    made_up = np.clip(rng.normal(0, 0.5, (rows, widths[0])), -RANDOM_CLIP, RANDOM_CLIP)
    return ScoredModel(name, tuple(layers), made_up, RANDOM_CLIP, made_up, None)


def ulb_examples() -> tuple[Examples, Examples]:
    """Training and test rows of all banks, pooled, as models get them."""
    dataset = open_dataset(Experiment(dataset="ulb", seed=SEED))
    parts = [bank.train for bank in dataset.banks]
    numeric = np.concatenate([part.numeric for part in parts])
    scale = Standardization(tuple(numeric.mean(axis=0).tolist()), tuple(numeric.std(axis=0).tolist()))
    schema = FeatureSchema.create(parts[0].schema, scale, dataset.key)
    train, test = ([encode(part, schema) for part in side] for side in (parts, dataset.tests))
    return Examples.pooled(train), Examples.pooled(test)


MODULES: Mapping[str, Callable[[int], tuple[nn.Module, float]]] = {
    LOGISTIC: lambda width: (nn.Sequential(nn.Linear(width, 1)), 0.0),
    SQUARES: lambda width: (
        nn.Sequential(nn.Linear(width, 16), Square(16), nn.Linear(16, 8), Square(8), nn.Linear(8, 1)),
        1e-2,
    ),
    RELU: lambda width: (
        nn.Sequential(
            nn.Linear(width, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(32, 1),
        ),
        0.0,
    ),
}  # fmt: skip
"""By the number of features: what is trained, and with how much weight decay."""


def trained(name: str, train: Examples) -> tuple[Layer, ...]:
    """The layers of one of the models on real rows."""
    torch.manual_seed(SEED)
    module, decay = MODULES[name](train.features.shape[1])
    rows, right = torch.tensor(train.features), torch.tensor(train.fraud, dtype=torch.float32)
    draws = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3, eps=1e-3, weight_decay=decay)
    loss_of = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(10.0))
    with _one_thread():
        for _ in range(EPOCHS):
            for chosen in torch.split(torch.randperm(len(rows), generator=draws), BATCH):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(module(rows[chosen]).squeeze(-1), right[chosen])
                loss.backward()
                nn.utils.clip_grad_norm_(module.parameters(), 1.0)
                optimizer.step()
    return layers_of(module.eval())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small layers are slower on two threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
