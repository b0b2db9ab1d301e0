"""`secure-fl score`: transactions, and what the model of a run thinks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.words import Force, Json
from secure_fl.errors import ConfigurationError


def score(
    model: Annotated[Path, typer.Argument(help="model.safetensors of a run.")],
    transactions: Annotated[Path, typer.Argument(help="CSV or Parquet with the model's columns; no label needed.")],
    out: Annotated[Path, typer.Option(help="CSV file for the scores.")],
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
    html: Annotated[Path | None, typer.Option(help="A file for one self-contained page; with --encrypted.")] = None,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Score transactions with the model of a run, in plain or encrypted."""
    if not encrypted and (single or hide_model or training or html):
        raise ConfigurationError(
            "--single, --hide-model, --training and --html are for --encrypted; add it, or leave them out"
        )
    from secure_fl.files import STDOUT
    from secure_fl.report.scores import needs_history, score_file

    if history is None and needs_history(model):
        typer.echo("note: without --history nothing is known of the customers' and terminals' past", err=True)
    if not encrypted:
        count = score_file(model, transactions, out, history, json_file=json_file, force=force)
        if json_file != STDOUT:
            typer.echo(f"{out}: {count} scores")
        return
    from secure_fl.cli.progress import show_progress
    from secure_fl.cli.summary import print_scoring
    from secure_fl.report.encrypted_scores import ScoringRequest, score_encrypted_file, way_of

    way = way_of(single=single, hide_model=hide_model)
    request = ScoringRequest(model, transactions, out, history, training, way, json_file, html, force)
    outcome = score_encrypted_file(request, show_progress)
    if json_file != STDOUT:
        print_scoring(outcome, out, html)
