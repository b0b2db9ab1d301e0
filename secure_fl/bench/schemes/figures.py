"""The curves of the page: cost against size on logarithmic axes, one line for each scheme or peer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from secure_fl.bench.schemes.rows import Row
from secure_fl.bench.schemes.scaling import Against, series
from secure_fl.report.figures import spread
from secure_fl.report.svg import ACCENT, GREEN, GREY, INK, SKY, SOFT, WARM, blank, page_style, to_svg
from secure_fl.report.wording import bytes_text, count_text

WIDE, NARROW = 380, 340
FIGURES = (("client_seconds", "Client"), ("server_seconds", "Server"), ("upload_bytes", "Upload per bank"))
OURS, THEIRS = (SKY, GREY, GREEN, WARM, INK, ACCENT), (GREY, SOFT, INK)
"""Colours of our schemes in their order, and of peers, whose lines are dashed."""
CLOSE = 0.06
"""Ticks that are nearer to the last one than this share of the axis are left out."""
_PREFIXES = {0: "s", -3: "ms", -6: "µs", -9: "ns"}


@dataclass(frozen=True)
class Curves:
    """One figure against one size, the other size fixed; drawn for a desk and for a phone."""

    title: str
    wide: Markup
    narrow: Markup


def draw_curves(rows: Sequence[Row]) -> list[Curves]:
    """Curves for every size that varies, in the order of `FIGURES`."""
    curves = []
    colors = _colors(rows)
    sides: tuple[Against, ...] = ("banks", "parameters")
    with page_style():
        for against in sides:
            groups = series(rows, against)
            for fixed in sorted({_fixed(group[0], against) for group in groups}):
                chosen = [group for group in groups if _fixed(group[0], against) == fixed]
                curves += [_curves(chosen, colors, against, fixed, figure, name) for figure, name in FIGURES]
    return curves


def _colors(rows: Sequence[Row]) -> dict[str, str]:
    """One colour for each title, the same in every figure."""
    ours = dict.fromkeys(row.title for row in rows if not row.peer)
    peers = dict.fromkeys(row.title for row in rows if row.peer)
    return {
        title: palette[place % len(palette)]
        for titles, palette in ((ours, OURS), (peers, THEIRS))
        for place, title in enumerate(titles)
    }


def _curves(
    groups: Sequence[Sequence[Row]], colors: Mapping[str, str], against: Against, fixed: int, figure: str, name: str
) -> Curves:
    other = "parameters" if against == "banks" else "banks"
    title = f"{name} against {against}, {count_text(fixed)} {other}"
    label = f"Logarithmic line chart: {title}; exponents are in the table below"
    prefix = f"{figure.replace('_', '-')}-{against}-{fixed}"
    return Curves(
        title=title,
        wide=to_svg(_draw(groups, colors, against, figure, WIDE), f"{prefix}-wide", label),
        narrow=to_svg(_draw(groups, colors, against, figure, NARROW), f"{prefix}-narrow", label),
    )


def _draw(
    groups: Sequence[Sequence[Row]], colors: Mapping[str, str], against: Against, figure: str, width: int
) -> Figure:
    drawing = blank(width, 270)
    axes = drawing.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends = []
    for group in groups:
        color = colors[group[0].title]
        costs = [getattr(row, figure) for row in group]
        (line,) = axes.plot([getattr(row, against) for row in group], costs, color=color, marker="o", markersize=4)
        if group[0].peer:
            line.set_dashes((4, 2))
        ends.append((group[0].title, costs[-1], color))
    _scales(axes, groups, against, seconds=figure.endswith("seconds"))
    _label_ends(axes, ends)
    return drawing


def _scales(axes: Axes, groups: Sequence[Sequence[Row]], against: Against, seconds: bool) -> None:
    sizes = sorted({getattr(row, against) for group in groups for row in group})
    ticks = _apart(sizes)
    axes.set_xticks(ticks, [_short(size) for size in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _power_text(value) if seconds else bytes_text(value)))
    axes.yaxis.grid(True)
    axes.set_axisbelow(True)
    axes.set_xlabel(against, color=SOFT)


def _label_ends(axes: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Names at the right ends of the curves, moved apart where they would overlap."""
    low, high = (math.log10(limit) for limit in axes.get_ylim())
    places = spread([math.log10(value) for _, value, _ in ends], gap=(high - low) / 15)
    for (name, _, color), place in zip(ends, places, strict=True):
        axes.annotate(name, (1.0, 10**place), xycoords=("axes fraction", "data"), xytext=(6, 0), color=color,
                      textcoords="offset points", va="center", annotation_clip=False, fontsize=10)  # fmt: skip


def _apart(sizes: Sequence[int]) -> list[int]:
    """The sizes, less those whose labels would overlap."""
    span = math.log(sizes[-1] / sizes[0])
    kept = [sizes[0]]
    for size in sizes[1:]:
        if math.log(size / kept[-1]) > CLOSE * span:
            kept.append(size)
    return kept


def _power_text(value: float) -> str:
    """A tick on a logarithmic axis of seconds: 0.01 -> "10 ms"."""
    power = max(-9, min(0, 3 * math.floor(round(math.log10(value)) / 3)))
    return f"{value / 10**power:g} {_PREFIXES[power]}"


def _short(size: int) -> str:
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size / unit:.3g}{name}"
    return str(size)


def _fixed(row: Row, against: Against) -> int:
    return row.parameters if against == "banks" else row.banks
