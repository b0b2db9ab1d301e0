"""An attack as one self-contained HTML page: what succeeded, beside guessing, and rows as they were and as rebuilt.

Like every page it loads nothing and has no script. It is the only place where rows are shown: of the ULB data, which
are public, or of the simulator, which are nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from secure_fl.report import frame, wording
from secure_fl.secagg.schemes import called

_SHOWN_COLUMNS = 8
"""Columns of a transaction on the page: time and amount first."""


@dataclass(frozen=True)
class ShownRow:
    """A transaction of the victim beside what the attacker made of it."""

    batch: int
    true: Mapping[str, float] = field(repr=False)
    rebuilt: Mapping[str, float] = field(repr=False)
    error: float


@dataclass(frozen=True)
class AttackPage:
    """Everything on the page."""

    attack: str
    scheme: str
    command: str
    settings: Mapping[str, Any]
    results: Sequence[Mapping[str, Any]]
    source: str
    broken_by: tuple[str, ...]
    shown: tuple[ShownRow, ...] = field(repr=False)


def render(page: AttackPage) -> str:
    """The whole page as text. The same findings give the same text."""
    from secure_fl.report import attack_figures  # matplotlib is slow to import, so only when needed

    values = {
        "page": page,
        "heading": _TITLES[page.attack],
        "called": called(page.scheme),
        "scheme": wording.scheme_text(page.scheme),
        "verdict": verdict(page),
        "picture": attack_figures.draw(page.attack, page.results),
        "columns": list(page.shown[0].true)[:_SHOWN_COLUMNS] if page.shown else [],
    }
    filters: dict[str, Callable[..., str]] = {"figure": _figure_text, "interval": _interval_text, "cell": _cell_text}
    return frame.fill("attack.html.j2", _contents(page), values, filters)


def _contents(page: AttackPage) -> dict[str, str]:
    contents = {
        "figures": "How often it succeeds",
        "views": "What else an aggregator can try",
        "rows": "Rows, true and rebuilt",
        "meaning": "What it means",
    }
    absent = {name for name, there in (("views", page.attack == "inversion"), ("rows", page.shown)) if not there}
    return {name: title for name, title in contents.items() if name not in absent}


def verdict(page: AttackPage) -> str:
    """One sentence, derived from the figures alone."""
    if page.attack == "membership":
        parts = [f"{_budget(row)}: {_interval_text(row['success_rate'], row['interval'])}" for row in page.results]
        return f"The attacker's advantage over guessing who was trained on is, {'; '.join(parts)}."
    if page.attack == "audit-epsilon":
        return _audit_verdict(page.results)
    better = [row for row in page.results if row["interval"][0] > row["guessing_interval"][1]]
    best = max(page.results, key=lambda row: float(row["success_rate"]))
    if better:
        return (
            f"The attack succeeds: it rebuilds up to {wording.share_text(best['success_rate'])} of the victim's rows, "
            f"and does better than guessing in {len(better)} of {len(page.results)} settings."
        )
    if best["success_rate"] > best["guessing"]:
        return (
            f"The attack rebuilds up to {wording.share_text(best['success_rate'])} of the victim's rows, but in so few "
            "trials nothing is shown: its intervals overlap with those of blind guesses."
        )
    if any(row.get("uploads_tell") for row in page.results):
        return (
            "No more rows are rebuilt than by guessing, but uploads can be told apart: what travels depends on the "
            "values, or is not uniform."
        )
    return (
        "The attack finds nothing that guessing would not: it rebuilds "
        f"{wording.share_text(best['success_rate'])} of the victim's rows at best, and its intervals overlap "
        "with those of blind guesses."
    )


def _audit_verdict(results: Sequence[Mapping[str, Any]]) -> str:
    worst = max(results, key=lambda row: float(row["audited_epsilon"]))
    shown = f"epsilon is at least {worst['audited_epsilon']:.3g}, seen from {worst['view']}"
    claim = f"epsilon {worst['claimed_epsilon']:.3g} at delta {worst['delta']:g}"
    if any(row["refuted"] for row in results):
        return f"The promise of {claim} is broken: {shown}."
    return f"Nothing contradicts the promise of {claim}: the audit shows that {shown}."


def _budget(row: Mapping[str, Any]) -> str:
    return "without differential privacy" if row["epsilon"] is None else f"at epsilon {row['epsilon']:g}"


def _figure_text(value: float) -> str:
    return f"{value:.3g}"


def _interval_text(value: float, interval: Sequence[float]) -> str:
    return f"{value:.3g} [{interval[0]:.2g}, {interval[1]:.2g}]"


def _cell_text(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1e6 else f"{value:.2e}"


_TITLES = {
    "inversion": "What the aggregator rebuilds from one bank's update",
    "audit-epsilon": "What the training gives away, beside what it promises",
    "membership": "Who was trained on, read from the final model",
    "split-view": "An aggregator that shows banks different stories",
}
