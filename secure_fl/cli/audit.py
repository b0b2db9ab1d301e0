"""`secure-fl audit`: what drives the scores of a run's model, and how groups fare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.audit_verify import verify
from secure_fl.cli.progress import say_start, show_progress
from secure_fl.cli.words import Force, Json
from secure_fl.errors import ConfigurationError

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
    verified: Annotated[
        bool, typer.Option("--verify", help="Instead: are the run's record and its files what was signed?")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(help="--verify: whose signature counts, a public key or a PEM file of it.  [default: yours]"),
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="--verify: the record's last hash, as noted elsewhere when the run ended.")
    ] = None,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Audit the model of a run at its banks: SHAP values and rates by group, added under the run's scheme."""
    if verified:
        if group or threshold is not None or max_gap is not None or out is not None:
            raise ConfigurationError("--verify asks nothing of the model; leave out what does")
        return verify(run_directory, head, key, json_file, force)
    if head or key:
        raise ConfigurationError("--head and --key are for --verify; add it, or leave them out")
    say_start()

    from secure_fl.audit.auditing import Asked
    from secure_fl.audit.command import run_command

    asked = Asked(tuple(group or ()), threshold, max_gap, rows)
    return run_command(run_directory, asked, show_progress, json_file=json_file, page_file=out, force=force)
