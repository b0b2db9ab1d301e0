"""An audit as one self-contained page for all, and one for each bank that stays with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secure_fl.audit.auditing import Audit
from secure_fl.audit.explaining import Explained
from secure_fl.audit.gaps import LEAST_GAP
from secure_fl.audit.ranking import LEVEL
from secure_fl.report import frame, wording
from secure_fl.report.wording import plural

_PACKAGE = "secure_fl.audit"
_SHOWN = 4
"""Features of a group."""


def render(audit: Audit, document: Mapping[str, Any]) -> str:
    """The page for all. The same figures give the same text."""
    from secure_fl.audit import figures  # matplotlib is slow to import, so only when needed

    contents = {"drivers": "What drives scores"}
    if document["fairness"]["columns"]:
        contents |= {"groups": "Groups", "gaps": "Gaps"}
    contents |= {"sums": "What left the banks", "custody": "Who can read the sums"}
    values = {
        "document": document,
        "shap": document["shap"],
        "fairness": document["fairness"],
        "verdict": verdict(audit),
        "scheme": wording.scheme_text(audit.subject.experiment.scheme),
        "custody": audit.custody,
        "picture": figures.ranking(document["shap"]),
        "level": LEVEL,
        "by_group": by_group(document["shap"]),
    }
    filters: dict[str, Callable[..., str]] = {"rate": _rate, "signed": _signed, "words": _words}
    return frame.fill("audit.html.j2", contents, values, filters, _PACKAGE)


def render_bank(name: str, features: tuple[str, ...], own: Explained) -> str:
    """One bank's page of its own rows."""
    from secure_fl.audit import figures

    contents = {"means": "Mean values", "values": "Single values"}
    values = {
        "name": name,
        "rows": len(own.rows),
        "shown": figures.SWARM_ROWS,
        "means": figures.own_bars(features, own.values),
        "swarm": figures.swarm(features, own.values),
    }
    return frame.fill("bank.html.j2", contents, values, None, _PACKAGE)


def by_group(shap: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each group with the features that drive its scores most, or why nothing is said of it."""
    lines = []
    for column, groups in shap["groups"].items():
        for name, group in groups.items():
            means = group.get("mean_abs", [])
            order = sorted(range(len(means)), key=lambda place: -means[place])[:_SHOWN]
            text = "; ".join(f"{shap['features'][place]} {means[place]:.3f}" for place in order)
            lines.append((f"{column}: {name}", text or group["suppressed"]))
    return lines


def verdict(audit: Audit) -> str:
    """One sentence or two, from the figures alone."""
    fairness = audit.fairness
    if not fairness.columns:
        return "No groups were asked for, so nothing is said of how groups fare."
    if fairness.failed:
        first, rest = fairness.failed[0], len(fairness.failed) - 1
        more = f" ({plural(rest, 'further gap')})" if rest else ""
        return f"The model does not pass: {first.text}, beyond the largest gap of {fairness.max_gap:g}{more}."
    allowed = "" if fairness.max_gap is None else f" None is beyond the largest gap of {fairness.max_gap:g}."
    if fairness.worse:
        return f"Worse off beyond chance: {'; '.join(gap.text for gap in fairness.worse[:3])}.{allowed}"
    return f"No group is worse off by more than {LEAST_GAP:g} beyond chance.{allowed}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _words(name: str) -> str:
    return name.replace("_", " ")
