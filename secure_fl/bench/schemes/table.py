"""The benchmark on a terminal: one table for each size, narrow enough for 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from secure_fl.bench.schemes.benchmark import Benchmark
from secure_fl.bench.schemes.dropouts import Dropout
from secure_fl.bench.schemes.links import LATENCY
from secure_fl.bench.schemes.rows import Row
from secure_fl.bench.schemes.scaling import Fit
from secure_fl.progress import plain_console
from secure_fl.report.wording import bytes_text, count_text, plural, seconds_text, small_text

WIDE = 132
SIZES_FOR_A_FIT = 3
"""An exponent from two sizes is in the files; the terminal shows those from three or more."""


def print_benchmark(benchmark: Benchmark, console: Console | None = None) -> None:
    """Rows by size, then what could not be measured, exponents and dropouts."""
    console = console or plain_console()
    for size in dict.fromkeys(row.size for row in benchmark.rows):
        rows = [row for row in benchmark.rows if row.size == size]
        console.print(_size_table(rows, wide=console.width >= WIDE))
        for row in rows:
            if not row.measured:
                console.print(f"{row.title}: {row.status}: {_without(row.status, row.note)}")
        console.print()
    fits = [fit for fit in benchmark.fits if len(set(fit.sizes)) >= SIZES_FOR_A_FIT]
    if fits:
        console.print(_fit_table(fits))
    if benchmark.dropouts:
        console.print(_dropout_table(benchmark.dropouts))
    console.print(
        f"client: one bank, from float64 to bytes, all stages. server: all banks. round: at 100 Mbit/s and "
        f"{LATENCY * 1000:.0f} ms one way, all banks in parallel. {benchmark.machine['processor']}, "
        f"{benchmark.machine['cores']} cores",
    )


def _size_table(rows: Sequence[Row], wide: bool) -> Table:
    banks, parameters = rows[0].size
    table = Table(title=f"{plural(banks, 'bank')} x {plural(parameters, 'parameter')}", title_justify="left")
    table.add_column("scheme", overflow="fold")
    names = ["client", "server", "decode", "upload", "B/param", "round"]
    for name in [*names, *(("x floor", "download", "error", "peak memory") if wide else ())]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        if row.measured:
            table.add_row(row.title, *_cells(row)[: len(table.columns) - 1])
    return table


def _cells(row: Row) -> list[str]:
    seconds = (row.client_seconds, row.server_seconds, row.decode_seconds)
    return [
        *(seconds_text(s or 0) for s in seconds),
        bytes_text(row.upload_bytes or 0),
        f"{row.bytes_per_parameter:.2f}",
        seconds_text((row.round_seconds_at or {}).get("100Mbps", 0)),
        "-" if row.times_floor is None else f"{row.times_floor:.2f}",
        bytes_text(row.download_bytes or 0),
        small_text(row.max_abs_error or 0),
        bytes_text(row.peak_rss_bytes or 0),
    ]


def _fit_table(fits: Sequence[Fit]) -> Table:
    table = Table(title="exponent a of cost ~ size^a", title_justify="left")
    table.add_column("scheme", overflow="fold")
    for name in ("size", "fixed", "client", "server", "upload"):
        table.add_column(name, justify="left" if name in ("size", "fixed") else "right")
    for fit in fits:
        sizes = f"{count_text(fit.sizes[0])} to {count_text(fit.sizes[-1])} {fit.against}"
        fixed = plural(fit.fixed, "parameter" if fit.against == "banks" else "bank")
        figures = (fit.client_seconds, fit.server_seconds, fit.upload_bytes)
        table.add_row(fit.title, sizes, fixed, *(f"{figure:.2f}" for figure in figures))
    return table


def _dropout_table(dropouts: Sequence[Dropout]) -> Table:
    table = Table(title=f"banks that vanish at {dropouts[0].stage}", title_justify="left")
    for name in ("scheme", "banks", "vanished", "server", "outcome"):
        table.add_column(name, justify="left" if name in ("scheme", "outcome") else "right")
    for drop in dropouts:
        server = "" if drop.server_seconds is None else seconds_text(drop.server_seconds)
        outcome = "exact sum" if drop.succeeded else "refused"
        table.add_row(drop.scheme, f"{drop.banks} x {count_text(drop.parameters)}", str(drop.dropped), server, outcome)
    return table


def _without(status: str, note: str | None) -> str:
    """The note, less the status where it repeats it."""
    return (note or "").removeprefix(f"{status}: ")
