"""`secure-fl score`: transactions, and what the model of a run thinks of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secure_fl.cli.words import Force, Json
from secure_fl.errors import ConfigurationError

if TYPE_CHECKING:
    from secure_fl.report.encrypted_scores import ScoringRequest
    from secure_fl.scoring.ways import Way


def score(
    model: Annotated[Path, typer.Argument(help="model.safetensors of a run; not with --at.")],
    out: Annotated[Path, typer.Option(help="CSV file for the scores.")],
    transactions: Annotated[
        Path | None, typer.Argument(help="CSV or Parquet with the model's columns; no label needed.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="Earlier transactions with labels, for features that look at the past.")
    ] = None,
    encrypted: Annotated[
        bool, typer.Option("--encrypted", help="Under CKKS: the model's owner sees no transaction and no score.")
    ] = False,
    single: Annotated[
        bool, typer.Option("--single", help="One row at a time, which answers soonest; with --encrypted.")
    ] = False,
    hide_model: Annotated[
        bool, typer.Option("--hide-model", help="Drown what answers tell of the weights; with --encrypted.")
    ] = False,
    training: Annotated[
        Path | None,
        typer.Option(help="Transactions of the model's owner, for the range of ReLU units; with --encrypted."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="https://HOST:PORT of a `secure-fl serve-scores`, which has the model; with --encrypted."),
    ] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="The customer's folder, as `secure-fl certificates --customer` made it.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="A file for one self-contained page; with --encrypted.")] = None,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Score transactions with the model of a run, in plain or encrypted, here or by a service (--at)."""
    if not encrypted and (single or hide_model or training or html or at):
        raise ConfigurationError(
            "--single, --hide-model, --training, --html and --at are for --encrypted; add it, or leave them out"
        )
    if at is not None:
        if transactions is not None or training or html:
            raise ConfigurationError(
                "with --at the service has the model and its training rows, and there are no plain scores to compare "
                "with; leave out MODEL, --training and --html"
            )
        _score_at(at, certificates, model, out, history, _way(single, hide_model), json_file, force)
        return
    if transactions is None or certificates is not None:
        raise ConfigurationError("name a model and transactions, or a service with --at and --certificates")
    _note_history(model, history)
    if not encrypted:
        _score_plain(model, transactions, out, history, json_file, force)
        return
    from secure_fl.report.encrypted_scores import ScoringRequest

    way = _way(single, hide_model) or "batched"
    _score_encrypted(ScoringRequest(model, transactions, out, history, training, way, json_file, html, force))


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
    model: Path, transactions: Path, out: Path, history: Path | None, json_file: Path | None, force: bool
) -> None:
    from secure_fl.files import STDOUT
    from secure_fl.report.scores import score_file

    count = score_file(model, transactions, out, history, json_file=json_file, force=force)
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


def _score_at(
    url: str,
    certificates: Path | None,
    transactions: Path,
    out: Path,
    history: Path | None,
    way: Way | None,
    json_file: Path | None,
    force: bool,
) -> None:
    from secure_fl.cli.progress import show_progress
    from secure_fl.cli.summary import print_answered
    from secure_fl.files import STDOUT
    from secure_fl.transport.scores.asking import Asked, score_at

    if certificates is None or not url.startswith("https://"):
        raise ConfigurationError("--at takes https://HOST:PORT, and --certificates the customer's folder; give both")
    asked = Asked(url, certificates, transactions, out, history, way, json_file, force)
    answered = score_at(asked, _note, show_progress)
    if json_file != STDOUT:
        print_answered(answered.plan, answered.figures, answered.rows, out)
