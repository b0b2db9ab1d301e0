"""The `bench scoring` command: from its options to the table on the terminal and the file."""

from __future__ import annotations

import shlex
from pathlib import Path

from secure_fl.bench.scoring.benchmark import run_benchmark
from secure_fl.bench.scoring.table import print_benchmark
from secure_fl.files import STDOUT, output_files
from secure_fl.progress import ShowProgress


def run_command(*, peers: bool, quick: bool, json_file: Path | None, force: bool, show_progress: ShowProgress) -> None:
    """Measure, write the file, print the table. The file is opened first, so that a wrong name costs no time."""
    flags = [flag for flag, on in (("--peers", peers), ("--quick", quick)) if on]
    with output_files(json_file, force=force) as (target,):
        with show_progress() as progress:
            benchmark = run_benchmark(quick, peers, shlex.join(["secure-fl", "bench", "scoring", *flags]), progress)
        if target:
            target.write_text(benchmark.to_json() + "\n", encoding="utf-8")
    if json_file != STDOUT:
        print_benchmark(benchmark)
