"""A small Flower app, and one call that runs it: what the tests of `transport.flower` look at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from flwr.app import Context
from flwr.serverapp.strategy import FedAvg, Result
from numpy.typing import NDArray

from secure_fl.secagg import simulate
from secure_fl.transport.flower import SecureMod, SecureStrategy
from secure_fl.transport.flower.memory import NodeMemory
from secure_fl.transport.flower.terms import Model, Terms
from tests.transport.flower_grid import Arrays, MemoryGrid, record, simulated, toy_app

SCHEMES = ("plaintext", "additive", "masked", "ckks", "bfv", "rlwe")
HOLDERS = {"ckks": 1, "bfv": 1, "rlwe": 1, "additive": 2}
"""Nodes beside the banks."""
MOST = 512
START: Arrays = {
    "w": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "half": np.ones(3, dtype=np.float16),
    "b": np.zeros(2),
    "count": np.array(7),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 3), dtype=np.float32),
}
Train = Callable[[Arrays, Context], tuple[Arrays, dict[str, Any]]]
logging.getLogger("flwr").setLevel(logging.CRITICAL)


def number_of(context: Context) -> int:
    number = context.node_config["partition-id"]
    assert isinstance(number, int)
    return number


def examples_of(bank: int) -> int:
    return 100 * (bank + 1)


def trained(arrays: Arrays, bank: int) -> dict[str, NDArray[Any]]:
    """What a bank makes of the global arrays."""
    rng = np.random.default_rng([bank, abs(round(1e6 * float(np.sum(arrays["b"]))))])
    moved = {
        name: (array + rng.normal(scale=0.1, size=array.shape)).astype(array.dtype)
        for name, array in arrays.items()
        if array.dtype.kind == "f"
    }
    return {**arrays, **moved, "count": arrays["count"] + bank, "flags": np.array([True, bank == 2])}


def train(arrays: Arrays, context: Context) -> tuple[Arrays, dict[str, Any]]:
    bank = number_of(context)
    return trained(arrays, bank), {"num-examples": examples_of(bank), "loss": 0.25 * bank, "secret": 0.123456789}


@dataclass
class Federation:
    """A grid, and a strategy that was started on it."""

    grid: MemoryGrid
    strategy: SecureStrategy
    result: Result

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: array.numpy() for name, array in self.result.arrays.items()}

    def values(self, node: int) -> NDArray[np.int64]:
        """A bank's quantized update, which its node keeps."""
        return NodeMemory(self.grid.context(node)).values.astype(np.int64)

    def summed(self, scheme: str, banks: list[int], before: Arrays = START) -> dict[str, NDArray[Any]]:
        """The arrays after a round whose sum `secagg.simulate` makes of the same integers, in memory; of two
        banks, which it refuses, their plain sum.
        """
        names = tuple(f"bank-{number + 1}" for number in range(3))
        model = Model(terms(scheme, names), before)
        rows = np.stack([self.values(bank + 1) for bank in banks])
        total = simulate(scheme, rows, 16).total if len(banks) > 2 else rows.sum(axis=0)
        return model.decode(total, len(banks))[0]


def terms(scheme: str, names: tuple[str, ...], clip: float = 1.0) -> Terms:
    return Terms(scheme, 16, None, names, clip, MOST, "num-examples")


def grid_of(
    scheme: str,
    train: Train = train,
    banks: int = 3,
    mod: Any = None,
    configs: Sequence[Mapping[str, Any]] | None = None,
) -> MemoryGrid:
    app = toy_app(train, [mod or SecureMod(metrics=["loss"], schemes=SCHEMES)], **{"num-examples": 41, "loss": 0.5})
    return MemoryGrid(app, configs or simulated(3 + HOLDERS.get(scheme, 0)))


def federated(
    scheme: str,
    grid: MemoryGrid | None = None,
    rounds: int = 1,
    start: Arrays = START,
    strategy: Any = None,
    **settings: Any,
) -> Federation:
    grid = grid or grid_of(scheme)
    wrapped = strategy or FedAvg(min_available_nodes=2, min_train_nodes=2, min_evaluate_nodes=2)
    secure = SecureStrategy(wrapped, scheme, **{"most_examples": MOST, "wait_seconds": 0.0, **settings})
    return Federation(grid, secure, secure.start(grid, record(start), num_rounds=rounds))


Said = Callable[[], str]


def listening(caplog: pytest.LogCaptureFixture) -> Iterator[Said]:
    """What the server and the nodes log; Flower's own logger hands nothing on."""
    logger = logging.getLogger("flwr.secure_fl")
    logger.addHandler(caplog.handler)
    logger.setLevel(logging.INFO)
    yield lambda: caplog.text
    logger.removeHandler(caplog.handler)
    logger.setLevel(logging.NOTSET)
