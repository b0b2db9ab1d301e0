"""Poisoning as one self-contained page: maps of rules against attackers, who was left out, what robustness costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from secure_fl.report import frame, wording
from secure_fl.report.attack_page import AttackPage

Row = Mapping[str, Any]
NONE = "none"

CONTENTS = {
    "auprc": "What the model is worth",
    "backdoor": "What passes through a backdoor",
    "excluded": "Who was left out, and whether rightly",
    "cost": "What robustness costs where nobody attacks",
    "absent": "What could not be tried",
    "figures": "All figures",
    "meaning": "How it was measured",
}


def render(page: AttackPage) -> str:
    """The whole page as text. The same findings give the same text."""
    from secure_fl.report import poisoning_maps  # matplotlib is slow to import, so only when needed

    results, banks = page.results, page.settings["banks"]
    auprc, backdoor = poisoning_maps.auprc_maps(results, banks), poisoning_maps.backdoor_maps(results, banks)
    values = {
        "page": page,
        "scheme": wording.scheme_text(page.scheme),
        "dataset": wording.dataset_text(page.settings["dataset"]),
        "verdict": verdict(results, banks),
        "maps": [poisoning_maps.draw(each, f"auprc-{place}") for place, each in enumerate(auprc)],
        "side_by_side": all(map(poisoning_maps.side_by_side, auprc)),
        "top": max((each.top for each in auprc), default=0.0),
        "backdoors": [poisoning_maps.draw(each, f"backdoor-{place}") for place, each in enumerate(backdoor)],
        "choices": choices(results, banks),
        "costs": costs(results),
        "reasons": reasons(results),
        "guessing": results[0]["guessing"],
    }
    absent = {
        name for name, there in (("auprc", auprc), ("backdoor", backdoor), ("excluded", values["choices"]),
                                 ("cost", values["costs"]), ("absent", values["reasons"])) if not there
    }  # fmt: skip
    contents = {name: title for name, title in CONTENTS.items() if name not in absent}
    filters: dict[str, Callable[..., str]] = {
        "rule": poisoning_maps.rule_name,
        "signed": signed_text,
        "milliseconds": milliseconds_text,
    }
    return frame.fill("poisoning.html.j2", contents, values, filters)


def verdict(results: Sequence[Row], banks: int) -> str:
    """One or two sentences, derived from the figures alone."""
    mean = unharmed_mean(results)
    if mean["auprc"] is None:
        return f"Not even honest banks came to a model: {mean['reason']}."
    said = f"Where nobody attacks, the mean reaches an AUPRC of {mean['auprc']:.2f}."
    worst = worst_by_rule(results)
    if not worst:
        return said
    number = max(row["byzantine"] for row in worst.values())
    there = {rule: row for rule, row in worst.items() if row["byzantine"] == number}
    said += f" With {number} of {banks} banks attacking, the worst of the attacks leaves "
    parts = [f"{row['auprc']:.2f} to the mean ({row['attack']})" for rule, row in there.items() if rule == NONE]
    rules = [row for rule, row in there.items() if rule != NONE]
    if rules:
        best = max(rules, key=lambda row: float(row["auprc"]))
        parts.append(f"{best['auprc']:.2f} to {best['rule']} ({best['attack']}), the rule that keeps most")
    return said + ", and ".join(parts) + "."


def unharmed_mean(results: Sequence[Row]) -> Row:
    """The mean where nobody attacks, which all others are compared with."""
    return next(row for row in results if (row["rule"], row["attack"], row["byzantine"]) == (NONE, NONE, 0))


def worst_by_rule(results: Sequence[Row]) -> dict[str, Row]:
    """For each rule, the attack that leaves least of it, with the most attackers that it has figures for."""
    worst: dict[str, Row] = {}
    for row in results:
        if row["attack"] != NONE and row["auprc"] is not None:
            before = worst.get(row["rule"])
            if before is None or (-row["byzantine"], row["auprc"]) < (-before["byzantine"], before["auprc"]):
                worst[row["rule"]] = row
    return worst


def choices(results: Sequence[Row], banks: int) -> list[dict[str, Any]]:
    """A line for each attack on a rule that leaves whole updates out, with what leaving out at random would do."""
    return [
        {**row, "random": _share_left_out(row, banks)}
        for row in results
        if row["attack"] != NONE and row["rightly_excluded"] is not None
    ]


def costs(results: Sequence[Row]) -> list[dict[str, Any]]:
    """Of each rule: what it loses beside the mean where nobody attacks, and it expects most attackers."""
    mean = unharmed_mean(results)
    unharmed = [row for row in results if row["attack"] == NONE and row["auprc"] is not None]
    dearest = {row["rule"]: row for row in sorted(unharmed, key=lambda row: int(row["byzantine"]))}
    return [
        {**row, "auprc_more": row["auprc"] - mean["auprc"], "seconds_more": row["seconds"] - mean["seconds"]}
        for row in dearest.values()
        if row["rule"] != NONE and mean["auprc"] is not None
    ]


def reasons(results: Sequence[Row]) -> dict[str, list[str]]:
    """Why there is no figure -> the cells of which this is true."""
    found: dict[str, list[str]] = {}
    for row in results:
        if row["reason"] is not None:
            attack = "nobody attacks" if row["attack"] == NONE else row["attack"]
            found.setdefault(row["reason"], []).append(f"{row['rule']}, {attack}, {row['byzantine']}")
    return found


def signed_text(value: float) -> str:
    """A difference with its sign, three decimals; none that rounds to nothing."""
    return "0.000" if abs(value) < 5e-4 else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def milliseconds_text(seconds: float) -> str:
    """A difference of seconds with its sign, in milliseconds."""
    return f"{1e3 * seconds:+.1f} ms".replace("-", "\N{MINUS SIGN}")


def _share_left_out(row: Row, banks: int) -> float:
    honest = banks - row["byzantine"]
    left_out: float = row["rightly_excluded"] * row["byzantine"] + row["wrongly_excluded"] * honest
    return left_out / banks
