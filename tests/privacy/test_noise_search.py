"""Somebody with nothing but the released model searches the seeds of the banks' noise, as could once be done.

torch's generator keeps 32 bits of a seed on a CPU, which is few enough to try them all: each candidate's noise is
correlated with the model's change after one round, a secure sum over three banks. The true seeds stood out at z = 20.
Here the searched windows hold whatever 32 bits of the keys a careless engineer might pass on.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from secure_fl import Experiment, privacy, run_federation
from secure_fl.training import grid, initial_weights, train_privately
from secure_fl.training.keystream import Keystream

VALUES = 8_192
"""Weights of the first layer: the first noise that is drawn."""
WINDOW = 2**8
FOUND = 6.5
"""Of the 7,000 wrong seeds that are tried, one goes beyond with probability 3e-7."""


def released(monkeypatch: pytest.MonkeyPatch) -> tuple[NDArray[np.float64], list[bytes]]:
    """The first layer's change, which is public, standardized; and, for the judge only, the banks' keys."""
    keys: list[bytes] = []

    def watched(*arguments: Any, key: bytes, **options: Any) -> Any:
        keys.append(key)
        return train_privately(*arguments, key=key, **options)

    monkeypatch.setattr(privacy, "train_privately", watched)
    settings: dict[str, Any] = {"dataset": "simulated", "transactions": 20_000, "rounds": 1, "scheme": "masked"}
    experiment = Experiment(**settings, noise_multiplier=1.0, delta=1e-5, dropout=0.0, seed=7)
    model = run_federation(experiment).model
    change = (model.weights.astype(np.float64) - initial_weights(experiment.seed))[:VALUES]
    return (change.mean() - change) / change.std(), keys


def seeds_of(key: bytes) -> set[int]:
    """What 32 bits of a key, or of what is derived from it, could have become a seed."""
    noise = hmac.digest(key, b"secure_fl private training, noise, draw 0\x01", hashlib.sha256)
    mixed = np.random.SeedSequence([int.from_bytes(key[:8], "little") >> 1, 0]).generate_state(1, np.uint64)[0]
    parts = [key[:4], key[-4:], noise[:4], noise[-4:]]
    return {int.from_bytes(part, order) for part in parts for order in ("little", "big")} | {int(mixed >> 1) % 2**32}


def best(target: NDArray[np.float64], seed: int) -> tuple[float, int]:
    """The largest z of a window of seeds around one, and whose it is."""
    start = seed // WINDOW * WINDOW
    aim = torch.from_numpy(target.astype(np.float32))
    generator = torch.Generator()
    scores = [
        float(aim @ torch.normal(0.0, 1.0, (VALUES,), generator=generator.manual_seed(candidate)))
        for candidate in range(start, start + WINDOW)
    ]
    return max(scores) / math.sqrt(VALUES), start + int(np.argmax(scores))


@pytest.mark.slow
def test_no_search_of_seeds_finds_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    target, keys = released(monkeypatch)
    assert len(set(keys)) == 3
    for seed in {seed for key in keys for seed in seeds_of(key)}:
        assert best(target, seed)[0] < FOUND


@pytest.mark.slow
def test_the_search_finds_noise_of_torchs_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: torch's generator under 32 bits of the key, and nothing else changed."""

    class Searchable(grid.GridOptimizer):
        def __init__(self, optimizer: torch.optim.Optimizer, *, noise: Keystream, **options: Any) -> None:
            super().__init__(optimizer, noise=noise, **options)
            self.weak = torch.Generator().manual_seed(int.from_bytes(noise.key[:4], "little"))

        def add_noise(self) -> None:
            for p in self.params:
                noise = torch.normal(0.0, self.noise_multiplier * grid.STEPS, p.shape, generator=self.weak)
                p.grad = (p.summed_grad + noise) * (self.max_grad_norm / grid.STEPS)

    monkeypatch.setattr(grid, "GridOptimizer", Searchable)
    target, keys = released(monkeypatch)
    for key in keys:
        seed = int.from_bytes(key[:4], "little")
        score, where = best(target, seed)
        assert where == seed
        assert score > 12
