"""Learning curves of several runs in one drawing."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from secure_fl.report.comparison import ComparedRun
from secure_fl.report.figures import NARROW, WIDE
from secure_fl.report.pictures import Picture
from secure_fl.report.svg import ACCENT, GREEN, GREY, SKY, SOFT, WARM, blank, page_style, to_svg

COLORS = {"accent": ACCENT, "warm": WARM, "green": GREEN, "sky": SKY, "grey": GREY}
"""In the order of the runs; a sixth run has the first one's colour and another line."""
_LINES = ("-", "--", ":", "-.")


def draw(runs: Sequence[ComparedRun]) -> Picture:
    """Once for a desk, once for a phone."""
    label = "AUPRC after each round: " + "; ".join(f"{run.name} ends at {run.auprc:.3f}" for run in runs)
    with page_style():
        wide, narrow = (to_svg(_curves(runs, width), f"compare-{width}", label) for width in (WIDE, NARROW))
    return Picture(wide, narrow)


def _curves(runs: Sequence[ComparedRun], width: int) -> Figure:
    figure = blank(width, 320 if width >= WIDE else 260)
    axes = figure.add_subplot()
    colors = list(COLORS.values())
    for number, run in enumerate(runs):
        line = _LINES[number // len(colors) % len(_LINES)]
        rounds = range(1, run.rounds + 1)
        axes.plot(rounds, run.auprc_by_round, line, color=colors[number % len(colors)], linewidth=2.2, marker="o")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Round")
    axes.yaxis.grid(True)
    axes.set_title("AUPRC on the test set", loc="left", fontsize=11.5, color=SOFT)
    return figure
