"""One calibration as a self-contained page for all banks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secure_fl.audit.calibration.calibrating import Calibration
from secure_fl.report import frame, wording
from secure_fl.report.wording import share_text, small_text

_PACKAGE = "secure_fl.audit"
_SMALLEST = 1e-6
"""Share that is written as a number."""


def render(found: Calibration, document: Mapping[str, Any]) -> str:
    """The page. The same figures give the same text."""
    from secure_fl.audit.calibration import figures  # matplotlib is slow to import, so only when needed

    contents = {
        "reliability": "What was found, and what was said",
        "figures": "Before and after",
        "map": "The map",
        "sums": "What left the banks",
        "custody": "Who can read the sums",
    }
    values = {
        "document": document,
        "verdict": verdict(found),
        "scheme": wording.scheme_text(found.subject.experiment.scheme),
        "picture": figures.reliability(document),
        "custody": found.custody,
    }
    filters: dict[str, Callable[..., str]] = {"signed": _signed, "edge": _edge, "number": _number, "share": _share}
    return frame.fill("calibration.html.j2", contents, values, filters, _PACKAGE)


def verdict(found: Calibration) -> str:
    """Two or three sentences, from the figures alone."""
    own, calibrated = found.reliability.own, found.reliability.calibrated
    share = share_text(found.later[1] / found.later[0])
    if found.own_is_off:
        first = (
            f"The model's own scores are no probabilities: on average they say {share_text(own.mean)} fraud where "
            f"{share} was found, which is beyond chance"
        )
    else:
        first = (
            f"The model's own scores are probabilities, as far as {wording.plural(found.later[1], 'fraud')} can tell"
        )
    second = f"Calibrated scores say {share_text(calibrated.mean)}"
    second += (
        ", and still miss what was found by more than chance" if found.still_off else " and miss by no more than chance"
    )
    gain, (low, high) = found.reliability.log_loss_gain
    sure = (
        "no difference beyond chance" if low <= 0 <= high else "a gain" if gain > 0 else "a loss: do not use this map"
    )
    third = f"The log loss goes from {small_text(own.log_loss)} to {small_text(calibrated.log_loss)}, {sure}"
    return f"{first}. {second}. {third}."


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{small_text(abs(value))}"


def _edge(value: float) -> str:
    return f"{100 * value:g} %"


def _share(value: float) -> str:
    return share_text(value) if value == 0 or value >= _SMALLEST else f"under {share_text(_SMALLEST)}"


def _number(value: float) -> str:
    return f"{value:.3f}"
