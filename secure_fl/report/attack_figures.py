"""The figures of an attack's page: how often it succeeds beside blind guessing, and advantage beside its bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from secure_fl.report import wording
from secure_fl.report.figures import NARROW, WIDE, ticks
from secure_fl.report.pictures import Picture
from secure_fl.report.svg import ACCENT, GREY, SOFT, WARM, blank, page_style, to_svg

Row = Mapping[str, Any]


def draw(attack: str, results: Sequence[Row]) -> Picture:
    """The figure of an attack, for a desk and for a phone."""
    figure = _FIGURES.get(attack, _success)
    with page_style():
        return Picture(*(_exported(figure(results, width), attack, results, width) for width in (WIDE, NARROW)))


def _exported(figure: Figure, attack: str, results: Sequence[Row], width: int) -> Markup:
    name = "audited_epsilon" if attack == "audit-epsilon" else "success_rate"
    rates = ", ".join(f"{row[name]:.3g}" for row in results)
    label = f"Chart of the {attack} attack; it reaches {rates}, row by row of the table"
    return to_svg(figure, f"attack-{width}", label)


def _success(results: Sequence[Row], width: int) -> Figure:
    figure = blank(width, 300)
    axes = figure.add_subplot()
    places = range(len(results))
    _whiskers(axes, places, results, "success_rate", "interval", ACCENT, -0.12)
    _whiskers(axes, places, results, "guessing", "guessing_interval", GREY, 0.0)
    if results and "opened_sum" in results[0]:
        sums = [row["opened_sum"] for row in results]
        _whiskers(axes, places, sums, "success_rate", "interval", WARM, 0.12)
    axes.set_xticks(list(places), [str(row["batch"]) for row in results])
    axes.set_xlabel("Rows in the batch")
    axes.set_ylim(-0.04, 1.04)
    axes.yaxis.grid(True)
    axes.set_axisbelow(True)
    axes.set_title("Share of rows that were rebuilt", loc="left", fontsize=11.5, color=SOFT)
    return figure


def _split_view(results: Sequence[Row], width: int) -> Figure:
    """Ways of lying and batches from top to bottom, since their names need room."""
    figure = blank(width, 84 + 34 * len(results))
    axes = figure.add_subplot()
    for name, interval, color, shift in (
        ("success_rate", "interval", ACCENT, -0.12),
        ("guessing", "guessing_interval", GREY, 0.12),
    ):
        places = [place + shift for place in range(len(results))]
        low, high = zip(*(row[interval] for row in results), strict=True)
        axes.hlines(places, low, high, color=color, linewidth=2.0)
        axes.plot([row[name] for row in results], places, color=color, marker="o", markersize=6, linestyle="none")
    labels = [f"{row['variant']}, {wording.plural(row['batch'], 'row')}" for row in results]
    axes.set_yticks(range(len(results)), labels)
    axes.invert_yaxis()
    axes.set_xlim(-0.04, 1.04)
    axes.xaxis.set_major_locator(ticks(4))
    axes.xaxis.grid(True)
    axes.set_axisbelow(True)
    axes.set_xlabel("Share of rows that were rebuilt")
    return figure


def _advantage(results: Sequence[Row], width: int) -> Figure:
    figure = blank(width, 300)
    axes = figure.add_subplot()
    places = range(len(results))
    _whiskers(axes, places, results, "success_rate", "interval", ACCENT, -0.1)
    _whiskers(axes, places, [row["lira_on_frauds"] for row in results], "advantage", "interval", WARM, 0.1)
    for place, row in zip(places, results, strict=True):
        if row["bound"] is not None:
            axes.plot([place - 0.3, place + 0.3], [row["bound"]] * 2, color=GREY, linewidth=2.2)
    axes.set_xticks(list(places), ["no DP" if row["epsilon"] is None else f"{row['epsilon']:g}" for row in results])
    axes.set_xlabel("Epsilon")
    axes.set_xlim(-0.5, len(results) - 0.5)
    axes.yaxis.grid(True)
    axes.set_axisbelow(True)
    axes.axhline(0, color=GREY, linewidth=1.0)
    axes.set_title("TPR - FPR of LiRA", loc="left", fontsize=11.5, color=SOFT)
    return figure


def _audit(results: Sequence[Row], width: int) -> Figure:
    """A bar for what each observer shows of epsilon, and a line where the promise is."""
    figure = blank(width, 60 + 52 * len(results))
    axes = figure.add_subplot()
    places = range(len(results))
    colors = [WARM if row["refuted"] else ACCENT for row in results]
    axes.barh(list(places), [row["audited_epsilon"] for row in results], height=0.5, color=colors)
    for place, row in zip(places, results, strict=True):
        axes.plot([row["claimed_epsilon"]] * 2, [place - 0.4, place + 0.4], color=GREY, linewidth=2.2)
    labels = [f"{row['view']}\n{row['rounds']} x {row['steps_a_round']} steps" for row in results]
    axes.set_yticks(list(places), labels)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("Epsilon: shown at least (bar), promised at most (line)")
    axes.xaxis.grid(True)
    axes.set_axisbelow(True)
    return figure


_FIGURES: Mapping[str, Callable[[Sequence[Row], int], Figure]] = {
    "membership": _advantage,
    "split-view": _split_view,
    "audit-epsilon": _audit,
}


def _whiskers(
    axes: Axes, places: Sequence[int], rows: Sequence[Row], figure: str, interval: str, color: str, shift: float
) -> None:
    """A dot for each figure, and its interval."""
    x = [place + shift for place in places]
    axes.vlines(x, [row[interval][0] for row in rows], [row[interval][1] for row in rows], color=color, linewidth=2.0)
    axes.plot(x, [row[figure] for row in rows], color=color, marker="o", markersize=6, linestyle="none")
