"""What all tests share: experiments small enough to run in half a second, each of them run only once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from secure_fl import Experiment, Result, run_federation

settings.register_profile("secure_fl", deadline=None)  # no test fails because a machine is slow
settings.load_profile("secure_fl")


def _small(**changes: Any) -> Experiment:
    return Experiment(**{"transactions": 6_000, "fraud_share": 0.02, "rounds": 2, **changes})


@pytest.fixture(scope="session")
def small() -> Callable[..., Experiment]:
    """`small(rounds=1, ...)`: an experiment on 6,000 simulated transactions at 3 banks."""
    return _small


@pytest.fixture(scope="session")
def run_small() -> Callable[..., Result]:
    """The result of `small(...)`; the same settings are run once in a session."""
    done: dict[str, Result] = {}

    def run(**changes: Any) -> Result:
        experiment = _small(**changes)
        key = experiment.to_toml()
        if key not in done:
            done[key] = run_federation(experiment)
        return done[key]

    return run
