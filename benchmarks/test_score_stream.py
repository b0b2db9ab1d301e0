"""Five million rows scored in a stream: memory, and seconds beside a loop over rows.

.venv/bin/python -m pytest benchmarks/test_score_stream.py -s
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from benchmarks.network import peak_bytes
from secure_fl import Experiment, run_federation
from secure_fl.data import Simulation, simulate, write_simulated
from secure_fl.report.scores import RunModel

ROWS, LOOPED = 5_000_000, 2_000
COLUMNS = {"label": "fraud", "time": "time", "amount": "amount", "categorical": ("category",)}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    write_simulated(simulate(Simulation(transactions=ROWS, seed=7)), path)
    return path


@pytest.mark.parametrize(("columns", "gigabytes"), [(COLUMNS, 1.0), (COLUMNS | {"identifiers": ("customer",)}, 1.5)])
def test_memory_stays_and_a_loop_over_rows_takes_five_times_as_long(
    rows: Path, tmp_path: Path, columns: dict[str, object], gigabytes: float
) -> None:
    """The second model looks at the past of customers: memory then holds 37 days of rows too, here a fifth of all."""
    few = tmp_path / "few.csv"
    write_simulated(simulate(Simulation(transactions=6_000, fraud_share=0.03, seed=7)), few)
    run_federation(Experiment(dataset=str(few), rounds=1, scheme="plaintext", **columns)).save(tmp_path / "run")  # type: ignore[arg-type]
    model, out = tmp_path / "run" / "model.safetensors", tmp_path / "scores.csv"

    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "secure_fl", "score", str(model), str(rows), "--out", str(out)])
    peak = 0
    while process.poll() is None:
        with suppress(ValueError):  # it ends at this moment
            peak = peak_bytes(process.pid)
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    assert process.returncode == 0

    opened = RunModel.read(model)
    features = next(opened.intake.stream(rows, rows=LOOPED)).features
    started = time.perf_counter()
    looped = np.concatenate([opened.probabilities(features[row : row + 1]) for row in range(LOOPED)])
    of_loop = (time.perf_counter() - started) * ROWS / LOOPED
    scores = np.loadtxt(out, delimiter=",", skiprows=1, max_rows=LOOPED)[:, 1]
    print(f"{seconds:.0f} s and {peak / 1e9:.2f} GB; a loop takes {of_loop:.0f} s to score alone")
    assert peak < gigabytes * 1e9
    assert of_loop > 5 * seconds
    assert np.abs(scores - looped).max() < 1e-6
