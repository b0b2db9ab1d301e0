"""Learning curves of several runs in one drawing."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from secure_fl.report.figures import WIDE
from secure_fl.report.pictures import Picture, both
from secure_fl.report.svg import ACCENT, GREEN, GREY, SKY, SOFT, WARM, blank, page_style

COLORS = {"accent": ACCENT, "warm": WARM, "green": GREEN, "sky": SKY, "grey": GREY}
"""In the order of the runs; a sixth run has the first one's colour and another line."""
_LINES = ("-", "--", ":", "-.")


Curve = tuple[str, Sequence[float]]
"""A run's name, and its AUPRC after each round."""


def draw(runs: Sequence[Curve]) -> Picture:
    """Once for a desk, once for a phone."""
    label = "AUPRC after each round: " + "; ".join(f"{name} ends at {curve[-1]:.3f}" for name, curve in runs)
    with page_style():
        return both("compare", label, lambda width: _curves(runs, width))


def _curves(runs: Sequence[Curve], width: int) -> Figure:
    figure = blank(width, 320 if width >= WIDE else 260)
    axes = figure.add_subplot()
    colors = list(COLORS.values())
    for number, (_, curve) in enumerate(runs):
        line = _LINES[number // len(colors) % len(_LINES)]
        axes.plot(range(1, len(curve) + 1), curve, line, color=colors[number % len(colors)], linewidth=2.2, marker="o")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Round")
    axes.yaxis.grid(True)
    axes.set_title("AUPRC on the test set", loc="left", fontsize=11.5, color=SOFT)
    return figure
