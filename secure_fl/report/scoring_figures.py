"""The drawings of encrypted scoring: curves on top of each other, errors, seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

from secure_fl.data.metrics import precision_recall, roc
from secure_fl.report.figures import WIDE, Stroke, draw_steps, in_percent, precision_curves
from secure_fl.report.pictures import Picture, both
from secure_fl.report.scoring_outcome import ScoringOutcome, time_shares
from secure_fl.report.svg import ACCENT, GREEN, GREY, INK, SKY, SOFT, WARM, blank, page_style
from secure_fl.report.wording import seconds_text, small_text

_TRAINED, _PLAIN, _ENCRYPTED = Stroke(GREY, 1.6, (5, 3)), Stroke(WARM, 4.5), Stroke(ACCENT, 1.6)
"""The plain curve is broad, so that it shows beside an encrypted one on top of it."""
_SMALLEST = 1e-12
"""Errors below it are drawn as this: rounding of float64."""


@dataclass(frozen=True)
class ScoringPictures:
    """Everything drawn for one page; None without labels."""

    precision: Picture | None
    roc: Picture | None
    errors: Picture
    seconds: Picture


def draw(page: ScoringOutcome) -> ScoringPictures:
    """Needs matplotlib, which takes a second to import."""
    with page_style():
        labelled = page.fraud is not None
        return ScoringPictures(
            both("precision", "Precision against recall, plain and encrypted", lambda width: _precision(page, width))
            if labelled
            else None,
            both("roc", "True against false positives, plain and encrypted", lambda width: _roc(page, width))
            if labelled
            else None,
            both("errors", _describe_errors(page), lambda width: _errors(page, width)),
            both("seconds", _describe_seconds(page), lambda width: _seconds(page, width)),
        )


def curve_key(page: ScoringOutcome) -> list[tuple[str, str, str]]:
    """Colour, shape and name of each curve."""
    names = [("warm", "line", "in plain"), ("accent", "line", "on ciphertexts")]
    return [*names, ("grey", "dashed", "the model with ReLU, in plain")] if page.replaced else names


def _models(page: ScoringOutcome) -> list[tuple[NDArray[np.float64], Stroke]]:
    """Scores and how their curve is drawn, the last on top."""
    trained = [(page.plain, _TRAINED)] if page.replaced else []
    return [*trained, (page.polynomial, _PLAIN), (page.encrypted, _ENCRYPTED)]


def _precision(page: ScoringOutcome, width: int) -> Figure:
    assert page.fraud is not None
    models = _models(page)
    return precision_curves([(precision_recall(page.fraud, scores), stroke) for scores, stroke in models], width)


def _roc(page: ScoringOutcome, width: int) -> Figure:
    assert page.fraud is not None
    figure = blank(width, 340 if width >= WIDE else 280)
    axes = figure.add_subplot()
    for scores, stroke in _models(page):
        curve = roc(page.fraud, scores)
        draw_steps(axes, curve.false_positives, curve.true_positives, stroke, "steps-post")
    shares = np.geomspace(1 / (~page.fraud).sum(), 1.0, 100)
    axes.plot(shares, shares, color=INK, linewidth=1.3, dashes=(1, 2))
    axes.set_xscale("log")
    axes.set_xlim(shares[0], 1.1)
    axes.set_ylim(0, 1.04)
    axes.xaxis.minorticks_off()
    in_percent(axes)
    axes.set_xlabel("Share of the honest that is flagged")
    axes.set_title("Share of the fraud that is found", loc="left", fontsize=11.5, color=SOFT)
    return figure


def _errors(page: ScoringOutcome, width: int) -> Figure:
    """How often errors of each size occur, and the bounds."""
    figure = blank(width, 260)
    axes = figure.add_subplot()
    errors = np.maximum(page.errors, _SMALLEST)
    top = max(page.plan.error_bound, float(errors.max()))
    edges = np.geomspace(min(float(errors.min()), top / 10) * 0.8, top * 2, 61)
    axes.stairs(np.histogram(errors, edges)[0], edges, fill=True, color=ACCENT)
    for bound, color, dashes in ((page.plan.usual_error_bound, SOFT, (4, 3)), (page.plan.error_bound, WARM, ())):
        axes.axvline(bound, color=color, linewidth=1.8).set_dashes(dashes or (1, 0))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=7 if width >= WIDE else 4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: small_text(float(value))))
    axes.xaxis.minorticks_off()
    axes.yaxis.grid(True)
    axes.set_axisbelow(True)
    axes.set_xlabel("Error of a logit")
    axes.set_title("Transactions", loc="left", fontsize=11.5, color=SOFT)
    return figure


def _seconds(page: ScoringOutcome, width: int) -> Figure:
    """One bar: what a row takes."""
    figure = blank(width, 96)
    axes = figure.add_subplot()
    start = 0.0
    for (_, _, seconds), color in zip(time_shares(page), (SKY, WARM, GREEN), strict=True):
        axes.barh(0, 1e3 * seconds, left=start, color=color, height=0.6)
        start += 1e3 * seconds
    axes.set_yticks([])
    axes.set_xlabel("Milliseconds for a transaction")
    return figure


def _describe_errors(page: ScoringOutcome) -> str:
    return (
        f"Histogram of the error of {len(page.errors)} logits, the largest {small_text(float(page.errors.max()))}; the "
        f"bound for all rows is {small_text(page.plan.error_bound)}"
    )


def _describe_seconds(page: ScoringOutcome) -> str:
    return "; ".join(f"the {who} {does}: {seconds_text(seconds)}" for who, does, seconds in time_shares(page))
