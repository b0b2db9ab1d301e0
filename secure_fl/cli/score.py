"""`secure-fl score`: transactions, and what the model of a run thinks of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secure_fl.cli.words import Force, Json
from secure_fl.errors import ConfigurationError

if TYPE_CHECKING:
    from secure_fl.report.encrypted_scores import ScoringRequest
    from secure_fl.scoring.ways import Way
    from secure_fl.transport.scores.asking import Asked


Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="[MODEL] TRANSACTIONS",
        help="model.safetensors of a run, but not with --at; CSV or Parquet with the model's columns, no label needed.",
    ),
]
History = Annotated[Path | None, typer.Option(help="Earlier transactions with labels, for features of the past.")]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="calibration.json of `secure-fl audit RUN_DIR --calibrate`: a column with calibrated probabilities."
    ),
]
Reasons = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Columns with the N features that raise a row's log-odds most, and their SHAP values, relative to the "
        "average of the last rows of --history, or without it to a row whose numbers are all average.",
    ),
]
Encrypted = Annotated[
    bool, typer.Option("--encrypted", help="Under CKKS: the model's owner sees no transaction and no score.")
]
Single = Annotated[bool, typer.Option("--single", help="One row at a time, which answers soonest; with --encrypted.")]
HideModel = Annotated[
    bool, typer.Option("--hide-model", help="Drown what answers tell of the weights; with --encrypted.")
]
Training = Annotated[
    Path | None, typer.Option(help="Transactions of the model's owner, for the range of ReLU units; with --encrypted.")
]
At = Annotated[
    str | None,
    typer.Option(help="https://HOST:PORT of a `secure-fl serve-scores`, which has the model; with --encrypted."),
]
Certificates = Annotated[
    Path | None, typer.Option(help="The customer's folder, as `secure-fl certificates --customer` made it.")
]
Html = Annotated[Path | None, typer.Option(help="A file for one self-contained page; with --encrypted.")]


def score(
    files: Files,
    out: Annotated[Path, typer.Option(help="CSV file for the scores.")],
    history: History = None,
    calibration: Calibration = None,
    reasons: Reasons = None,
    encrypted: Encrypted = False,
    single: Single = False,
    hide_model: HideModel = False,
    training: Training = None,
    at: At = None,
    certificates: Certificates = None,
    html: Html = None,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Score transactions with the model of a run, in plain or encrypted, here or by a service (--at)."""
    beside = calibration is not None or reasons is not None
    _require_way(encrypted, bool(single or hide_model or training or html or at), beside)
    if at is not None:
        if len(files) != 1 or training or html:
            raise ConfigurationError(
                "with --at the service has the model and its training rows, and there are no plain scores to compare "
                "with; name TRANSACTIONS alone, and leave out --training and --html"
            )
        if certificates is None or not at.startswith("https://"):
            raise ConfigurationError(
                "--at takes https://HOST:PORT, and --certificates the customer's folder; give both"
            )
        from secure_fl.transport.scores.asking import Asked

        way = _way(single, hide_model)
        _score_at(Asked(at, certificates, files[0], out, history, way, json_file, force))
        return
    if len(files) != 2 or certificates is not None:
        raise ConfigurationError("name MODEL and TRANSACTIONS; or a service, with --encrypted --at and --certificates")
    model, transactions = files
    _note_history(model, history)
    if not encrypted:
        _score_plain(model, transactions, out, history, calibration, reasons, json_file, force)
        return
    from secure_fl.report.encrypted_scores import ScoringRequest

    way = _way(single, hide_model) or "batched"
    _score_encrypted(ScoringRequest(model, transactions, out, history, training, way, json_file, html, force))


def _require_way(encrypted: bool, of_encrypted: bool, of_plain: bool) -> None:
    """`of_encrypted`, `of_plain`: whether options were given that only encrypted scores have, and only plain ones."""
    if of_encrypted and not encrypted:
        raise ConfigurationError(
            "--single, --hide-model, --training, --html and --at are for --encrypted; add it, or leave them out"
        )
    if of_plain and encrypted:
        raise ConfigurationError(
            "--calibration and --reasons are for scores in plain; leave them out, or --encrypted and --at"
        )


def _way(single: bool, hide_model: bool) -> Way | None:
    """That is asked for; None where nothing is said."""
    from secure_fl.report.encrypted_scores import way_of

    return way_of(single=single, hide_model=hide_model) if single or hide_model else None


def _note_history(model: Path, history: Path | None) -> None:
    from secure_fl.report.scores import needs_history

    if history is None and needs_history(model):
        _note("without --history nothing is known of the customers' and terminals' past")


def _note(text: str) -> None:
    typer.echo(f"note: {text}", err=True)


def _score_plain(
    model: Path,
    transactions: Path,
    out: Path,
    history: Path | None,
    calibration: Path | None,
    reasons: int | None,
    json_file: Path | None,
    force: bool,
) -> None:
    from secure_fl.files import STDOUT
    from secure_fl.report.scores import score_file

    more: dict[str, Any] = {}
    if calibration is not None or reasons is not None:
        from secure_fl.audit.beside import Wanted

        more = {"beside": Wanted(calibration, reasons, history, _note), "others": [calibration]}
    count = score_file(model, transactions, out, history, json_file=json_file, force=force, **more)
    if json_file != STDOUT:
        typer.echo(f"{out}: {count} scores")


def _score_encrypted(request: ScoringRequest) -> None:
    from secure_fl.cli.progress import show_progress
    from secure_fl.cli.summary import print_scoring
    from secure_fl.files import STDOUT
    from secure_fl.report.encrypted_scores import score_encrypted_file

    outcome = score_encrypted_file(request, show_progress)
    if request.json_file != STDOUT:
        print_scoring(outcome, request.out, request.html_file)


def _score_at(asked: Asked) -> None:
    from secure_fl.cli.progress import show_progress
    from secure_fl.cli.summary import print_answered
    from secure_fl.files import STDOUT
    from secure_fl.transport.scores.asking import score_at

    answered = score_at(asked, _note, show_progress)
    if asked.json_file != STDOUT:
        print_answered(answered.plan, answered.figures, answered.rows, asked.out)
