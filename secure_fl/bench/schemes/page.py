"""The benchmark as one self-contained HTML page: bars, tables, curves, the machine and the command.

It loads nothing and has no script; style and pictures are inside it. The same benchmark gives the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from secure_fl.bench.schemes.benchmark import Benchmark
from secure_fl.bench.schemes.links import LATENCY, LINKS
from secure_fl.bench.schemes.rows import Row
from secure_fl.report import frame, wording

_BARS = (
    ("client_seconds", "Client: one bank, all stages"),
    ("server_seconds", "Server: all banks"),
    ("decode_seconds", "Decode: from the sum's bytes to the mean"),
    ("upload_bytes", "Upload of one bank"),
)


@dataclass(frozen=True)
class Bar:
    """One bar: its length in percent of the longest, and what it says."""

    name: str
    kind: str
    """ours, peer or plain: the colour."""
    percent: float
    value: str
    floor: float | None = None
    """Where on the same scale the floor lies."""


@dataclass(frozen=True)
class Bars:
    """The bars of one figure."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Size:
    """All rows at one number of banks and parameters."""

    title: str
    rows: tuple[Row, ...]
    missing: tuple[Row, ...]
    charts: tuple[Bars, ...]


def render(benchmark: Benchmark) -> str:
    """The whole page. Needs matplotlib, which takes a second to import, only where there are curves."""
    values = {
        "benchmark": benchmark,
        "sizes": list_sizes(benchmark.rows),
        "curves": _curves(benchmark),
        "notes": _notes(benchmark.rows),
        "links": tuple(LINKS),
        "latency": f"{LATENCY * 1000:.0f} ms",
        "floors": any(row.measured and row.floor_bytes for row in benchmark.rows),
    }
    contents = {
        "costs": "Seconds and bytes",
        **({"scaling": "How cost grows"} if benchmark.fits else {}),
        **({"dropouts": "Banks that vanish"} if benchmark.dropouts else {}),
        "method": "What is counted",
        "machine": "The machine",
    }
    return frame.fill("page.html.j2", contents, values, package=__package__)


def list_sizes(rows: Sequence[Row]) -> list[Size]:
    """The rows by size, with their bars."""
    sizes = []
    for banks, parameters in dict.fromkeys(row.size for row in rows):
        here = [row for row in rows if row.size == (banks, parameters)]
        measured = tuple(row for row in here if row.measured)
        sizes.append(
            Size(
                title=f"{wording.plural(banks, 'bank')} {wording.TIMES} {wording.plural(parameters, 'parameter')}",
                rows=measured,
                missing=tuple(row for row in here if not row.measured),
                charts=tuple(_bars(measured, figure, title) for figure, title in _BARS) if measured else (),
            )
        )
    return sizes


def _bars(rows: Sequence[Row], figure: str, title: str) -> Bars:
    longest = max(getattr(row, figure) for row in rows) or 1
    text = wording.seconds_text if figure.endswith("seconds") else wording.bytes_text
    bars = (
        Bar(
            row.title,
            _kind(row),
            round(100 * getattr(row, figure) / longest, 2),
            text(getattr(row, figure)),
            round(100 * row.floor_bytes / longest, 2) if figure == "upload_bytes" and row.floor_bytes else None,
        )
        for row in rows
    )
    return Bars(title, tuple(bars))


def _kind(row: Row) -> str:
    return "peer" if row.peer else "plain" if row.scheme == "plaintext" else "ours"


def _notes(rows: Sequence[Row]) -> dict[str, str]:
    """What is particular about each peer that was measured."""
    return {row.title: row.note for row in rows if row.peer and row.measured and row.note}


def _curves(benchmark: Benchmark) -> Sequence[object]:
    if not benchmark.fits:
        return ()
    from secure_fl.bench.schemes.figures import draw_curves

    return draw_curves(benchmark.rows)
