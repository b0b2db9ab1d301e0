"""One comparison as a self-contained page for all banks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secure_fl.audit.drift.watching import Drift
from secure_fl.report import frame, wording

_PACKAGE = "secure_fl.audit"
_NAMED = 4
"""Reasons in one sentence."""


def render(found: Drift, document: Mapping[str, Any]) -> str:
    """The page. The same figures give the same text."""
    contents = {
        "shifts": "What has moved",
        "detectors": "Detectors at the banks",
        "sums": "What left the banks",
        "custody": "Who can read the sums",
    }
    values = {
        "document": document,
        "verdict": verdict(found),
        "shifts": found.shifts,
        "scheme": wording.scheme_text(found.experiment.scheme),
        "custody": found.custody,
    }
    filters: dict[str, Callable[..., str]] = {"psi": _psi}
    return frame.fill("drift.html.j2", contents, values, filters, _PACKAGE)


def verdict(found: Drift) -> str:
    """One sentence, from the figures alone."""
    said = "; ".join(found.reasons[:_NAMED])
    rest = len(found.reasons) - _NAMED
    more = f" ({wording.plural(rest, 'further reason')})" if rest > 0 else ""
    if found.verdict == "retrain":
        return f"Retrain: a PSI is beyond {found.limit:g} and beyond chance. {said}{more}."
    if found.verdict == "watch":
        return f"Watch: {said}{more}."
    return "Stable: nothing has moved beyond what chance explains and by more than the limit."


def _psi(value: float) -> str:
    return f"{value:.3f}"
