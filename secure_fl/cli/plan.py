"""`secure-fl plan`: what a secure sum would cost."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from secure_fl.cli.words import SCHEMES, number


def plan(
    scheme: Annotated[str, typer.Option(help=SCHEMES)] = "ckks",
    banks: Annotated[int, typer.Option(help="How many banks.")] = 3,
    parameters: Annotated[int, typer.Option(help="Length of the vectors to be summed.")] = 10_369,
    bits: Annotated[str, typer.Option(help="4 to 24, or float32.")] = "8",
    threshold: Annotated[int | None, typer.Option(help="Fewest banks whose sum is opened.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a secure sum would cost, or why it cannot work, before anything runs."""
    from secure_fl.cli.summary import print_plan
    from secure_fl.secagg.planning import plan as plan_sum

    planned = plan_sum(scheme, banks, parameters, number(bits), threshold)
    if as_json:
        typer.echo(json.dumps(planned.derived()))
    else:
        print_plan(planned)
