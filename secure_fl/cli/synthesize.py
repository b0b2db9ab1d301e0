"""`secure-fl synthesize`: fraud patterns from a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.progress import say_start, show_progress


def synthesize(
    count: Annotated[int, typer.Option(help="How many fraud patterns.")],
    built_in: Annotated[
        bool, typer.Option("--built-in", help="From the built-in library instead of a language model.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File of the proposals.  [default: proposals.json]")] = None,
    max_tokens_total: Annotated[int | None, typer.Option(help="Stop before more tokens are spent.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Stop before it costs more; needs the prices.")] = None,
    prompt_price: Annotated[float, typer.Option(help="Per million tokens asked.")] = 0.0,
    completion_price: Annotated[float, typer.Option(help="Per million tokens answered.")] = 0.0,
    batch: Annotated[int | None, typer.Option(help="Patterns a request.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Of the model.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait for an answer.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the patterns and their log.")] = None,
) -> None:
    """Have a language model write fraud patterns, and check them; a person decides with `secure-fl review`.

    The endpoint comes from OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL. It is sent the form of a pattern and
    constants of the simulator, never a row.
    """
    say_start()
    from secure_fl.data.synthetic.command import Spending
    from secure_fl.data.synthetic.proposing import synthesize_into

    spending = Spending(max_tokens_total, max_cost, prompt_price, completion_price)
    with show_progress() as progress:
        lines = synthesize_into(
            count,
            built_in,
            out,
            store,
            spending=spending,
            progress=progress,
            batch=batch,
            temperature=temperature,
            timeout=timeout,
        )
    typer.echo("\n".join(lines))
