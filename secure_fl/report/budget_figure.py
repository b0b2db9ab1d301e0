"""The figure of a privacy budget: what had been spent after each round, against what may be spent."""

from __future__ import annotations

from matplotlib.figure import Figure

from secure_fl.federation.results import Result
from secure_fl.report.figures import WIDE, marker, round_axis, ticks
from secure_fl.report.promise import epsilon_text, spending, target
from secure_fl.report.svg import ACCENT, INK, SOFT, WARM, blank


def budget(result: Result, width: int) -> Figure:
    """Epsilon of the bank that has spent most, after each round. At least one round must know its epsilon."""
    figure = blank(width, 260 if width >= WIDE else 240)
    axes = figure.add_subplot()
    rounds = [record for record, _ in spending(result)]
    spent = [epsilon for _, epsilon in spending(result)]
    axes.plot([record.round for record in rounds], spent, color=ACCENT, linewidth=2.6, marker=marker(rounds),
              markersize=6, clip_on=False)  # fmt: skip
    allowed = target(result)
    top = max(spent[-1], allowed or 0.0)
    if allowed is not None:
        axes.axhline(allowed, color=WARM, linewidth=1.8, dashes=(5, 3))
        axes.annotate(f"may be spent: {allowed:g}", (0.0, allowed), xycoords=("axes fraction", "data"),
                      xytext=(4, 6), textcoords="offset points", color=INK)  # fmt: skip
    if width >= WIDE:
        axes.annotate(epsilon_text(spent[-1]), (1.0, spent[-1]), xycoords=("axes fraction", "data"), xytext=(8, 0),
                      textcoords="offset points", va="center", color=ACCENT, annotation_clip=False)  # fmt: skip
    axes.set_ylim(0, 1.18 * top)
    round_axis(axes, rounds, margin=0.6 if len(rounds) == 1 else 0.02 * len(rounds))
    axes.yaxis.set_major_locator(ticks(4))
    axes.yaxis.grid(True)
    axes.set_title("Epsilon spent so far", loc="left", fontsize=11.5, color=SOFT)
    return figure


def describe(result: Result) -> str:
    """What a screen reader says in its place."""
    first, last = spending(result)[0], spending(result)[-1]
    allowed = target(result)
    return (
        f"Line chart of epsilon: {epsilon_text(first[1])} after round {first[0].round}, "
        f"{epsilon_text(last[1])} after round {last[0].round}"
        + (f", below the dashed line at {allowed:g}" if allowed is not None else "")
    )
