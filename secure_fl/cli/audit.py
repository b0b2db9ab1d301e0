"""`secure-fl audit`: what drives the scores of a run's model and how groups fare; or have transactions drifted?"""

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
Drift = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        metavar="OLD NEW",
        help="Instead: has NEW moved away from OLD? Two files with the model's columns, or two folders with a file for "
        "each bank, such as bank-1.csv.",
    ),
]
MaxPsi = Annotated[
    float | None,
    typer.Option(help="--drift: fail (exit status 1) where a feature or the score moved by more than this PSI."),
]
Verified = Annotated[
    bool, typer.Option("--verify", help="Instead: are the run's record and its files what was signed?")
]
Key = Annotated[
    str | None,
    typer.Option(help="--verify: whose signature counts, a public key or a PEM file of it.  [default: yours]"),
]
Head = Annotated[
    str | None, typer.Option(help="--verify: the record's last hash, as noted elsewhere when the run ended.")
]


def audit(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that run wrote.")],
    group: Groups = None,
    threshold: Threshold = None,
    max_gap: MaxGap = None,
    rows: Annotated[
        int | None, typer.Option(help="Test rows that each bank explains, at most.  [default: 500]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page.  [default: in RUN_DIR/audit or RUN_DIR/drift]")] = None,
    drift: Drift = None,
    max_psi: MaxPsi = None,
    verified: Verified = False,
    key: Key = None,
    head: Head = None,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Audit the model of a run at its banks: SHAP values and rates by group, added under the run's scheme."""
    if verified:
        if group or drift or any(asked is not None for asked in (threshold, max_gap, rows, out, max_psi)):
            raise ConfigurationError("--verify asks nothing of the model; leave out what does")
        return verify(run_directory, head, key, json_file, force)
    if head or key:
        raise ConfigurationError("--head and --key are for --verify; add it, or leave them out")
    if max_psi is not None and drift is None:
        raise ConfigurationError("--max-psi is for --drift; add it, or leave it out")
    if drift and (group or any(asked is not None for asked in (threshold, max_gap, rows))):
        raise ConfigurationError(
            "--drift looks at no groups, and at all rows; leave out --group, --threshold, --max-gap and --rows"
        )
    say_start()
    if drift:
        from secure_fl.audit.drift.command import run_command as run_drift

        return run_drift(run_directory, *drift, max_psi=max_psi, json_file=json_file, page_file=out, force=force)

    from secure_fl.audit.auditing import Asked
    from secure_fl.audit.command import run_command
    from secure_fl.audit.explaining import ROWS

    asked = Asked(tuple(group or ()), threshold, max_gap, ROWS if rows is None else rows)
    return run_command(run_directory, asked, show_progress, json_file=json_file, page_file=out, force=force)
