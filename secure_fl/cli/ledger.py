"""The `ledger` commands: what banks have spent in all their runs, and what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.words import example

ledger_app = typer.Typer(
    help="What every bank has spent of its privacy in all runs, and what is left.",
    epilog=example("secure-fl ledger --lifetime-epsilon 8"),
    invoke_without_command=True,
)
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Delta = Annotated[
    float | None, typer.Option(help="To compute epsilon at.  [default: the one of the last run on the rows]")
]
_Limit = Annotated[
    float | None, typer.Option("--lifetime-epsilon", help="To say what is left of.  [default: the last run's]")
]
_Noted = Annotated[
    Path | None, typer.Option("--noted", help="Results of a run: check that the ledgers are no older than it.")
]


@ledger_app.callback()
def ledger(
    ctx: typer.Context, as_json: _Json = False, delta: _Delta = None, limit: _Limit = None, noted: _Noted = None
) -> None:
    """Show what was spent."""
    if ctx.invoked_subcommand is None:
        show(as_json, delta, limit, noted)


@ledger_app.command(epilog=example("secure-fl ledger show --json"))
def show(as_json: _Json = False, delta: _Delta = None, limit: _Limit = None, noted: _Noted = None) -> None:
    """Show what was spent, by bank and set of rows."""
    from secure_fl.privacy.lifetime.statement import print_statement

    print_statement(as_json=as_json, delta=delta, limit=limit, noted=noted)
