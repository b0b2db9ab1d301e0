"""All pictures of the page, exported: each with a sentence that a screen reader can say in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup
from matplotlib.figure import Figure

from secure_fl.data.metrics import RECALL
from secure_fl.federation.results import Result
from secure_fl.report import budget_figure, exhibit, figures, selection
from secure_fl.report.promise import spending
from secure_fl.report.svg import page_style, to_svg
from secure_fl.report.wording import bytes_text, plural, score_text, seconds_text, share_text, small_text

_HALF, _NARROW = 366, figures.NARROW


@dataclass(frozen=True)
class Picture:
    """One figure drawn for a desk and for a phone; the style sheet shows one of the two."""

    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class Pictures:
    """Everything drawn for one run."""

    curves: Picture
    precision_recall: Picture
    bytes: Picture
    quality: Picture
    seconds: Picture
    update: Markup
    message: Markup
    reads: Markup | None
    update_histogram: Picture
    message_histogram: Picture
    budget: Picture | None
    """None where no round knows an epsilon."""
    selection: Picture | None
    """None where no rule leaves whole updates out."""


def draw(result: Result, float32_bytes: int) -> Pictures:
    """Draw every picture of a run. Needs matplotlib, which takes a second to import."""
    shown = result.exhibit
    strongest = exhibit.full_shade(shown.update)
    reads = shown.aggregator_reads
    with page_style():
        return Pictures(
            curves=both("curves", _describe_curves(result), lambda w: figures.learning_curves(result, w)),
            precision_recall=both(
                "alarms", _describe_alarms(result), lambda w: figures.precision_against_recall(result, w)
            ),
            bytes=both("bytes", _describe_bytes(result), lambda w: figures.bytes_per_bank(result, float32_bytes, w)),
            quality=both(
                "quality", _describe_quality(result), lambda w: figures.auprc_for_bytes(result, float32_bytes, w)
            ),
            seconds=both("seconds", _describe_seconds(result), lambda w: figures.seconds_per_round(result, w)),
            update=exhibit.update_grid(
                shown.update,
                strongest,
                f"Grid of the first {plural(shown.update.size, 'value')} of the update of {shown.bank}, "
                f"full colour at {small_text(strongest)}",
            ),
            message=exhibit.byte_grid(
                shown.message,
                f"Grid of the first {plural(min(len(shown.message), exhibit.CELLS), 'byte')} of the message",
            ),
            reads=None if reads is None else exhibit.update_grid(reads, strongest, "Grid of what the aggregator reads"),
            update_histogram=both(
                "values",
                f"Histogram of the values of the update, from {small_text(float(shown.update.min(initial=0)))} "
                f"to {small_text(float(shown.update.max(initial=0)))}",
                lambda w: exhibit.value_histogram(shown.update, w),
                _HALF,
            ),
            message_histogram=both(
                "octets",
                f"Histogram of {plural(len(shown.message), 'byte')} of the message, from 0 to 255",
                lambda w: exhibit.byte_histogram(shown.message, w),
                _HALF,
            ),
            budget=(
                both("budget", budget_figure.describe(result), lambda w: budget_figure.budget(result, w))
                if spending(result)
                else None
            ),
            selection=_selection(result),
        )


def both(name: str, label: str, draw_at: Callable[[int], Figure], wide: int = figures.WIDE) -> Picture:
    """A figure at both widths; `draw_at` draws it at one, in pixels."""
    return Picture(
        wide=to_svg(draw_at(wide), f"{name}-wide", label),
        narrow=to_svg(draw_at(_NARROW), f"{name}-narrow", label),
    )


def _selection(result: Result) -> Picture | None:
    if not selection.standings(result):
        return None
    return both("selection", selection.describe(result), lambda width: selection.draw_selection(result, width))


def _describe_quality(result: Result) -> str:
    first, last = result.rounds[0], result.rounds[-1]
    return (
        f"AUPRC against the bytes that one bank has uploaded, from {score_text(first.auprc)} after the first round to "
        f"{score_text(last.auprc)} after the last"
    )


def _describe_curves(result: Result) -> str:
    first, last = result.rounds[0], result.rounds[-1]
    return (
        f"Line chart of AUPRC: the federated model goes from {score_text(first.auprc)} after round {first.round} to "
        f"{score_text(last.auprc)} after round {last.round}; the model on pooled data"
        f"{', trained without privacy,' if result.privacy is not None else ''} ends at "
        f"{score_text(result.central.final.auprc)}"
    )


def _describe_alarms(result: Result) -> str:
    curve = result.on_test.curve
    found = next((p for r, p in zip(curve.recall, curve.precision, strict=True) if r >= RECALL), curve.guessing)
    return (
        f"Line chart of precision against recall: where the federated model finds {share_text(RECALL)} of the fraud, "
        f"{share_text(found)} of its alarms are right; guessing is right {share_text(curve.guessing)} of the time"
    )


def _describe_bytes(result: Result) -> str:
    uploads = [size for record in result.rounds for size in record.upload_bytes.values()]
    downloads = [size for record in result.rounds for size in record.download_bytes.values()]
    return (
        f"Chart of bytes per bank and round: median upload {bytes_text(median(uploads or [0]))}, "
        f"median download {bytes_text(median(downloads or [0]))}"
    )


def _describe_seconds(result: Result) -> str:
    parts = ", ".join(
        f"{part} {seconds_text(median(getattr(record.seconds, part) for record in result.rounds))}"
        for part in ("train", "client", "server", "decode")
    )
    return f"Stacked bars of the seconds in each round; medians: {parts}"
