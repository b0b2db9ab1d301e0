"""What the tests of attacks share: one small federation, opened once for each scheme."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from secure_fl.attacks.command import AttackSettings, attacked_experiment
from secure_fl.attacks.scene import Scene, changed, open_scene

MakeScene = Callable[..., Scene]


@pytest.fixture(scope="session")
def scene() -> MakeScene:
    """`scene("masked")`: 6,000 simulated transactions at 3 banks."""

    @cache
    def make(scheme: str, attack: str = "inversion", holders: int | None = None, witnesses: int = 0) -> Scene:
        settings = AttackSettings(dataset="simulated", rounds=2, holders=holders, witnesses=witnesses)
        experiment = attacked_experiment(attack, scheme, settings)
        return open_scene(changed(experiment, transactions=6_000), 16)

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
