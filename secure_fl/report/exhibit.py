"""What a bank sent beside what the aggregator received: grids of cells, histograms and a hex dump.

A grid is drawn as one SVG path per shade. That is smaller than an image, sharp at every size, and takes its colours
from the page, so that it follows dark mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from secure_fl.report.svg import ACCENT, INK, SOFT, WARM, blank
from secure_fl.report.wording import small_text

COLUMNS = 32
CELLS = 1024
DUMP_BYTES = 256
_SHADES = 8


def full_shade(update: NDArray[np.float32]) -> float:
    """The magnitude that gets the strongest shade: all but the largest 2 % of the values lie below it."""
    return float(np.quantile(np.abs(update), 0.98)) if update.size else 0.0


def update_grid(update: NDArray[np.float32], strongest: float, label: str) -> Markup:
    """One cell per value, row by row: accent where a weight rises, warm where it falls."""
    scaled = np.clip(update[:CELLS] / strongest, -1, 1) if strongest > 0 else np.zeros_like(update[:CELLS])
    shades = [round(float(value) * _SHADES) for value in scaled]
    return _grid(shades, {s: ("--accent" if s > 0 else "--warm", abs(s)) for s in set(shades) if s}, label)


def byte_grid(message: bytes, label: str) -> Markup:
    """One cell per byte, row by row: the larger the byte, the darker the cell."""
    shades = [round(byte / 255 * _SHADES) for byte in message[:CELLS]]
    return _grid(shades, {shade: ("--ink", shade) for shade in set(shades) if shade}, label)


def hex_dump(message: bytes) -> str:
    """The first bytes as offset, sixteen hexadecimal pairs and printable characters."""
    shown = message[:DUMP_BYTES]
    return "\n".join(_hex_line(start, shown[start : start + 16]) for start in range(0, len(shown), 16))


def value_histogram(update: NDArray[np.float32], width: int) -> Figure:
    """How often values of each size occur in the bank's update."""
    figure = blank(width, 190)
    axes = figure.add_subplot()
    counts, edges = np.histogram(update, bins=32)
    axes.stairs(counts, edges, fill=True, color=ACCENT)
    axes.axvline(0, color=INK, linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}".replace("-", "\N{MINUS SIGN}"))
    _finish(axes, "Values of the update")
    return figure


def byte_histogram(message: bytes, width: int) -> Figure:
    """How often bytes of each value occur in the message, with the level that uniform noise would have."""
    figure = blank(width, 190)
    axes = figure.add_subplot()
    counts, edges = np.histogram(np.frombuffer(message, dtype=np.uint8), bins=32, range=(0, 256))
    axes.stairs(counts, edges, fill=True, color=SOFT)
    axes.axhline(len(message) / 32, color=WARM, linewidth=1.6, dashes=(4, 3))
    axes.set_xticks([0, 64, 128, 192, 255])
    _finish(axes, "Bytes of the message")
    return figure


def reading_error(update: NDArray[np.float32], reads: NDArray[np.float32]) -> str:
    """How far the aggregator's reading of the update is from the update, in words."""
    size = min(len(update), len(reads))
    largest = float(np.max(np.abs(update[:size] - reads[:size]))) if size else 0.0
    return "bit for bit" if largest == 0 else f"to within {small_text(largest)}"


def _finish(axes: Axes, title: str) -> None:
    axes.margins(x=0)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.grid(True)
    axes.set_axisbelow(True)
    axes.set_title(f"{title} (how many of each)", loc="left", fontsize=11.5, color=SOFT)


def _grid(shades: Sequence[int], styles: dict[int, tuple[str, int]], label: str) -> Markup:
    rows = max(1, -(-len(shades) // COLUMNS))
    paths = "".join(
        f'<path style="fill:var({variable})" fill-opacity="{strength / _SHADES:g}" d="{_runs(shades, shade)}"/>'
        for shade, (variable, strength) in sorted(styles.items())
    )
    return Markup(  # noqa: S704  the label is escaped, the rest is numbers
        f'<svg viewBox="0 0 {COLUMNS} {rows}" role="img" aria-label="{escape(label)}" shape-rendering="crispEdges">'
        f"{paths}</svg>"
    )


def _runs(shades: Sequence[int], wanted: int) -> str:
    """SVG path of all cells with one shade; neighbours in a row become one rectangle."""
    parts = []
    for row in range(0, len(shades), COLUMNS):
        column = 0
        for shade, cells in groupby(shades[row : row + COLUMNS]):
            length = len(list(cells))
            if shade == wanted:
                parts.append(f"M{column} {row // COLUMNS}h{length}v1h-{length}z")
            column += length
    return "".join(parts)


def _hex_line(start: int, chunk: bytes) -> str:
    pairs = " ".join(f"{byte:02x}" for byte in chunk)
    printable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in chunk)
    return f"{start:04x}  {pairs:<47}  {printable}"
