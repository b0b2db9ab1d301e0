"""An attack on a terminal: figures only, never a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from secure_fl.attacks.poisoning.tables import poisoning_tables
from secure_fl.attacks.report import AttackReport
from secure_fl.progress import plain_console
from secure_fl.secagg.schemes import called


def print_attack(report: AttackReport, console: Console | None = None) -> None:
    """One line for each row of results; of poisoning, tables of rules against attackers."""
    console = console or plain_console()
    if report.attack == "poisoning":
        for title, lines in poisoning_tables(report.results):
            _print_lines(console, title, lines)
    else:
        columns = _COLUMNS[report.attack]
        _print_lines(
            console, f"{report.attack} against {called(report.scheme)}", [columns(row) for row in report.results]
        )
    if report.attack == "inversion":
        largest = report.results[-1]
        title = f"what else an aggregator can try, batch of {largest['batch']}"
        _print_lines(console, title, [_view(row) for row in largest["views"]])
        console.print(f"Uniform bytes in uploads: p = {largest['uniformity']['p_value']:.2g}.")
    console.print(_NOTES[report.attack])


def _print_lines(console: Console, title: str, lines: Sequence[Mapping[str, str]]) -> None:
    table = Table(title=title, title_justify="left")
    for name in lines[0]:
        table.add_column(name, justify="left" if name in _WORDS else "right", overflow="fold")
    for line in lines:
        table.add_row(*line.values())
    console.print(table)


def interval_text(figure: float, interval: Sequence[float]) -> str:
    """0.5 [0.31, 0.69]"""
    return f"{figure:.3g} [{interval[0]:.2g}, {interval[1]:.2g}]"


def _inversion(row: Mapping[str, Any]) -> dict[str, str]:
    alone, opened = row["matching_alone"], row["opened_sum"]
    return {
        "batch": str(row["batch"]),
        "rows rebuilt": interval_text(row["success_rate"], row["interval"]),
        "within 0.1 %": interval_text(row["exact_rate"], row["exact_interval"]),
        "guessing": interval_text(row["guessing"], row["guessing_interval"]),
        "matching alone": f"{alone['success_rate']:.3g}",
        "from the opened sum": interval_text(opened["success_rate"], opened["interval"]),
    }


def _view(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "view": row["view"],
        "needs": row["needs"],
        "told apart (guessing: 0.5)": interval_text(row["told_apart"], row["told_apart_interval"]),
        "rows rebuilt": interval_text(row["success_rate"], row["interval"]) if "rows" in row else "",
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


def _audit(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "seen from": row["view"],
        "steps": f"{row['rounds']} x {row['steps_a_round']}",
        "promised": f"{row['claimed_epsilon']:.3g}",
        "shown": f"{row['audited_epsilon']:.3g}",
        "right": f"{row['right']}/{row['guesses']}",
        "at best": f"{row['highest_possible']:.3g}",
        "promise": "REFUTED" if row["refuted"] else "not refuted",
    }


_COLUMNS = {"inversion": _inversion, "split-view": _split_view, "membership": _membership, "audit-epsilon": _audit}
_WORDS = ("how", "outcome", "seen from", "promise", "view", "needs", "rule", "attack", "why")
_NOTES = {
    "inversion": "Shares of rows, with 95 % intervals over trials. From the opened sum: rows of any bank, from what "
    "every scheme opens on purpose; only large batches and differential privacy protect it.",
    "split-view": "Shares of the victim's rows, with 95 % intervals over trials. The aggregator breaks the protocol. "
    "Withheld-shares is for masked, the one scheme with shares of masks.",
    "membership": "TPR - FPR with 95 % intervals over pools; guessing has 0. Bound: what (epsilon, delta) "
    "leaves to any attack.",
    "audit-epsilon": "Epsilon that is promised, and that right guesses of who was trained on show at least, at 95 %, "
    "each row by itself. More than the promise refutes it; less proves nothing. At best: if every guess were right.",
    "poisoning": "Frauds pass below the threshold where the same rule's model without attackers finds 80 % of them, so "
    "that at most 0.2 pass there. Left out: shares of poisoned and of honest uploads, of rules that leave updates out.",
}
