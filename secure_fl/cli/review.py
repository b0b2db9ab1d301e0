"""The `review` commands of the command line: what they ask for, and what they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secure_fl.cli.words import Force, example

if TYPE_CHECKING:
    from secure_fl.data.synthetic.store import PatternStore

review_app = typer.Typer(
    help="Look at proposed fraud patterns and decide which are trained on.",
    epilog=example("secure-fl review list"),
    no_args_is_help=True,
)
_Id = Annotated[str, typer.Argument(metavar="ID", help="The first characters of a pattern's digest.")]
_Store = Annotated[Path | None, typer.Option("--store", help="Folder of the patterns and their log.")]
_Name = Annotated[str, typer.Option(help="Who decides: the name of your key.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Reason = Annotated[str, typer.Option(help="Why, on one line.")]


def _open_store(folder: Path | None) -> PatternStore:
    from secure_fl.data.synthetic.store import PatternStore

    return PatternStore.of_user(folder)


@review_app.command("list", epilog=example("secure-fl review list --all"))
def review_list(
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    as_json: _Json = False,
    store: _Store = None,
) -> None:
    """List the patterns that wait for a decision."""
    from secure_fl.data.synthetic.review import list_json, print_list

    if as_json:
        typer.echo(list_json(_open_store(store), every), nl=False)
    else:
        print_list(_open_store(store), every)


@review_app.command(epilog=example("secure-fl review show 3f9a"))
def show(
    pattern: _Id, json: Annotated[bool, typer.Option("--json", help="As JSON, to edit.")] = False, store: _Store = None
) -> None:
    """Show one pattern: parameters, histograms and some rows drawn for simulated customers."""
    from secure_fl.data.synthetic.leakage import RealRows
    from secure_fl.data.synthetic.review import pattern_json, print_pattern

    if json:
        typer.echo(pattern_json(_open_store(store), pattern), nl=False)
    else:
        print_pattern(_open_store(store), pattern, RealRows.simulated().training)


@review_app.command(epilog=example('secure-fl review approve 3f9a --name Ann --reason "seen in May"'))
def approve(pattern: _Id, name: _Name, reason: _Reason, store: _Store = None) -> None:
    """Let a pattern enter training, signed with your key, which is created on first use."""
    entry = _open_store(store).approve(pattern, name, reason)
    typer.echo(f"approved {entry.pattern[:12]}")


@review_app.command(epilog=example('secure-fl review reject 3f9a --name Ann --reason "amounts too high"'))
def reject(pattern: _Id, name: _Name, reason: _Reason, store: _Store = None) -> None:
    """Keep a pattern out of training, or take every approval of it back."""
    entry = _open_store(store).reject(pattern, name, reason)
    typer.echo(f"rejected {entry.pattern[:12]}")


@review_app.command(epilog=example('secure-fl review edit 3f9a new.json --name Ann --reason "less money"'))
def edit(
    pattern: _Id,
    file: Annotated[Path, typer.Argument(help="JSON, as show --json writes it.")],
    name: _Name,
    reason: _Reason,
    store: _Store = None,
) -> None:
    """Put a changed pattern in the place of another; it is validated again and waits for a decision."""
    import numpy as np

    from secure_fl.data.synthetic.leakage import RealRows
    from secure_fl.data.synthetic.review import edit as edit_pattern

    entry, verdict = edit_pattern(
        _open_store(store), pattern, file, name, reason, RealRows.simulated(), np.random.default_rng(1)
    )
    typer.echo(f"{entry.pattern[:12]}: {verdict.reason}")


@review_app.command(epilog=example("secure-fl review page --out pending.html"))
def page(out: Annotated[Path, typer.Option(help="An HTML file.")], store: _Store = None, force: Force = False) -> None:
    """Write all pending patterns, with plots and samples, as one self-contained page."""
    from secure_fl.data.synthetic.fidelity import fidelity, public_table
    from secure_fl.data.synthetic.leakage import RealRows
    from secure_fl.files import output_file
    from secure_fl.report.review_page import render_review

    opened = _open_store(store)
    with output_file(out, force=force, inputs=[opened.log.path, *opened.folder.glob("*.json")]) as staging:
        holdings = opened.read()
        proposals = holdings.unreviewed()
        scores = fidelity(proposals, public_table(), seed=1) if proposals else None
        text = render_review(holdings, RealRows.simulated().training, scores, "simulated transactions")
        staging.write_text(text, encoding="utf-8")
    typer.echo(str(out))


@review_app.command(epilog=example("secure-fl review log"))
def log(
    head: Annotated[str | None, typer.Option(help="Hash of the last line as it was noted earlier.")] = None,
    as_json: _Json = False,
    store: _Store = None,
) -> None:
    """Verify the log, its signatures and the patterns, and print every decision.

    With --head: fail unless the log still has the line with that hash, and say whether it is the last one.
    """
    from secure_fl.data.synthetic.review import log_json, print_log

    if as_json:
        typer.echo(log_json(_open_store(store), head), nl=False)
    else:
        print_log(_open_store(store), head)


@review_app.command(epilog=example("secure-fl review key --name Ann"))
def key(
    name: Annotated[str, typer.Option(help="Who signs with it; always the same name.")],
) -> None:
    """Print the public key that you sign with, for others to trust; it is created if there is none."""
    from secure_fl.chain.signing import fingerprint
    from secure_fl.data.synthetic.reviewers import ReviewerFiles

    own = ReviewerFiles.of_user()
    public = own.signer(name).public
    typer.echo(f"{public}  {name}  (fingerprint {fingerprint(public)}; private key in {own.key})")


@review_app.command(epilog=example("secure-fl review trust Ben KEY"))
def trust(
    name: Annotated[str | None, typer.Argument(help="The name that this reviewer signs with.")] = None,
    public_key: Annotated[str | None, typer.Argument(metavar="KEY", help="As review key prints it.")] = None,
) -> None:
    """Count what another reviewer approves, or without arguments: list whose approvals count.

    Compare the whole key with its owner, over a channel that whoever may write the store cannot change.
    """
    from secure_fl.chain.signing import fingerprint
    from secure_fl.data.synthetic.reviewers import ReviewerFiles
    from secure_fl.errors import ConfigurationError

    own = ReviewerFiles.of_user()
    if name is not None:
        if public_key is None:
            raise ConfigurationError(f"no key is given for {name}; add the one that review key prints for its owner")
        own.trust(name, public_key)
    for known, public in own.read_trusted().keys.items():
        typer.echo(f"{public}  {known}  (fingerprint {fingerprint(public)})")


@review_app.command(epilog=example("secure-fl review distrust Ben"))
def distrust(name: Annotated[str, typer.Argument(help="A name of the list that trust prints.")]) -> None:
    """Count nothing that a reviewer approved any more, not even what is in the log already."""
    from secure_fl.data.synthetic.reviewers import ReviewerFiles

    ReviewerFiles.of_user().distrust(name)
    typer.echo(f"{name} is trusted no more")
