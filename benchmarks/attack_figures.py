"""The figures of docs/attacks.md: runs the attacks, keeps their JSON in docs/figures, writes the tables.

    .venv/bin/python -m benchmarks.attack_figures                   # all; about an hour on two cores
    .venv/bin/python -m benchmarks.attack_figures --only audit      # one of audit, inversion, membership
    .venv/bin/python -m benchmarks.attack_figures --tables          # the tables again, from the JSON that is there

No figure on that page is written by hand: a test compares each table with its JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.written_blocks import write_block
from secure_fl.attacks.command import run_command
from secure_fl.cli.progress import show_progress

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "attacks.md"
Report = Mapping[str, Any]

RUNS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "audit": ("audit-epsilon", "plaintext", {}),
    "inversion-plaintext": ("inversion", "plaintext", {}),
    "inversion-masked": ("inversion", "masked", {}),
    "membership": ("membership", "plaintext", {"pools": 4, "models": 8, "epsilons": (float("inf"), 3.0)}),
}
"""File -> attack, scheme, and settings other than the attack's own."""


def figures_of(name: str) -> Report:
    """What a run found, as it is kept beside the page."""
    report: Report = json.loads((DOCS / "figures" / f"attack-{name}.json").read_text(encoding="utf-8"))
    return report


def with_interval(value: float, interval: Sequence[float]) -> str:
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines))


def audit_table() -> str:
    report = figures_of("audit")
    head = ("seen from", "rounds x steps", "promised", "shown, at least", "right guesses", "if all were right")
    lines = [
        (
            row["view"],
            f"{row['rounds']} x {row['steps_a_round']}",
            f"{row['claimed_epsilon']:.2f}",
            f"{row['audited_epsilon']:.2f}",
            f"{row['right']} of {row['guesses']}",
            f"{row['highest_possible']:.2f}",
        )
        for row in report["results"]
    ]
    return _with_command(report, table(head, lines))


def inversion_table() -> str:
    plain, masked = figures_of("inversion-plaintext"), figures_of("inversion-masked")
    head = (
        "rows in the batch",
        "plaintext: within 5 %",
        "within 0.1 %",
        "guessing",
        "masked: within 5 %",
        "opened sum (plaintext, float32)",
        "opened sum (masked, 16 bits)",
    )
    lines = [
        (
            str(seen["batch"]),
            with_interval(seen["success_rate"], seen["interval"]),
            with_interval(seen["exact_rate"], seen["exact_interval"]),
            with_interval(seen["guessing"], seen["guessing_interval"]),
            with_interval(hidden["success_rate"], hidden["interval"]),
            with_interval(seen["opened_sum"]["success_rate"], seen["opened_sum"]["interval"]),
            with_interval(hidden["opened_sum"]["success_rate"], hidden["opened_sum"]["interval"]),
        )
        for seen, hidden in zip(plain["results"], masked["results"], strict=True)
    ]
    return _with_command(plain, table(head, lines))


def views_table() -> str:
    report = figures_of("inversion-masked")
    batches = [row["batch"] for row in report["results"]]
    head = ("view", "it needs", "told apart", *(f"rows rebuilt, batch of {batch}" for batch in batches))
    lines = []
    for place, view in enumerate(report["results"][0]["views"]):
        found = [row["views"][place] for row in report["results"]]
        apart = [f"{row['told_apart']:.2f}" for row in found]
        told = f"{min(apart)} to {max(apart)}" if min(apart) < max(apart) else apart[0]
        shares = [with_interval(row["success_rate"], row["interval"]) if "rows" in row else "-" for row in found]
        lines.append((view["view"], view["needs"], told, *shares))
    smallest = min(row["uniformity"]["p_value"] for row in report["results"])
    note = f"Smallest p-value of {len(batches)} that an upload's bytes are uniform: {smallest:.2g}."
    return _with_command(report, table(head, lines)) + f"\n\n{note}"


def membership_table() -> str:
    report = figures_of("membership")
    head = ("", "LiRA, all records", "LiRA, frauds", "loss threshold", "bound", "TPR at FPR 1 %, all", "frauds")
    lines = [
        (
            "no DP" if row["epsilon"] is None else f"epsilon {row['epsilon']:g}",
            *(
                f"{row[name]['advantage']:.3f} [{row[name]['interval'][0]:.3f}, {row[name]['interval'][1]:.3f}]"
                for name in ("lira", "lira_on_frauds", "loss")
            ),
            "1" if row["bound"] is None else f"{row['bound']:.3f}",
            f"{row['lira']['tpr_at_fpr_0.01']:.3f}",
            f"{row['lira_on_frauds']['tpr_at_fpr_0.01']:.3f}",
        )
        for row in report["results"]
    ]
    return _with_command(report, table(head, lines))


TABLES: Mapping[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "audit": (audit_table, ("audit",)),
    "inversion": (inversion_table, ("inversion-plaintext", "inversion-masked")),
    "views": (views_table, ("inversion-masked",)),
    "membership": (membership_table, ("membership",)),
}
"""Block of the page -> what writes it, and the runs that it comes from."""


def _with_command(report: Report, text: str) -> str:
    return f"`{report['command']}`\n\n{text}"


def main() -> None:
    parser = argparse.ArgumentParser(description="The figures of docs/attacks.md.")
    parser.add_argument("--only", choices=("audit", "inversion", "membership"), help="one of the attacks")
    parser.add_argument("--tables", action="store_true", help="no attack; the tables from the JSON that is there")
    chosen = parser.parse_args()
    prefix = chosen.only or ""
    for name, (attack, scheme, settings) in RUNS.items():
        if name.startswith(prefix) and not chosen.tables:
            run_command(attack, scheme, DOCS / "figures" / f"attack-{name}.json", None, show_progress, **settings)
    for block, (write, sources) in TABLES.items():
        if any(source.startswith(prefix) for source in sources):
            write_block(PAGE, block, write())


if __name__ == "__main__":
    main()
