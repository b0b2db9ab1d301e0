"""An attack on a terminal: figures only, never a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from secure_fl.attacks.report import AttackReport


def print_attack(report: AttackReport, console: Console | None = None) -> None:
    """One line for each row of results."""
    console = console or Console()
    columns = {"inversion": _inversion, "split-view": _split_view, "membership": _membership}[report.attack]
    lines = [columns(row) for row in report.results]
    table = Table(title=f"{report.attack} against {report.scheme}", title_justify="left")
    for name in lines[0]:
        table.add_column(name, justify="left" if name in ("how", "outcome") else "right", overflow="fold")
    for line in lines:
        table.add_row(*line.values())
    console.print(table)
    console.print(_NOTES[report.attack], highlight=False)


def interval_text(figure: float, interval: Sequence[float]) -> str:
    """0.5 [0.31, 0.69]"""
    return f"{figure:.3g} [{interval[0]:.2g}, {interval[1]:.2g}]"


def _inversion(row: Mapping[str, Any]) -> dict[str, str]:
    alone, opened = row["matching_alone"], row["opened_sum"]
    return {
        "batch": str(row["batch"]),
        "rows rebuilt": interval_text(row["success_rate"], row["interval"]),
        "exactly": f"{row['exact_rate']:.3g}",
        "guessing": interval_text(row["guessing"], row["guessing_interval"]),
        "matching alone": f"{alone['success_rate']:.3g}",
        "from the opened sum": interval_text(opened["success_rate"], opened["interval"]),
    }


def _split_view(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "how": row["variant"],
        "batch": str(row["batch"]),
        "rows rebuilt": interval_text(row["success_rate"], row["interval"]),
        "guessing": interval_text(row["guessing"], row["guessing_interval"]),
        "outcome": "the sum was opened" if row["refusal"] is None else f"refused: {row['refusal']}",
    }


def _membership(row: Mapping[str, Any]) -> dict[str, str]:
    frauds, loss = row["lira_on_frauds"], row["loss"]
    return {
        "epsilon": "no DP" if row["epsilon"] is None else f"{row['epsilon']:g}",
        "LiRA": interval_text(row["success_rate"], row["interval"]),
        "on frauds": interval_text(frauds["advantage"], frauds["interval"]),
        "loss": interval_text(loss["advantage"], loss["interval"]),
        "guessing": "0",
        "bound": "1" if row["bound"] is None else f"{row['bound']:.3g}",
        "TPR at FPR 1 %, frauds": f"{frauds['tpr_at_fpr_0.01']:.3g}",
    }


_NOTES = {
    "inversion": "Shares of rows, with 95 % intervals over trials. From the opened sum: rows of any bank, from what "
    "every scheme opens on purpose; only large batches and differential privacy protect it.",
    "split-view": "Shares of the victim's rows, with 95 % intervals over trials. The aggregator breaks the protocol.",
    "membership": "TPR - FPR with 95 % intervals over target models; guessing has 0. Bound: what (epsilon, delta) "
    "leaves to any attack.",
}
