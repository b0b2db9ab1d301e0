"""`secure-fl explain`: a protocol step by step, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.words import SCHEMES, Force
from secure_fl.errors import ConfigurationError


def explain(
    scheme: Annotated[str, typer.Option(help=SCHEMES)] = "masked",
    banks: Annotated[int | None, typer.Option(help="3 to 5; multi-krum takes 5.")] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="BANK@STAGE", help="A bank that vanishes before it answers a stage.")
    ] = None,
    robust: Annotated[
        str, typer.Option(help="multi-krum, with --scheme ckks: a bank that poisons is left out.")
    ] = "none",
    score: Annotated[bool, typer.Option("--score", help="A row scored encrypted as well; with --scheme ckks.")] = False,
    out: Annotated[Path, typer.Option(help="The page.")] = Path("explain.html"),
    force: Force = False,
) -> None:
    """Run a protocol on a few small numbers, and write what happened as a page to step through."""
    from secure_fl.files import output_file
    from secure_fl.report.explain import Request, render
    from secure_fl.report.explain import explain as run

    request = Request(scheme, banks, _drops(drop or []), robust, score)
    with output_file(out, force=force) as place:
        place.write_text(render(run(request)), encoding="utf-8")
    typer.echo(f"{out}: open it in a browser")


def _drops(texts: list[str]) -> dict[str, str]:
    drops = {}
    for text in texts:
        bank, found, stage = text.partition("@")
        if not found or bank in drops:
            raise ConfigurationError(
                f"--drop {text!r} is refused; write BANK@STAGE, such as bank-2@masked_input, once for each bank"
            )
        drops[bank] = stage
    return drops
