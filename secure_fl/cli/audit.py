"""`secure-fl audit`: what drives a run's scores, and how groups fare; or drift, its record, or a draft of a DPIA."""

from __future__ import annotations

from collections.abc import Mapping
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
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        help="Instead: are scores probabilities? Learns a map from the earlier half of the test rows, measures it on "
        "the later half, and writes RUN_DIR/calibration/calibration.json for score --calibration.",
    ),
]
Verified = Annotated[
    bool, typer.Option("--verify", help="Instead: are the run's record and its files what was signed?")
]
Dpia = Annotated[
    bool,
    typer.Option(
        "--dpia",
        help="Instead: draft a data protection impact assessment (GDPR, Article 35) from what the run recorded.",
    ),
]
LayoutOfDpia = Annotated[
    str | None,
    typer.Option("--layout", help="--dpia: edpb (the order of its template) or cnil (of its method).  [default: edpb]"),
]
Key = Annotated[
    str | None,
    typer.Option(help="--verify, --dpia: whose signature counts, a public key or a PEM file of it.  [default: yours]"),
]
Head = Annotated[
    str | None, typer.Option(help="--verify, --dpia: the record's last hash, as noted elsewhere when the run ended.")
]
Rows = Annotated[int | None, typer.Option(help="Test rows that each bank explains, at most.  [default: 500]")]
Out = Annotated[Path | None, typer.Option(help="The page.  [default: in RUN_DIR/audit, drift, calibration or dpia]")]
_TAKES = {
    None: {"--group", "--threshold", "--max-gap", "--rows", "--out"},
    "--verify": {"--key", "--head"},
    "--dpia": {"--layout", "--key", "--head", "--out"},
    "--drift": {"--max-psi", "--out"},
    "--calibrate": {"--out"},
}
"""What can be asked, None being the audit itself, and the options that belong to it."""


def audit(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that run wrote.")],
    group: Groups = None,
    threshold: Threshold = None,
    max_gap: MaxGap = None,
    rows: Rows = None,
    out: Out = None,
    drift: Drift = None,
    max_psi: MaxPsi = None,
    calibrated: Calibrate = False,
    verified: Verified = False,
    dpia: Dpia = False,
    layout: LayoutOfDpia = None,
    key: Key = None,
    head: Head = None,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Audit the model of a run at its banks: SHAP values and rates by group, added under the run's scheme."""
    questions = {"--verify": verified, "--dpia": dpia, "--drift": drift, "--calibrate": calibrated}
    more: dict[str, object] = {"--group": group or None, "--threshold": threshold, "--max-gap": max_gap, "--rows": rows}
    more |= {"--out": out, "--max-psi": max_psi, "--layout": layout, "--key": key, "--head": head}
    _require_one_question([name for name, asked in questions.items() if asked], more)
    if verified:
        return verify(run_directory, head, key, json_file, force)
    if dpia:
        from secure_fl.audit.dpia.command import run_command as run_dpia

        return run_dpia(run_directory, layout, key=key, head=head, json_file=json_file, page_file=out, force=force)
    say_start()
    if calibrated:
        from secure_fl.audit.calibration.command import run_command as run_calibration

        return run_calibration(run_directory, json_file=json_file, page_file=out, force=force)
    if drift:
        from secure_fl.audit.drift.command import run_command as run_drift

        return run_drift(run_directory, *drift, max_psi=max_psi, json_file=json_file, page_file=out, force=force)

    from secure_fl.audit.auditing import Asked
    from secure_fl.audit.command import run_command
    from secure_fl.audit.explaining import ROWS

    asked = Asked(tuple(group or ()), threshold, max_gap, ROWS if rows is None else rows)
    return run_command(run_directory, asked, show_progress, json_file=json_file, page_file=out, force=force)


def _require_one_question(asked: list[str], more: Mapping[str, object]) -> None:
    """Raises `ConfigurationError` where two things are asked at once, or options belong to another one."""
    if len(asked) > 1:
        raise ConfigurationError(f"{' and '.join(asked)} ask for different things; ask one at a time")
    question = asked[0] if asked else None
    for option, value in more.items():
        if value is None or option in _TAKES[question]:
            continue
        if question is not None:
            raise ConfigurationError(f"{option} is not for {question}; leave it out")
        takers = [name for name, taken in _TAKES.items() if name and option in taken]
        raise ConfigurationError(f"{option} is for {' and '.join(takers)}; add {' or '.join(takers)}, or leave it out")
