"""Runs that drafts are made of: three schemes on the same rows, with scores that no machine changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from secure_fl import Result
from secure_fl.audit.dpia.facts import Facts, read_facts
from secure_fl.data.metrics import Scores

RUNS: dict[str, dict[str, Any]] = {
    "plaintext": {"scheme": "plaintext"},
    "ckks": {"scheme": "ckks"},
    "masked": {"scheme": "masked", "epsilon": 3.0, "delta": 1e-5, "rounds": 2},
}


def scored(result: Result) -> Result:
    """The same result with scores that are the same on every machine, and under whatever noise."""
    alone = tuple(replace(bank, final=Scores(0.4 + n / 100, 0.8, 400)) for n, bank in enumerate(result.local))
    central = replace(result.central, final=Scores(0.6, 0.9, 100))
    return replace(result, final=Scores(0.5, 0.875, 200), local=alone, central=central)


@pytest.fixture(scope="session")
def clear_run(run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run in the clear."""
    return scored(run_small(**RUNS["plaintext"])).save(tmp_path_factory.mktemp("clear") / "run")


@pytest.fixture(scope="session")
def run_folders(
    clear_run: Path, run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Each run's folder, by its name in `RUNS`."""
    folder = tmp_path_factory.mktemp("drafted")
    with pytest.MonkeyPatch.context() as patch:  # a store of their own: what other tests spent is not theirs
        patch.setenv("SECURE_FL_LEDGERS", str(folder / "ledgers"))
        patch.setenv("SECURE_FL_LEDGER_NOTES", str(folder / "notes"))
        saved = {name: scored(run_small(**RUNS[name])).save(folder / name) for name in ("ckks", "masked")}
    return {"plaintext": clear_run, **saved}


@pytest.fixture(scope="session")
def facts(clear_run: Path) -> Facts:
    """Of the run in the clear."""
    return read_facts(clear_run)


@pytest.fixture
def copy(clear_run: Path, tmp_path: Path) -> Path:
    """The run in the clear, to spoil or to add to."""
    return Path(shutil.copytree(clear_run, tmp_path / "run"))
