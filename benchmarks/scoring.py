"""What scoring encrypted rows costs, ours and peers', and whether it stays within limits: one process, one core.

    .venv/bin/python -m benchmarks.scoring --json docs/figures/scoring.json

This is `secure-fl bench scoring --peers`, which needs the extra `peers-scoring`, with limits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from secure_fl.bench.scoring.benchmark import run_benchmark
from secure_fl.bench.scoring.models import LOGISTIC, RANDOM, RELU, SQUARES
from secure_fl.bench.scoring.table import print_benchmark
from secure_fl.cli.progress import show_progress

LIMITS: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("batched", LOGISTIC): {"seconds_per_row": 2e-5, "upload_bytes_per_row": 250, "key_bytes": 1e6, "auprc": 5e-4},
    ("batched", SQUARES): {"seconds_per_row": 1.5e-4, "upload_bytes_per_row": 1500, "key_bytes": 1e6, "auprc": 5e-4},
    ("batched", RELU): {"seconds_per_row": 5e-4, "upload_bytes_per_row": 1500, "key_bytes": 1e6, "auprc": 5e-4},
    ("single", RANDOM): {"seconds_per_row": 0.1, "max_abs_error": 0.01},
}
"""What each design must stay below; `auprc`: the difference between encrypted and plain."""
TUTORIAL = {LOGISTIC: 500.0, SQUARES: 1000.0, RELU: 1000.0}
"""How many times as long a row must take the tutorial's way as in a batch of ours, right or wrong."""
BEST_PEER = 2.0
"""How many times as long the best peer must take as ours, layout by layout."""


def kept(row: Mapping[str, Any]) -> bool:
    """Whether a row of ours is right, and keeps the limits of its design and model, and its own bound."""
    limits = LIMITS.get((row["design"], row["model"]), {})
    gap = 0.0 if row["auprc_plain"] is None else abs(row["auprc_encrypted"] - row["auprc_plain"])
    values = {**row, "auprc": gap}
    within = all(values[name] <= limit for name, limit in limits.items())
    return within and row["correct"] and row["max_abs_error"] <= row["error_bound"]


def ahead(ratio: Mapping[str, Any]) -> bool:
    """Whether ours are as far ahead as they must be."""
    if ratio["against"] == "best peer":
        return bool(ratio["ratio"] >= BEST_PEER)
    return bool(ratio["design"] != "batched" or ratio["ratio"] >= TUTORIAL[ratio["model"]])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What scoring encrypted rows costs.")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args(arguments)
    with show_progress() as progress:
        benchmark = run_benchmark(quick=False, peers=True, command="python -m benchmarks.scoring", progress=progress)
    print_benchmark(benchmark)
    found = benchmark.to_dict()
    if given.json:
        given.json.write_text(benchmark.to_json() + "\n", encoding="utf-8")
    for row in found["rows"]:
        if not row["peer"] and not kept(row):
            print("NOT KEPT:", json.dumps(row))
    for ratio in found["ratios"]:
        if not ahead(ratio):
            print("NOT KEPT:", json.dumps(ratio))


if __name__ == "__main__":
    main()
