"""Poisoning on a terminal: tables narrow enough for one, rules and attacks down, attackers across."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from secure_fl.attacks.poisoning.cells import NONE, named
from secure_fl.attacks.poisoning.trial import BACKDOOR

Row = Mapping[str, Any]
Table = tuple[str, list[dict[str, str]]]


def poisoning_tables(results: Sequence[Row]) -> Iterator[Table]:
    """Title and lines of each; those that would be empty are left out."""
    across = "by number of attackers"
    yield f"AUPRC, {across}", _across(results, "auprc")
    backdoors = [row for row in results if named(row["attack"])[0] in (NONE, BACKDOOR)]
    if any(row["attack"] != NONE for row in backdoors):
        yield f"frauds that pass with the backdoor's pattern, {across}", _across(backdoors, "backdoor_success")
    if any(row["rightly_excluded"] is not None for row in results):
        chosen = [row for row in results if row["wrongly_excluded"] is not None and row["attack"] != NONE]
        yield f"poisoned uploads left out, {across}", _across(chosen, "rightly_excluded")
        yield f"honest uploads left out, {across}", _across(chosen, "wrongly_excluded")
    quiet = [row for row in results if row["attack"] == NONE and row["auprc"] is not None]
    yield "where nobody attacks", [_unharmed(row) for row in quiet]
    reasons = {row["reason"]: row for row in reversed(results) if row["reason"] is not None}
    if reasons:
        yield "what could not be tried, first of each kind", [_why(row) for row in reversed(reasons.values())]


def _across(results: Sequence[Row], figure: str) -> list[dict[str, str]]:
    """A line for each rule and attack. Where nobody attacks, the rule expects nobody."""
    attacked = [row for row in results if row["attack"] != NONE]
    unharmed = {row["rule"]: row for row in results if row["attack"] == NONE and row["byzantine"] == 0}
    kinds = dict.fromkeys((row["rule"], row["attack"]) for row in attacked)
    found = {(row["rule"], row["attack"], row["byzantine"]): row for row in attacked}
    found |= {(rule, attack, 0): unharmed[rule] for rule, attack in kinds if rule in unharmed}
    numbers = sorted({number for _, _, number in found})
    return [
        {"rule": rule, "attack": attack}
        | {str(number): _known(found.get((rule, attack, number), {}).get(figure)) for number in numbers}
        for rule, attack in kinds
    ]


def _unharmed(row: Row) -> dict[str, str]:
    return {
        "rule": row["rule"],
        "attackers expected": str(row["byzantine"]),
        "AUPRC": _known(row["auprc"]),
        "aggregator, ms a round": f"{1e3 * row['seconds']:.1f}",
    }


def _why(row: Row) -> dict[str, str]:
    return {"rule": row["rule"], "attack": row["attack"], "attackers": str(row["byzantine"]), "why": row["reason"]}


def _known(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.2f}"
