"""The figures of an audit: the ranking for all, and each bank's own values for that bank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from secure_fl.progress import visible
from secure_fl.report.figures import WIDE, short_name, ticks
from secure_fl.report.pictures import Picture, both
from secure_fl.report.svg import ACCENT, GREY, INK, SOFT, WARM, blank, page_style

SHOWN = 12
"""Features in a figure."""
SWARM_ROWS = 150
"""Rows in a figure of single values: each is a mark in the page."""


def ranking(shap: Mapping[str, Any]) -> Picture:
    """Mean |SHAP| of the first features, with intervals over resampled rows."""
    names, means = shap["features"][:SHOWN], shap["mean_abs"][:SHOWN]
    intervals = shap["interval"][:SHOWN]
    label = f"Bars of mean absolute SHAP values; the largest is {visible(names[0])} with {means[0]:.3g}"
    with page_style():
        return both("ranking", label, lambda width: _bars(names, means, width, intervals))


def own_bars(features: tuple[str, ...], values: NDArray[np.float64]) -> Picture:
    """The same of one bank's rows."""
    means = np.abs(values).mean(axis=0)
    order = np.argsort(-means, kind="stable")[:SHOWN]
    names = [features[place] for place in order]
    with page_style():
        return both(
            "own",
            f"Bars of this bank's mean values; {visible(names[0])} first",
            lambda w: _bars(names, means[order], w),
        )


def swarm(features: tuple[str, ...], values: NDArray[np.float64]) -> Picture:
    """Single values of one bank's rows, feature by feature."""
    order = np.argsort(-np.abs(values).mean(axis=0), kind="stable")[:SHOWN]
    shown = values[:SWARM_ROWS, order]
    names = [features[place] for place in order]
    with page_style():
        return both("swarm", f"Single SHAP values of {len(shown)} rows", lambda width: _swarm(names, shown, width))


def _bars(names: list[str], means: Any, width: int, intervals: Any = None) -> Figure:
    figure = blank(width, 60 + 30 * len(names))
    axes = figure.add_subplot()
    places = range(len(names))
    axes.barh(places, means, height=0.6, color=ACCENT)
    if intervals is not None:
        axes.hlines(places, [low for low, _ in intervals], [high for _, high in intervals], color=INK, linewidth=1.5)
    _name_rows(axes, names, width)
    axes.set_title("Mean |SHAP|, log-odds", loc="left", fontsize=11.5, color=SOFT)
    return figure


def _swarm(names: list[str], values: NDArray[np.float64], width: int) -> Figure:
    figure = blank(width, 60 + 34 * len(names))
    axes = figure.add_subplot()
    scatter = np.random.default_rng(0).uniform(-0.28, 0.28, size=values.shape)
    for place in range(len(names)):
        column = values[:, place]
        for color, side in ((WARM, column > 0), (GREY, column <= 0)):
            height = place + scatter[side, place]
            axes.plot(column[side], height, color=color, marker="o", markersize=2.6, linestyle="none", alpha=0.7)
    axes.axvline(0, color=INK, linewidth=1.0)
    _name_rows(axes, names, width)
    axes.set_title("SHAP value of each row, log-odds", loc="left", fontsize=11.5, color=SOFT)
    return figure


def _name_rows(axes: Any, names: list[str], width: int) -> None:
    axes.set_yticks(range(len(names)), [short_name(name, 34 if width >= WIDE else 17) for name in names])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(ticks(5 if width >= WIDE else 3))
    axes.xaxis.grid(True)
    axes.set_axisbelow(True)
