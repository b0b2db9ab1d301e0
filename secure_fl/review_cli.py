"""The `review` commands of the command line: what they ask for, and what they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from secure_fl.synthetic.store import PatternStore

review_app = typer.Typer(help="Look at proposed fraud patterns and decide which are trained on.", no_args_is_help=True)
_Id = Annotated[str, typer.Argument(metavar="ID", help="The first characters of a pattern's digest.")]
_Store = Annotated[Path | None, typer.Option("--store", help="Folder of the patterns and their log.")]
_Name = Annotated[str, typer.Option(help="Who decides.")]
_Reason = Annotated[str, typer.Option(help="Why, on one line.")]


def _open_store(folder: Path | None) -> PatternStore:
    from secure_fl.synthetic.store import PatternStore

    return PatternStore.of_user(folder)


@review_app.command("list")
def review_list(
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False, store: _Store = None
) -> None:
    """List the patterns that wait for a decision."""
    from secure_fl.synthetic.review import print_list

    print_list(_open_store(store), every)


@review_app.command()
def show(
    pattern: _Id, json: Annotated[bool, typer.Option("--json", help="As JSON, to edit.")] = False, store: _Store = None
) -> None:
    """Show one pattern: parameters, histograms and some rows drawn for simulated customers."""
    from secure_fl.synthetic.leakage import RealRows
    from secure_fl.synthetic.review import pattern_json, print_pattern

    if json:
        typer.echo(pattern_json(_open_store(store), pattern), nl=False)
    else:
        print_pattern(_open_store(store), pattern, RealRows.simulated().training)


@review_app.command()
def approve(pattern: _Id, name: _Name, reason: _Reason, store: _Store = None) -> None:
    """Let a pattern enter training."""
    entry = _open_store(store).approve(pattern, name, reason)
    typer.echo(f"approved {entry.pattern[:12]}")


@review_app.command()
def reject(pattern: _Id, name: _Name, reason: _Reason, store: _Store = None) -> None:
    """Keep a pattern out of training, or take an approval back."""
    entry = _open_store(store).reject(pattern, name, reason)
    typer.echo(f"rejected {entry.pattern[:12]}")


@review_app.command()
def edit(
    pattern: _Id,
    file: Annotated[Path, typer.Argument(help="JSON, as show --json writes it.")],
    name: _Name,
    reason: _Reason,
    store: _Store = None,
) -> None:
    """Put a changed pattern in the place of another; it is validated again and waits for a decision."""
    import numpy as np

    from secure_fl.synthetic.leakage import RealRows
    from secure_fl.synthetic.review import edit as edit_pattern

    entry, verdict = edit_pattern(
        _open_store(store), pattern, file, name, reason, RealRows.simulated(), np.random.default_rng(1)
    )
    typer.echo(f"{entry.pattern[:12]}: {verdict.reason}")


@review_app.command()
def page(out: Annotated[Path, typer.Option(help="An HTML file.")], store: _Store = None) -> None:
    """Write all pending patterns, with plots and samples, as one self-contained page."""
    from secure_fl.files import staged_file
    from secure_fl.report.review_page import render_review
    from secure_fl.synthetic.fidelity import fidelity, public_table
    from secure_fl.synthetic.leakage import RealRows

    holdings = _open_store(store).read()
    proposals = holdings.unreviewed()
    scores = fidelity(proposals, public_table(), seed=1) if proposals else None
    text = render_review(holdings, RealRows.simulated().training, scores, "simulated transactions")
    with staged_file(out) as staging:
        staging.write_text(text, encoding="utf-8")
    typer.echo(str(out))


@review_app.command()
def log(store: _Store = None) -> None:
    """Verify the log and the patterns, and print every decision."""
    from secure_fl.synthetic.review import print_log

    print_log(_open_store(store))
