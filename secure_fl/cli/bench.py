"""`secure-fl bench`: schemes side by side, scoring of encrypted rows, and what is claimed of federation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.progress import say_start, show_progress
from secure_fl.cli.words import Force, Json, example, typed
from secure_fl.errors import ConfigurationError

bench_app = typer.Typer(
    invoke_without_command=True, epilog=example("secure-fl bench --schemes masked,ckks --banks 3 --repeat 1")
)


@bench_app.callback()
def bench(
    ctx: typer.Context,
    schemes: Annotated[str | None, typer.Option(help="Names, separated by commas.  [default: all]")] = None,
    banks: Annotated[str | None, typer.Option(help="Numbers of banks, such as 3,10.  [default: 3,10]")] = None,
    parameters: Annotated[str | None, typer.Option(help="Lengths of updates.  [default: 10369,100000]")] = None,
    bits: Annotated[str, typer.Option(help="4 to 24, or float32 (plaintext only).")] = "8",
    repeat: Annotated[int, typer.Option(help="Rounds; the median counts.")] = 5,
    peers: Annotated[bool, typer.Option("--peers", help="Measure TenSEAL, NVFlare and Flower too.")] = False,
    json_file: Json = None,
    html: Annotated[Path | None, typer.Option(help="A file for one self-contained page.")] = None,
    force: Force = False,
    drop_sweep: Annotated[bool, typer.Option("--drop-sweep", help="Let more and more banks vanish.")] = False,
    scale: Annotated[
        bool, typer.Option("--scale", help="3 to 1,000 banks and 10^4 to 10^7 parameters, once each.")
    ] = False,
) -> None:
    """Measure the schemes side by side on the same updates: seconds, bytes and error."""
    if ctx.invoked_subcommand is not None:
        if typed(ctx):
            raise ConfigurationError(f"bench {ctx.invoked_subcommand} has options of its own; put them behind its name")
        return
    say_start()
    from secure_fl.bench.schemes.command import run_command

    run_command(
        schemes=schemes,
        banks=banks,
        parameters=parameters,
        bits=bits,
        repeat=repeat,
        peers=peers,
        json_file=json_file,
        html_file=html,
        force=force,
        drop_sweep=drop_sweep,
        scale=scale,
        show_progress=show_progress,
    )


@bench_app.command(epilog=example("secure-fl bench claims --quick"))
def claims(
    seeds: Annotated[int, typer.Option(help="Seeds 1 to N.")] = 20,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes, to try it.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="A file for all figures; its seeds are not measured again.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="A file for the page.")] = None,
    svg: Annotated[Path | None, typer.Option(help="A file for the drawing.")] = None,
    force: Force = False,
) -> None:
    """Measure two claims that are made for federated fraud detection: fewer false positives, faster detection."""
    from importlib.util import find_spec

    if find_spec("river") is None:
        raise ConfigurationError("the package river is not installed; install secure-fl[drift]")
    say_start()
    from secure_fl.bench.claims.command import run_command

    run_command(
        seeds=seeds,
        quick=quick,
        json_file=json_file,
        markdown_file=markdown,
        svg_file=svg,
        force=force,
        show_progress=show_progress,
    )


@bench_app.command(epilog=example("secure-fl bench scoring --quick"))
def scoring(
    peers: Annotated[bool, typer.Option("--peers", help="Measure TenSEAL and HElayers too.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Small random models and few rows, to try it.")] = False,
    json_file: Json = None,
    force: Force = False,
) -> None:
    """Measure what scoring encrypted rows costs, and how far it is off, on the ULB transactions."""
    say_start()
    from secure_fl.bench.scoring.command import run_command

    run_command(peers=peers, quick=quick, json_file=json_file, force=force, show_progress=show_progress)
