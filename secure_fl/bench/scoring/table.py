"""The benchmark on a terminal, a table for each model, and the same rows for documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from secure_fl.bench.peers.scoring import SCORING_PEERS
from secure_fl.bench.scoring.benchmark import ScoringBenchmark
from secure_fl.bench.scoring.ours import HIDDEN
from secure_fl.bench.scoring.ratios import Ratio
from secure_fl.bench.scoring.rows import Row
from secure_fl.progress import plain_console
from secure_fl.report.wording import bytes_text, count_text, seconds_text, small_text


def print_benchmark(benchmark: ScoringBenchmark, console: Console | None = None) -> None:
    """Rows by model, what could not be measured, and how ours compare."""
    console = console or plain_console()
    for name in dict.fromkeys(row.model for row in benchmark.rows):
        rows = [row for row in benchmark.rows if row.model == name]
        console.print(_model_table(name, [row for row in rows if row.measured]))
        for row in rows:
            if not row.measured:
                console.print(f"{title(row.design)}: {row.status}: {(row.note or '').removeprefix(f'{row.status}: ')}")
        for ratio in benchmark.ratios:
            if ratio.model == name:
                console.print(ratio_text(ratio))
        console.print()
    console.print(
        "a row: encrypting, scoring and opening, in seconds of the processor. error: largest, against the same network "
        f"in float64. {benchmark.machine['processor']}, {benchmark.machine['cores']} cores"
    )


def title(design: str) -> str:
    """A peer's name for people; ours as they are."""
    return SCORING_PEERS[design].title if design in SCORING_PEERS else design


def ratio_text(ratio: Ratio) -> str:
    """One line."""
    right = "" if ratio.peer_correct else ", whose scores are wrong"
    return f"{ratio.design}: {_number(ratio.ratio)} times as fast as {title(ratio.peer)} ({ratio.against}{right})"


def _model_table(name: str, rows: Sequence[Row]) -> Table:
    table = Table(title=name, title_justify="left")
    table.add_column("design", overflow="fold")
    for column in ("rows", "a row", "up a row", "keys", "error", "scores"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            title(row.design),
            count_text(row.rows),
            seconds_text(row.seconds_per_row or 0),
            bytes_text(row.upload_bytes_per_row or 0),
            bytes_text(row.key_bytes or 0),
            small_text(row.max_abs_error or 0),
            _verdict(row.correct),
        )
    return table


def ours_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Our rows with bounds and AUPRC, one line a model and layout."""
    lines = [
        "| design | model | ms a row | up, bytes a row | keys | AUPRC encrypted / plain | max error | bound | usual |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["peer"] or row["status"] != "measured":
            continue
        scores = "-"
        if row["auprc_plain"] is not None:
            scores = f"{row['auprc_encrypted']:.5f} / {row['auprc_plain']:.5f}"
        lines.append(
            f"| {row['design']} | {row['model']} | {_number(row['seconds_per_row'] * 1e3)} "
            f"| {row['upload_bytes_per_row']:,.0f} | {_size(row['key_bytes'])} | {scores} "
            f"| {row['max_abs_error']:.1e} | {row['error_bound']:.2g} | {row['usual_error_bound']:.2g} |"
        )
    return "\n".join(lines)


def peers_markdown(rows: Sequence[Mapping[str, Any]], models: Sequence[str]) -> str:
    """Ours, but for what hides the model, beside the peers on these models, by layout; peers in italics."""
    lines = [
        "| model | layout | | rows | ms a row | up, bytes a row | keys | max error | scores |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model in models:
        for layout in ("batched", "single"):
            shown = [
                row for row in rows if (row["model"], row["layout"]) == (model, layout) and row["design"] != HIDDEN
            ]
            lines += [_peer_line(row) for row in shown]
    return "\n".join(lines)


def _peer_line(row: Mapping[str, Any]) -> str:
    name = f"*{title(row['design'])}*" if row["peer"] else "**secure_fl**"
    start = f"| {row['model']} | {row['layout']} | {name} "
    if row["status"] != "measured":
        return f"{start}| | | | | | {row['status']} |"
    return (
        f"{start}| {row['rows']:,} | {_number(row['seconds_per_row'] * 1e3)} | {row['upload_bytes_per_row']:,.0f} "
        f"| {_size(row['key_bytes'])} | {row['max_abs_error']:.1e} | {_verdict(row['correct'])} |"
    )


def ratios_markdown(ratios: Sequence[Mapping[str, Any]]) -> str:
    """How many times as long others take for a row as ours do, one line for each of ours."""
    lines = ["| model | ours | tutorial as it is | tutorial, scores right | best peer |", "|---|---|---|---|---|"]
    for model, design in dict.fromkeys((ratio["model"], ratio["design"]) for ratio in ratios):
        mine = [ratio for ratio in ratios if (ratio["model"], ratio["design"]) == (model, design)]
        taught = [ratio for ratio in mine if ratio["against"] == "tutorial"]
        columns = (
            [ratio for ratio in taught if ratio["peer"].endswith("-tutorial")],
            [ratio for ratio in taught if ratio["peer_correct"]],
            [ratio for ratio in mine if ratio["against"] == "best peer"],
        )
        cells = [f"{_number(found[0]['ratio'])} ({title(found[0]['peer'])})" if found else "-" for found in columns]
        lines.append(f"| {model} | {design} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _verdict(correct: bool) -> str:
    return "right" if correct else "WRONG"


def _size(count: int) -> str:
    return f"{count} B" if count < 1000 else f"{count / 1e6:,.2f} MB"
