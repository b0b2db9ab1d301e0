"""The `bench claims` command: measure, write the files, and show the reductions on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from secure_fl.bench.claims.intervals import Reduction
from secure_fl.bench.claims.measuring import CLAIMED_DETECTION, CLAIMED_POSITIVES, COMPARISONS, SEEDS, Claims
from secure_fl.bench.claims.page import percent, way_text
from secure_fl.bench.claims.run import run_claims
from secure_fl.progress import ShowProgress


def run_command(
    *,
    seeds: int = SEEDS,
    quick: bool = False,
    json_file: Path | None = None,
    markdown_file: Path | None = None,
    svg_file: Path | None = None,
    force: bool = False,
    show_progress: ShowProgress,
) -> None:
    """Measure both claims; see `run_claims`."""
    with show_progress() as progress:
        claims = run_claims(
            seeds,
            quick=quick,
            json_file=json_file,
            markdown_file=markdown_file,
            svg_file=svg_file,
            force=force,
            progress=progress,
        )
    print_claims(claims)


def print_claims(claims: Claims, console: Console | None = None) -> None:
    """A line for each headline comparison: the reduction with its interval, beside the article's figure."""
    table = Table(title="Reductions over seeds; all intervals hold at once with 95 %", title_justify="left")
    for name in ("what", "of which against which", "reduction", "article"):
        table.add_column(name, overflow="fold")
    for case in claims.cases:
        local, pooled = claims.fewer_positives(case)
        where = f"{case.dataset}, split {case.split}: federated against"
        _add(table, "false positives at recall 0.8", f"{where} local", local, CLAIMED_POSITIVES)
        _add(table, "false positives at recall 0.8", f"{where} pooled", pooled, None)
    for way, other in COMPARISONS:
        found = claims.faster(way, other).all_banks
        _add(table, "days to detection", f"{way_text(way)} against {way_text(other)}", found, CLAIMED_DETECTION)
    (console or Console()).print(table)


def _add(table: Table, what: str, which: str, found: Reduction, claimed: float | None) -> None:
    article = "" if claimed is None else f"{100 * claimed:.0f} %: the interval is {found.beside(claimed)}"
    table.add_row(what, which, escape(percent(found)), article)
