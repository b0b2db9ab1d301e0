"""`secure-fl audit`: what drives the scores of a run's model, and how groups fare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.progress import say_start, show_progress
from secure_fl.cli.words import Force, Json

Groups = Annotated[
    list[str] | None,
    typer.Option("--group", help="Compare groups: a categorical column, a number with edges (age:30,50), or bank."),
]
MaxGap = Annotated[
    float | None,
    typer.Option(help="Fail (exit status 1) where false positives or recall of a group are worse by more than this."),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Score from which a row is flagged.  [default: where 5 % of honest rows are]"),
]


def audit(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that run wrote.")],
    group: Groups = None,
    threshold: Threshold = None,
    max_gap: MaxGap = None,
    rows: Annotated[int, typer.Option(help="Test rows that each bank explains, at most.")] = 500,
    out: Annotated[Path | None, typer.Option(help="The page.  [default: RUN_DIR/audit/report.html]")] = None,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Audit the model of a run at its banks: SHAP values and rates by group, added under the run's scheme."""
    say_start()

    from secure_fl.audit.auditing import Asked
    from secure_fl.audit.command import run_command

    asked = Asked(tuple(group or ()), threshold, max_gap, rows)
    run_command(run_directory, asked, show_progress, json_file=json_file, page_file=out, force=force)
