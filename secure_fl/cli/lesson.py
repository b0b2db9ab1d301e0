"""`secure-fl lesson`: notebooks of the lessons, for students, for teachers and for pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secure_fl.cli.words import example

if TYPE_CHECKING:
    from secure_fl.labs.workbooks import Workbook

lesson_app = typer.Typer(
    help="Make notebooks of the lessons in examples/lessons.",
    epilog=example("secure-fl lesson build --to lessons"),
    no_args_is_help=True,
)
_Lessons = Annotated[Path, typer.Option("--lessons", help="The folder with the lessons.")]
_Only = Annotated[list[int] | None, typer.Option("--only", min=1, help="The number of a lesson; can be repeated.")]
_To = Annotated[Path, typer.Option("--to", help="The folder for the notebooks.")]
_Force = Annotated[bool, typer.Option("--force", help="Replace notebooks that somebody edited, too.")]
_FOLDER = Path("examples/lessons")


@lesson_app.command("list", epilog=example("secure-fl lesson list"))
def list_lessons(lessons: _Lessons = _FOLDER) -> None:
    """Say which lessons there are, and how long each takes."""
    from secure_fl.labs.notebooks import chosen_lessons

    for lesson in chosen_lessons(lessons):
        typer.echo(f"{lesson.number:>2}  {lesson.title} ({lesson.minutes} minutes)")


@lesson_app.command(epilog=example("secure-fl lesson build --to lessons"))
def build(
    to: _To,
    lessons: _Lessons = _FOLDER,
    only: _Only = None,
    solutions: Annotated[bool, typer.Option("--solutions", help="Leave the solutions in, for teachers.")] = False,
    force: _Force = False,
) -> None:
    """Write notebooks to work in; one that you edited stays as it is, and that is said."""
    from secure_fl.labs.notebooks import chosen_lessons, student_notebook, teacher_notebook
    from secure_fl.labs.workbooks import write_kernel, write_notebook

    chosen = chosen_lessons(lessons, only)
    write_kernel(to)
    for lesson in chosen:
        notebook = teacher_notebook(lesson) if solutions else student_notebook(lesson)
        _tell(write_notebook(notebook, to / lesson.file_name, force=force))


@lesson_app.command(epilog=example("secure-fl lesson execute --to build/lessons"))
def execute(to: _To, lessons: _Lessons = _FOLDER, only: _Only = None, force: _Force = False) -> None:
    """Run every cell, solutions included, and write the notebooks with what came out."""
    from secure_fl.labs.notebooks import chosen_lessons, executed_notebook
    from secure_fl.labs.workbooks import write_notebook

    for lesson in chosen_lessons(lessons, only):
        _tell(write_notebook(executed_notebook(lesson), to / lesson.file_name, force=force, outputs=True))


def _tell(book: Workbook) -> None:
    typer.echo(f"{book.path}: {book.outcome}")
    if book.outcome == "kept":
        typer.echo(f"note: {book.path} was edited, and the lesson is another one now; --force replaces it", err=True)
