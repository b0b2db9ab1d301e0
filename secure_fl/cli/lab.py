"""`secure-fl lab`: break weak protocols, and have it checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.words import example

lab_app = typer.Typer(
    help="Break a deliberately weak protocol, and have it checked.",
    epilog=example("secure-fl lab check 1 answer.py"),
    no_args_is_help=True,
)
_Labs = Annotated[Path, typer.Option("--labs", help="The folder with the labs.")]
_Number = Annotated[int, typer.Argument(help="Of the lab.")]
_FOLDER = Path("examples/labs")


@lab_app.command("list", epilog=example("secure-fl lab list --labs examples/labs"))
def list_labs(labs: _Labs = _FOLDER) -> None:
    """Say which labs there are, and what is to be recovered in each."""
    from secure_fl.labs import all_labs
    from secure_fl.progress import plain_console

    console = plain_console()
    for lab in all_labs(labs):
        console.print(f"{lab.number}  {lab.title}\n   {lab.goal}")


@lab_app.command(epilog=example("secure-fl lab show 1"))
def show(
    number: _Number,
    labs: _Labs = _FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all that is seen, uncut.")] = False,
) -> None:
    """Print a lab: its goal, its code, and one fresh instance of what an answer is given."""
    from secure_fl.labs import find_lab, seen_text

    lab = find_lab(labs, number)
    seen = lab.instance().seen
    if as_json:
        typer.echo(json.dumps({"lab": number, "title": lab.title, "goal": lab.goal, "seen": seen}))
        return
    typer.echo(f"Lab {number}: {lab.title}\nGoal: {lab.goal}\n\n--- {lab.path} ---\n")
    typer.echo(lab.path.read_text(encoding="utf-8"))
    typer.echo(f"--- `seen` of one fresh instance; long values are cut ---\n\n{seen_text(seen)}\n")
    typer.echo(
        "Write a file with a function recover(seen) that returns what the goal asks for, a list of whole numbers:\n"
        f"secure-fl lab check {number} FILE"
    )


@lab_app.command(epilog=example("secure-fl lab check 1 answer.py"))
def check(
    number: _Number,
    answer: Annotated[Path, typer.Argument(help="A Python file with a function recover(seen).")],
    labs: _Labs = _FOLDER,
    instances: Annotated[int, typer.Option(min=1, max=1000, help="Fresh random instances.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, help="For all of them together.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Grade an answer; the exit status is 0 for full marks, 1 for less."""
    from secure_fl.labs import check as grade_answer
    from secure_fl.labs import find_lab

    lab = find_lab(labs, number)
    grade = grade_answer(lab.instance, answer, instances, seconds)
    if as_json:
        typer.echo(
            json.dumps({"lab": number, "right": grade.right, "instances": grade.instances, "trouble": grade.trouble})
        )
    else:
        typer.echo(f"{lab.title}: {grade.right} of {grade.instances}" + (", solved" if grade.full else ""))
        if grade.trouble:
            typer.echo(f"note: {grade.trouble}", err=True)
    if not grade.full:
        raise typer.Exit(1)
