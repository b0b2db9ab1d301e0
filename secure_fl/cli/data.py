"""`secure-fl data`: transactions to work with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.words import Force
from secure_fl.errors import ConfigurationError

data_app = typer.Typer(help="Fetch or simulate transactions.", no_args_is_help=True)


@data_app.command()
def fetch(dataset: Annotated[str, typer.Argument(help="ulb: real card transactions, 2013.")]) -> None:
    """Download a real data set into the per-user cache, and verify it."""
    from secure_fl.data import ulb

    if dataset != "ulb":
        raise ConfigurationError(f"there is no data set {dataset!r} to fetch; use ulb")
    path = ulb.fetch()
    typer.echo(f"{path}\n{ulb.CITATION}")


@data_app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="A .csv or .parquet file.")],
    transactions: Annotated[int, typer.Option(help="How many.")] = 200_000,
    fraud_share: Annotated[float, typer.Option(help="Share of fraud, from 0.001.")] = 0.005,
    days: Annotated[int, typer.Option(help="Length of the period.")] = 183,
    seed: Annotated[int, typer.Option(help="Repeats the simulation.")] = 1,
    force: Force = False,
) -> None:
    """Simulate customers, terminals and three kinds of fraud (Fraud Detection Handbook)."""
    from secure_fl.data import Simulation, write_simulated
    from secure_fl.data import simulate as simulate_transactions
    from secure_fl.files import place_of_output

    place_of_output(out, force=force)  # before anything is simulated
    rows = simulate_transactions(Simulation(transactions=transactions, fraud_share=fraud_share, days=days, seed=seed))
    write_simulated(rows, out, force=force)
    typer.echo(f"{out}: {len(rows)} transactions, {int(rows.fraud.sum())} of them fraud")
