"""The `bench` command: from its options to the table on the terminal and the files."""

from __future__ import annotations

import shlex
from pathlib import Path

from secure_fl.bench.schemes.benchmark import Benchmark, Settings, run_benchmark
from secure_fl.bench.schemes.cases import parse_bits, parse_numbers, parse_schemes
from secure_fl.bench.schemes.table import print_benchmark
from secure_fl.errors import ConfigurationError
from secure_fl.files import STDOUT, output_files
from secure_fl.progress import ShowProgress

BANKS, PARAMETERS = "3,10", "10369,100000"


def run_command(
    *,
    schemes: str | None,
    banks: str | None,
    parameters: str | None,
    bits: str,
    repeat: int,
    peers: bool,
    json_file: Path | None,
    html_file: Path | None,
    force: bool,
    drop_sweep: bool,
    scale: bool,
    show_progress: ShowProgress,
) -> None:
    """Measure, print the table, write the files. They are opened first, so that a wrong name costs no time."""
    names = parse_schemes(schemes)
    if scale:
        if banks or parameters or peers or drop_sweep:
            raise ConfigurationError(
                "--scale has sizes of its own; leave out --banks, --parameters, --peers and sweeps"
            )
        settings = Settings.scale(names, parse_bits(bits))
    else:
        sizes = [
            (n, d)
            for n in parse_numbers(banks or BANKS, "--banks")
            for d in parse_numbers(parameters or PARAMETERS, "--parameters")
        ]
        settings = Settings(names, sizes, parse_bits(bits), repeat, peers, drop_sweep)
    command = _command_line(settings, schemes, scale)
    with output_files(json_file, html_file, force=force) as (json_target, html_target):
        with show_progress() as progress:
            benchmark = run_benchmark(settings, command, progress)
        if json_target:
            json_target.write_text(benchmark.to_json() + "\n", encoding="utf-8")
        if html_target:
            _write_page(benchmark, html_target)
    if json_file != STDOUT:
        print_benchmark(benchmark)  # whatever becomes of the terminal, the files are there


def _write_page(benchmark: Benchmark, target: Path) -> None:
    from secure_fl.bench.schemes.page import render  # matplotlib is slow to import, so only when needed

    target.write_text(render(benchmark), encoding="utf-8")


def _command_line(settings: Settings, schemes: str | None, scale: bool) -> str:
    """The command that repeats this benchmark."""
    words = ["secure-fl", "bench"]
    if schemes:
        words += ["--schemes", ",".join(settings.schemes)]
    if scale:
        return shlex.join([*words, "--bits", str(settings.bits), "--scale"])
    for option, place in (("--banks", 0), ("--parameters", 1)):
        words += [option, ",".join(str(n) for n in dict.fromkeys(size[place] for size in settings.sizes))]
    words += ["--bits", str(settings.bits), "--repeat", str(settings.repeat)]
    words += [flag for flag, on in (("--peers", settings.peers), ("--drop-sweep", settings.drop_sweep)) if on]
    return shlex.join(words)
