"""The figures about a run as a whole: learning curves, bytes and seconds.

Each function draws one figure at a given width in CSS pixels. The page asks for a wide and a narrow drawing of
each and shows the one that fits, so that labels stay readable on a phone. Draw inside `svg.page_style`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from secure_fl.data.metrics import RECALL, PrecisionRecall
from secure_fl.federation.results import Baseline, Result, RoundRecord
from secure_fl.report.svg import ACCENT, GREEN, GREY, INK, RULE, SKY, SOFT, WARM, blank
from secure_fl.report.wording import bytes_text, share_text

WIDE, NARROW = 760, 340
"""Widths in CSS pixels: a column of text on a desk, a phone."""

MANY_LOCAL = 8
"""With more local models than this, a band takes the place of single curves."""
MANY_BANKS = 12
"""With more banks than this, a range per round takes the place of a bar per bank."""


def learning_curves(result: Result, width: int) -> Figure:
    """AUPRC on the test set after each round, against models trained without federation."""
    figure = blank(width, 340 if width >= WIDE else 260)
    axes = figure.add_subplot()
    few = len(result.local) <= MANY_LOCAL
    dots = marker(result.rounds)
    for baseline in result.local if few else ():
        _curve(axes, baseline.auprc_by_round, color=GREY, linewidth=1.4, marker=dots, markersize=4)
    if not few:
        _local_band(axes, result.local)
    _curve(axes, result.central.auprc_by_round, color=WARM, linewidth=1.8, dashes=(5, 3), marker=dots, markersize=4.5)
    federated = [record.auprc for record in result.rounds]
    axes.plot([r.round for r in result.rounds], federated, color=ACCENT, linewidth=2.6, marker=dots, markersize=6)
    round_axis(axes, result.rounds, margin=0.6 if len(result.rounds) == 1 else 0.02 * len(result.rounds))
    axes.yaxis.set_major_locator(ticks(5))
    axes.yaxis.grid(True)
    axes.set_title("AUPRC on the test set", loc="left", fontsize=11.5, color=SOFT)
    if width >= WIDE:
        _label_ends(axes, result, few)
    return figure


def curve_key(result: Result) -> list[tuple[str, str, str]]:
    """Colour, shape and name of each curve of precision: best model last, so that it is drawn on top."""
    without = ", without privacy" if result.privacy is not None else ""
    names = ["best bank alone", "worst bank alone"] if len(result.local) > 1 else ["bank alone"]
    local = [
        ("grey", shape, f"{name}: {short_name(baseline.trained_on)}{without}")
        for shape, name, baseline in zip(("line", "dotted"), names, result.best_and_worst_local, strict=False)
    ]
    return [("accent", "line", "federated"), *local, ("warm", "dashed", f"all data pooled{without}")]


def precision_against_recall(result: Result, width: int) -> Figure:
    """Precision of the last models at each share of the fraud that they find, and of guessing."""
    local = zip(result.best_and_worst_local, ((), (1, 2)), strict=False)
    models = [
        *((baseline.on_test, Stroke(GREY, 1.6, dashes)) for baseline, dashes in local),
        (result.central.on_test, Stroke(WARM, 1.8, (5, 3))),
        (result.on_test, Stroke(ACCENT, 2.6)),
    ]
    return precision_curves([(model.curve, stroke) for model, stroke in models if model is not None], width)


class Stroke(NamedTuple):
    """How a curve is drawn."""

    color: str
    width: float
    dashes: tuple[int, ...] = ()


def precision_curves(curves: Sequence[tuple[PrecisionRecall, Stroke]], width: int) -> Figure:
    """Precision at each share of the fraud, and that of guessing: models on one test set, the last drawn on top."""
    figure = blank(width, 340 if width >= WIDE else 280)
    axes = figure.add_subplot()
    for curve, stroke in curves:
        _precision(axes, curve, stroke)
    guessing = curves[-1][0].guessing
    top = 1.14 * max(float(np.asarray(line.get_ydata()).max()) for line in axes.lines)
    axes.axhline(guessing, color=INK, linewidth=1.3, dashes=(1, 2))
    axes.axvline(RECALL, color=RULE, linewidth=1.4)
    axes.annotate(f"{share_text(RECALL)} of the fraud", (RECALL, top), xytext=(-5, -4), textcoords="offset points",
                  ha="right", va="top", color=SOFT)  # fmt: skip
    axes.annotate(f"guessing: {share_text(guessing)}", (0.0, guessing), xytext=(5, 5),
                  textcoords="offset points", color=INK)  # fmt: skip
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, top)
    axes.xaxis.set_major_locator(MultipleLocator(0.2))
    axes.yaxis.set_major_locator(ticks(6))
    in_percent(axes)
    axes.set_xlabel("Share of the fraud that is found (recall)")
    axes.set_title("Share of the alarms that are right (precision)", loc="left", fontsize=11.5, color=SOFT)
    return figure


def bytes_per_bank(result: Result, float32_bytes: int, width: int) -> Figure:
    """Upload and download of each bank in a round; with many banks, their range in each round."""
    banks = bank_names(result)
    if len(banks) > MANY_BANKS:
        return _byte_ranges(result.rounds, float32_bytes, width)
    return _byte_bars(banks, result.rounds, float32_bytes, width)


def auprc_for_bytes(result: Result, float32_bytes: int, width: int) -> Figure:
    """AUPRC against what one bank has uploaded so far, beside the same rounds sent as float32 in the clear."""
    figure = blank(width, 260)
    axes = figure.add_subplot()
    auprc = [record.auprc for record in result.rounds]
    sent = np.cumsum([median(record.upload_bytes.values() or [0]) for record in result.rounds])
    clear = np.cumsum([float32_bytes] * len(result.rounds))
    axes.plot(clear, auprc, color=WARM, linewidth=1.8, dashes=(5, 3), marker=marker(result.rounds), markersize=4.5)
    axes.plot(sent, auprc, color=ACCENT, linewidth=2.6, marker=marker(result.rounds), markersize=6)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(ticks(5 if width >= WIDE else 3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: bytes_text(value)))
    axes.set_xlabel("Sent by one bank so far")
    axes.yaxis.set_major_locator(ticks(4))
    axes.yaxis.grid(True)
    axes.set_axisbelow(True)
    axes.set_title("AUPRC on the test set", loc="left", fontsize=11.5, color=SOFT)
    return figure


def seconds_per_round(result: Result, width: int) -> Figure:
    """Stacked seconds of each round: left with training, right (or below) all but training."""
    wide = width >= WIDE
    figure = blank(width, 290 if wide else 460)
    figure.set_layout_engine("constrained", hspace=0.14, wspace=0.06)
    whole, secure = figure.subplots(1, 2) if wide else figure.subplots(2, 1)
    train = ("train", GREY)
    sum_parts = (("client", SKY), ("server", WARM), ("decode", GREEN))
    _stack(whole, result.rounds, (train, *sum_parts), "Whole round")
    _stack(secure, result.rounds, sum_parts, "Without training, enlarged")
    return figure


def bank_names(result: Result) -> tuple[str, ...]:
    """All banks of a run in order of appearance, those included that dropped out of every round."""
    names: dict[str, None] = {}
    for record in result.rounds:
        names.update(dict.fromkeys((*record.download_bytes, *record.upload_bytes, *record.contributors)))
        names.update(dict.fromkeys(record.dropped))
    return tuple(names)


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move positions apart until neighbours are `gap` from each other, each cluster about its own middle."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    clusters: list[list[int]] = []
    for index in order:
        clusters.append([index])
        while len(clusters) > 1 and _start(positions, clusters[-1], gap) < _end(positions, clusters[-2], gap) + gap:
            last = clusters.pop()
            clusters[-1].extend(last)
    moved = [0.0] * len(positions)
    for cluster in clusters:
        for step, index in enumerate(cluster):
            moved[index] = _start(positions, cluster, gap) + step * gap
    return moved


def _start(positions: Sequence[float], cluster: Sequence[int], gap: float) -> float:
    return sum(positions[index] for index in cluster) / len(cluster) - gap * (len(cluster) - 1) / 2


def _end(positions: Sequence[float], cluster: Sequence[int], gap: float) -> float:
    return _start(positions, cluster, gap) + gap * (len(cluster) - 1)


def _curve(axes: Axes, values: Sequence[float], *, dashes: tuple[int, int] | None = None, **style: Any) -> None:
    (line,) = axes.plot(range(1, len(values) + 1), values, **style)
    if dashes:
        line.set_dashes(dashes)


def _precision(axes: Axes, curve: PrecisionRecall, stroke: Stroke) -> None:
    """Each precision holds from the recall before it up to its own."""
    recall, precision = (0.0, *curve.recall), (curve.precision[0], *curve.precision)
    draw_steps(axes, recall, precision, stroke, "steps-pre")


def draw_steps(
    axes: Axes, x: Sequence[float], y: Sequence[float], stroke: Stroke, steps: Literal["steps-pre", "steps-post"]
) -> None:
    """A curve of steps."""
    (line,) = axes.plot(x, y, drawstyle=steps, color=stroke.color, linewidth=stroke.width)
    if stroke.dashes:
        line.set_dashes(stroke.dashes)


def in_percent(axes: Axes) -> None:
    """Shares along both axes, over a grid."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
    axes.yaxis.grid(True)
    axes.set_axisbelow(True)


def _local_band(axes: Axes, local: Sequence[Baseline]) -> None:
    columns = list(zip(*(baseline.auprc_by_round for baseline in local), strict=False))
    rounds = range(1, len(columns) + 1)
    axes.fill_between(rounds, [min(c) for c in columns], [max(c) for c in columns], color=GREY, alpha=0.25, linewidth=0)
    axes.plot(rounds, [median(column) for column in columns], color=GREY, linewidth=1.4)


def _label_ends(axes: Axes, result: Result, few: bool) -> None:
    """Name the curves at their right ends, moved apart where they would overlap."""
    ends = [("Federated", result.rounds[-1].auprc, ACCENT)]
    if result.central.auprc_by_round:
        ends.append(("All data pooled", result.central.auprc_by_round[-1], WARM))
    curves = [baseline for baseline in result.local if baseline.auprc_by_round]
    if few:
        ends += [(short_name(b.trained_on) + " alone", b.auprc_by_round[-1], SOFT) for b in curves]
    elif curves:
        ends.append(("Banks alone, median", median(b.auprc_by_round[-1] for b in curves), SOFT))
    low, high = axes.get_ylim()
    places = spread([value for _, value, _ in ends], gap=(high - low) / 17)
    for (name, _, color), place in zip(ends, places, strict=True):
        axes.annotate(name, (1.0, place), xycoords=("axes fraction", "data"), xytext=(8, 0), color=color,
                      textcoords="offset points", va="center", annotation_clip=False)  # fmt: skip


def short_name(name: str, limit: int = 16) -> str:
    """A bank's name as a label: printable, and cut when it is long."""
    clean = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def round_axis(axes: Axes, rounds: Sequence[RoundRecord], margin: float = 0.6) -> None:
    """Whole rounds along the horizontal axis."""
    first, last = rounds[0].round, rounds[-1].round
    places = MaxNLocator(10, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]).tick_values(first, last)
    axes.set_xticks([int(place) for place in places if first <= place <= last])
    axes.set_xlim(first - margin, last + margin)
    axes.set_xlabel("Round")
    axes.set_axisbelow(True)


def marker(rounds: Sequence[RoundRecord]) -> str:
    """Dots on a curve while there are few rounds; a single round would not show without them."""
    return "o" if len(rounds) <= 12 else ""


def ticks(about: int) -> MaxNLocator:
    """Round numbers, about so many."""
    return MaxNLocator(about, steps=[1, 2, 5, 10])


def _stack(axes: Axes, rounds: Sequence[RoundRecord], parts: Sequence[tuple[str, str]], title: str) -> None:
    bottoms = [0.0] * len(rounds)
    numbers = [record.round for record in rounds]
    totals = [sum(getattr(record.seconds, part) for part, _ in parts) for record in rounds]
    scale, unit = (1.0, "seconds") if max(totals) >= 1 else (1e3, "milliseconds")
    for part, color in parts:
        heights = [scale * getattr(record.seconds, part) for record in rounds]
        axes.bar(numbers, heights, bottom=bottoms, color=color, width=0.72)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    round_axis(axes, rounds, margin=max(0.6, (6 - len(rounds)) / 2))  # few bars stay slim
    axes.yaxis.set_major_locator(ticks(4))
    axes.yaxis.grid(True)
    axes.set_title(f"{title} ({unit})", loc="left", fontsize=11.5, color=SOFT)


def _byte_bars(banks: Sequence[str], rounds: Sequence[RoundRecord], float32: int, width: int) -> Figure:
    wide = width >= WIDE
    figure = blank(width, 74 + 46 * len(banks))
    axes = figure.add_subplot()
    rows = range(len(banks))
    for offset, color, sizes in (
        (-0.19, ACCENT, [_sizes(bank, [r.upload_bytes for r in rounds]) for bank in banks]),
        (0.19, GREY, [_sizes(bank, [r.download_bytes for r in rounds]) for bank in banks]),
    ):
        for row, values in zip(rows, sizes, strict=True):
            _byte_bar(axes, row + offset, values, color)
    axes.set_yticks(rows, [short_name(bank, 16 if wide else 11) for bank in banks], color=INK)
    axes.set_ylim(len(banks) - 0.45, -0.55 - 0.25)
    axes.set_xlim(0, 1.04 * max(_largest(rounds), float32))
    _byte_scale(axes.xaxis.set_major_formatter, axes.xaxis.set_major_locator, 6 if wide else 3)
    axes.xaxis.grid(True)
    axes.set_axisbelow(True)
    axes.axvline(float32, color=INK, linewidth=1.3, dashes=(3, 3))
    _name_vertical(axes, float32)
    return figure


def _largest(rounds: Sequence[RoundRecord]) -> int:
    return max(
        (size for r in rounds for sizes in (r.upload_bytes, r.download_bytes) for size in sizes.values()), default=0
    )


def _sizes(bank: str, by_round: Sequence[Mapping[str, int]]) -> list[int]:
    return [sizes[bank] for sizes in by_round if bank in sizes]


def _byte_bar(axes: Axes, row: float, values: Sequence[int], color: str) -> None:
    if not values:
        axes.annotate("nothing arrived", (0, row), xytext=(5, 0), textcoords="offset points", va="center", color=SOFT)
        return
    middle = median(values)
    axes.barh(row, middle, height=0.34, color=color)
    if min(values) < max(values):
        axes.plot([min(values), max(values)], [row, row], color=INK, linewidth=1.3)
    axes.annotate(bytes_text(middle), (1.0, row), xycoords=("axes fraction", "data"), xytext=(8, 0), color=INK,
                  textcoords="offset points", va="center", annotation_clip=False)  # fmt: skip


def _name_vertical(axes: Axes, float32: int) -> None:
    right = float32 < 0.5 * axes.get_xlim()[1]
    axes.annotate(f"plain float32: {bytes_text(float32)}", (float32, 1.0), xycoords=("data", "axes fraction"), va="top",
                  xytext=(6 if right else -6, 0), textcoords="offset points", color=INK,
                  ha="left" if right else "right")  # fmt: skip


def _byte_ranges(rounds: Sequence[RoundRecord], float32: int, width: int) -> Figure:
    figure = blank(width, 320 if width >= WIDE else 280)
    axes = figure.add_subplot()
    for offset, color, by_round in (
        (-0.1, ACCENT, [(r.round, list(r.upload_bytes.values())) for r in rounds]),
        (0.1, GREY, [(r.round, list(r.download_bytes.values())) for r in rounds]),
    ):
        points = [(number + offset, sizes) for number, sizes in by_round if sizes]
        places = [place for place, _ in points]
        axes.vlines(
            places, [min(s) for _, s in points], [max(s) for _, s in points], color=color, linewidth=4, alpha=0.4
        )
        axes.plot(places, [median(s) for _, s in points], color=color, linewidth=2, marker=marker(rounds), markersize=6)
    axes.set_ylim(bottom=0, top=1.15 * max(axes.get_ylim()[1], float32))
    _byte_scale(axes.yaxis.set_major_formatter, axes.yaxis.set_major_locator, 5)
    axes.yaxis.grid(True)
    round_axis(axes, rounds)
    axes.axhline(float32, color=INK, linewidth=1.3, dashes=(3, 3))
    axes.annotate(f"plain float32: {bytes_text(float32)}", (0.0, float32), xycoords=("axes fraction", "data"),
                  xytext=(4, 7), textcoords="offset points", color=INK)  # fmt: skip
    return figure


def _byte_scale(
    set_formatter: Callable[[FuncFormatter], None], set_locator: Callable[[MaxNLocator], None], about: int
) -> None:
    set_locator(ticks(about))
    set_formatter(FuncFormatter(lambda size, _: bytes_text(size).replace(".0 ", " ")))
