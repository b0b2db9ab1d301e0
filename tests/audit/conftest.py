"""A run that audits look at, quickly: two rounds on 6,000 simulated transactions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from secure_fl import Result
from secure_fl.audit.opening import Subject


@pytest.fixture(scope="session")
def run_directory(run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited") / "run"
    run_small(scheme="masked").save(folder)
    return folder


@pytest.fixture(scope="session")
def subject(run_directory: Path) -> Subject:
    return Subject.of_run(run_directory)
