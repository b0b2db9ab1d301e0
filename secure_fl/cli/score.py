"""`secure-fl score`: transactions, and what the model of a run thinks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.words import Force, Json


def score(
    model: Annotated[Path, typer.Argument(help="model.safetensors of a run.")],
    transactions: Annotated[Path, typer.Argument(help="CSV or Parquet with the model's columns; no label needed.")],
    out: Annotated[Path, typer.Option(help="CSV file for the scores.")],
    history: Annotated[
        Path | None, typer.Option(help="Earlier transactions with labels, for features that look at the past.")
    ] = None,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Score transactions with the model of a run."""
    from secure_fl.files import STDOUT
    from secure_fl.report.outputs import needs_history, score_file

    if history is None and needs_history(model):
        typer.echo("note: without --history nothing is known of the customers' and terminals' past", err=True)
    count = score_file(model, transactions, out, history, json_file=json_file, force=force)
    if json_file != STDOUT:
        typer.echo(f"{out}: {count} scores")
