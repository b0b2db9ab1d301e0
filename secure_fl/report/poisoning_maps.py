"""The maps of poisoning: what a model is worth under each rule, and what passes through a backdoor, by attackers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from secure_fl.report.figures import WIDE
from secure_fl.report.heat_map import HeatMap, draw_map
from secure_fl.report.pictures import Picture, both
from secure_fl.report.svg import ACCENT, WARM, page_style

Row = Mapping[str, Any]
BACKDOOR, NONE = "backdoor", "none"
_HALF = 366
MOST_BESIDE = 7
"""With more columns, maps stand below each other."""


def rule_name(rule: str) -> str:
    """As a reader would say it: no rule is the mean."""
    return "mean" if rule == NONE else rule


def auprc_maps(results: Sequence[Row], banks: int) -> tuple[HeatMap, ...]:
    """A map for each attack, all on one scale, whose top is the highest AUPRC of all."""
    top = max((row["auprc"] for row in results if row["auprc"] is not None), default=0.0)
    return tuple(_map(attack, results, "auprc", attack, banks, ACCENT, top) for attack in attacks_of(results))


def backdoor_maps(results: Sequence[Row], banks: int) -> tuple[HeatMap, ...]:
    """One for each strength of the backdoor; none where none was tried. 1 has the strongest shade."""
    return tuple(
        _map(f"{attack}: frauds that pass", results, "backdoor_success", attack, banks, WARM, 1.0)
        for attack in attacks_of(results)
        if attack.partition("@")[0] == BACKDOOR
    )


def side_by_side(heat_map: HeatMap) -> bool:
    """Whether two of its size stand beside each other on a desk."""
    return len(heat_map.columns) <= MOST_BESIDE


def draw(heat_map: HeatMap, name: str) -> Picture:
    """A map for a desk and for a phone."""
    wide = _HALF if side_by_side(heat_map) else WIDE
    with page_style():
        return both(name, heat_map.label, lambda width: draw_map(heat_map, width), wide)


def attacks_of(results: Sequence[Row]) -> tuple[str, ...]:
    """In the order of the rows."""
    return tuple(dict.fromkeys(row["attack"] for row in results if row["attack"] != NONE))


def rules_of(results: Sequence[Row]) -> tuple[str, ...]:
    """Those that were attacked, in the order of the rows."""
    return tuple(dict.fromkeys(row["rule"] for row in results if row["attack"] != NONE))


def _map(title: str, results: Sequence[Row], figure: str, attack: str, banks: int, color: str, top: float) -> HeatMap:
    """With no attacker every rule is shown as it is where it expects none."""
    found = {(row["rule"], row["byzantine"]): row[figure] for row in results if row["attack"] == attack}
    found |= {(row["rule"], 0): row[figure] for row in results if row["attack"] == NONE and row["byzantine"] == 0}
    rules, numbers = rules_of(results), sorted({number for _, number in found})
    return HeatMap(
        title=title,
        rows=tuple(map(rule_name, rules)),
        columns=tuple(map(str, numbers)),
        axis=f"Attackers among {banks} banks",
        values=tuple(tuple(found.get((rule, number)) for number in numbers) for rule in rules),
        color=color,
        top=top,
    )
