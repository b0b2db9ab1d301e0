"""What all tests share: experiments small enough to run in half a second, each of them run only once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from secure_fl import Experiment, Result, run_federation

settings.register_profile("secure_fl", deadline=None)  # no test fails because a machine is slow
settings.load_profile("secure_fl")


@pytest.fixture(scope="session", autouse=True)
def _no_files_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stores, keys and records go to a folder of this session, also those of commands that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("SECURE_FL_STORE", str(home / "store"))
        patch.setenv("SECURE_FL_REVIEW", str(home / "review"))
        patch.setenv("SECURE_FL_KEY", str(home / "federation.key"))
        patch.setenv("SECURE_FL_RECORD_KEY", str(home / "record.key"))
        yield


def _small(**changes: Any) -> Experiment:
    return Experiment(**{"transactions": 6_000, "fraud_share": 0.02, "rounds": 2, **changes})


@pytest.fixture(scope="session", autouse=True)
def _ledgers_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test may touch the ledgers of whoever runs it."""
    folder = tmp_path_factory.mktemp("ledgers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECURE_FL_LEDGERS", str(folder / "store"))
        patch.setenv("SECURE_FL_LEDGER_NOTES", str(folder / "notes"))
        yield


@pytest.fixture
def ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of ledgers for one test, empty at first."""
    monkeypatch.setenv("SECURE_FL_LEDGERS", str(tmp_path / "life" / "store"))
    monkeypatch.setenv("SECURE_FL_LEDGER_NOTES", str(tmp_path / "life" / "notes"))
    return tmp_path / "life" / "store"


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


class FakeClock:
    """A clock that only moves when somebody spends time on it, and remembers who did."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()

    def __call__(self) -> float:
        return float(self.spent.total())

    def spend(self, who: str, seconds: int) -> None:
        self.spent[who] += seconds


@pytest.fixture
def clock() -> FakeClock:
    """`clock()` tells the time, `clock.spend("bank-1", 5)` lets it pass, `clock.spent` says who let it pass."""
    return FakeClock()
