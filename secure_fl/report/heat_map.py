"""A heat map: a number in each cell, and a shade that says how large it is beside the others.

The shade is a page colour at some opacity, so that it follows the page into dark mode and the number stays readable on
it; the numbers say all that the shades do. A cell without a number was not tried, or could not be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from secure_fl.report.svg import INK, RULE, SOFT, blank

PALEST, STRONGEST = 0.06, 0.52
"""Opacities: that of 0, and that of the top of the scale."""
MISSING = "\N{EN DASH}"
_ROW, _AROUND = 30, 78
"""Pixels of a row, and of title and axis together."""
_WIDE_NUMBER = 30
"""Pixels that a number takes at the usual size."""


@dataclass(frozen=True)
class HeatMap:
    """What is drawn."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    axis: str
    """What columns are."""
    values: tuple[tuple[float | None, ...], ...]
    """A row for each of `rows`; None: no number."""
    color: str
    top: float
    """The value of the strongest shade; 0 has the palest."""

    def __post_init__(self) -> None:
        assert len(self.values) == len(self.rows)
        assert all(len(line) == len(self.columns) for line in self.values)

    @property
    def label(self) -> str:
        """The map in words, row by row."""
        lines = (
            f"{row}: {', '.join(map(number_text, line))}" for row, line in zip(self.rows, self.values, strict=True)
        )
        return f"{self.title}, by {self.axis.lower()} ({', '.join(self.columns)}). {'; '.join(lines)}"


def draw_map(heat_map: HeatMap, width: int) -> Figure:
    """One map at a width in pixels. Draw inside `svg.page_style`."""
    figure = blank(width, _AROUND + _ROW * len(heat_map.rows))
    fill(figure.add_subplot(), heat_map, width)
    return figure


def draw_maps(maps: Sequence[HeatMap], columns: int, width: int) -> Figure:
    """Several maps side by side and below each other, `width` pixels each."""
    lines = -(-len(maps) // columns)
    figure = blank(width * columns, lines * (_AROUND + 12 + _ROW * max(len(heat_map.rows) for heat_map in maps)))
    figure.set_layout_engine("constrained", hspace=0.08, wspace=0.06)
    grid = figure.subplots(lines, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place < len(maps):
            fill(axes, maps[place], width)
        else:
            axes.set_axis_off()
    return figure


def fill(axes: Axes, heat_map: HeatMap, width: int) -> None:
    """Draw a map into axes that are `width` pixels wide with their labels."""
    names = 8 * max(map(len, heat_map.rows))
    size = min(11.5, 11.5 * (width - names) / len(heat_map.columns) / _WIDE_NUMBER)
    for y, line in enumerate(heat_map.values):
        for x, value in enumerate(line):
            if value is not None:
                axes.add_patch(_cell(x, y, heat_map.color, _opacity(value, heat_map.top)))
            axes.text(x, y, number_text(value), ha="center", va="center", fontsize=size,
                      color=SOFT if value is None else INK)  # fmt: skip
    axes.set_xlim(-0.5, len(heat_map.columns) - 0.5)
    axes.set_ylim(len(heat_map.rows) - 0.5, -0.5)
    axes.set_xticks(range(len(heat_map.columns)), heat_map.columns)
    axes.set_yticks(range(len(heat_map.rows)), heat_map.rows)
    axes.tick_params(length=0)
    axes.spines["bottom"].set_color(RULE)
    axes.set_xlabel(heat_map.axis)
    axes.set_title(heat_map.title, loc="left", fontsize=11.5, color=SOFT)


def number_text(value: float | None) -> str:
    """As a cell has it: two decimals."""
    return MISSING if value is None else f"{value:.2f}"


def _opacity(value: float, top: float) -> float:
    share = min(max(value / top, 0.0), 1.0) if top > 0 else 0.0
    return PALEST + (STRONGEST - PALEST) * share


def _cell(x: int, y: int, color: str, opacity: float) -> Rectangle:
    gap = 0.03
    return Rectangle(
        (x - 0.5 + gap, y - 0.5 + gap), 1 - 2 * gap, 1 - 2 * gap, facecolor=color, alpha=opacity, linewidth=0
    )
