"""The reliability diagram: the share of fraud among rows, beside the probability that was said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from secure_fl.report.figures import WIDE
from secure_fl.report.pictures import Picture, both
from secure_fl.report.svg import ACCENT, GREY, RULE, SOFT, blank, page_style

_LOWEST = 1e-5
"""Of both axes, which are logarithmic: fraud is rare."""


def reliability(document: Mapping[str, Any]) -> Picture:
    """Bins of the model's own scores, and of the calibrated ones."""
    label = "Share of fraud against the probability that was said, before and after calibration, beside the diagonal"
    with page_style():
        return both("reliability", label, lambda width: _diagram(document, width))


def _diagram(document: Mapping[str, Any], width: int) -> Figure:
    figure = blank(width, 400 if width >= WIDE else 300)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot([_LOWEST, 1], [_LOWEST, 1], color=RULE, linewidth=1.6)
    for kind, color, marker in (("own", GREY, "s"), ("calibrated", ACCENT, "o")):
        _points(axes, [each for each in document[kind]["bins"] if "mean" in each], color, marker)
    axes.set_xlim(_LOWEST / 2, 1.3)
    axes.set_ylim(_LOWEST, 1.3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axis.set_minor_locator(axis.get_major_locator())
        axis.grid(True)
    axes.set_axisbelow(True)
    axes.set_xlabel("Mean probability of the rows of a bin")
    axes.set_title("Share of fraud among them, with its interval", loc="left", fontsize=11.5, color=SOFT)
    return figure


def _points(axes: Axes, bins: Sequence[Mapping[str, Any]], color: str, marker: str) -> None:
    means = [each["mean"] for each in bins]
    axes.vlines(means, [max(each["interval"][0], _LOWEST) for each in bins],
                [each["interval"][1] for each in bins], color=color, linewidth=1.6)  # fmt: skip
    axes.plot(means, [each["share"] for each in bins], color=color, marker=marker, markersize=6, linestyle="none")
