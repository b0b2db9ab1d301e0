"""The maps of docs/poisoning.md: real federations on ULB, each rule against each attack and number of attackers.

    .venv/bin/python -m benchmarks.poisoning              # about a quarter of an hour on one core
    .venv/bin/python -m benchmarks.poisoning --stored     # measures nothing; page and drawing from the stored figures

What it finds is kept in docs/figures/poisoning.json, as `secure-fl attack poisoning --json` writes it.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks.attack_figures import table
from benchmarks.written_blocks import write_block
from secure_fl.attacks.command import run_command
from secure_fl.cli.progress import show_progress
from secure_fl.report.heat_map import MISSING, HeatMap, draw_maps
from secure_fl.report.poisoning_maps import auprc_maps, backdoor_maps, rule_name
from secure_fl.report.poisoning_page import choices, costs, reasons, signed_text, unharmed_mean, verdict
from secure_fl.report.svg import page_style, to_svg
from secure_fl.report.wording import seconds_text, share_text

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PICTURE, STORED = DOCS / "poisoning.md", DOCS / "poisoning.svg", DOCS / "figures" / "poisoning.json"
SETTINGS: Mapping[str, Any] = {
    "dataset": "ulb",
    "rules": ("none", "median", "trimmed-mean", "norm-clip", "rfa", "multi-krum", "bulyan"),
    "attacks": ("sign-flip", "label-flip", "inner-product", "a-little@1.5", "min-max", "scaled", "backdoor"),
}
COLUMNS, WIDTH = 2, 400

Row = Mapping[str, Any]


def maps_of(report: Mapping[str, Any]) -> tuple[HeatMap, ...]:
    """One for each attack, and that of the backdoor."""
    results, banks = report["results"], report["settings"]["banks"]
    return (*auprc_maps(results, banks), *backdoor_maps(results, banks))


def draw(report: Mapping[str, Any]) -> str:
    """All maps in one drawing, as the text of an SVG file that follows a reader into dark mode."""
    maps = maps_of(report)
    with page_style():
        drawn = to_svg(draw_maps(maps, COLUMNS, WIDTH), "poisoning", "AUPRC by rule, attack and number of attackers")
    sheet = files("secure_fl.report").joinpath("style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    style = (
        f"<style>svg {{ {_flat(light)} font-family: var(--sans); }} "
        f"@media (prefers-color-scheme: dark) {{ svg {{ {_flat(dark)} }} }}</style>"
    )
    opening, rest = str(drawn).split(">", 1)
    return f'{opening} xmlns="http://www.w3.org/2000/svg">{style}{rest}\n'.replace("<svg ", "<svg ", 1)


def _flat(rules: str) -> str:
    return " ".join(line.strip() for line in rules.splitlines() if line.strip().startswith("--"))


def blocks(report: Mapping[str, Any]) -> dict[str, str]:
    """The parts of the page that figures decide, by name."""
    results, settings = report["results"], report["settings"]
    banks = settings["banks"]
    mean = unharmed_mean(results)
    how = (
        f"`{report['command']}`\n\n{banks} banks, {settings['rounds']} rounds of one local epoch, "
        f"{settings['seeds']} seed; guessing has an AUPRC of {mean['guessing']:.4f}. {verdict(results, banks)}"
    )
    return {
        "run": how,
        "auprc": map_table(maps_of(report)),
        "excluded": excluded_table(choices(results, banks)),
        "cost": cost_table(costs(results)),
        "absent": "\n".join(f"- {reason} ({len(cells)} cells)" for reason, cells in reasons(results).items()),
    }


def map_table(maps: Sequence[HeatMap]) -> str:
    """The maps as one table, for whoever cannot see the drawing."""
    head = ("", *maps[0].rows)
    lines = [
        (f"{heat_map.title}, {number}", *(_number(line[place]) for line in heat_map.values))
        for heat_map in maps
        for place, number in enumerate(heat_map.columns)
    ]
    return table(head, lines)


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


def excluded_table(rows: Sequence[Row]) -> str:
    head = ("rule", "attack", "attackers", "poisoned uploads left out", "honest ones left out", "at random")
    return table(
        head,
        [
            (
                row["rule"],
                row["attack"],
                str(row["byzantine"]),
                *(share_text(row[name]) for name in ("rightly_excluded", "wrongly_excluded", "random")),
            )
            for row in rows
        ],
    )


def cost_table(rows: Sequence[Row]) -> str:
    head = ("rule", "attackers expected", "AUPRC", "more than the mean", "aggregator, a round")
    return table(
        head,
        [
            (
                rule_name(row["rule"]),
                str(row["byzantine"]),
                f"{row['auprc']:.3f}",
                signed_text(row["auprc_more"]),
                seconds_text(row["seconds"]),
            )
            for row in rows
        ],
    )


def write_page(report: Mapping[str, Any]) -> None:
    for name, text in blocks(report).items():
        write_block(PAGE, name, text)
    PICTURE.write_text(draw(report), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="The maps of docs/poisoning.md.")
    parser.add_argument("--stored", action="store_true", help="measure nothing; write what is stored")
    if not parser.parse_args().stored:
        run_command("poisoning", "plaintext", STORED, None, show_progress, force=True, **SETTINGS)
    write_page(json.loads(STORED.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
