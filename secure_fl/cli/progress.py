"""Progress of long work on stderr: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from secure_fl.progress import Progress as Advance
from secure_fl.progress import plain_console, unseen

quiet = False
"""Whether nobody wants to see any, as `--quiet` asks for."""
SECONDS_BETWEEN_LINES = 2.0


def say_start() -> None:
    """A sign of life before what takes seconds to import."""
    if not quiet:
        typer.echo("starting", err=True)


@contextmanager
def show_progress() -> Iterator[Advance]:
    """A callback for long work, whose progress is seen until the block ends."""
    console = plain_console(stderr=True)
    if quiet:
        yield unseen
    elif not console.is_terminal:
        yield lines(console)
    else:
        columns = (
            TextColumn("{task.description:<14}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as bars:
            yield _bars(bars)


def lines(console: Console, clock: Callable[[], float] = time.monotonic) -> Advance:
    """The first and the last step of each kind of work, and those between no more often than every few seconds."""
    said: dict[str, float] = {}

    def say(what: str, done: int, total: int) -> None:
        if what not in said or done == total or clock() - said[what] >= SECONDS_BETWEEN_LINES:
            said[what] = clock()
            console.print(f"{what} {done}/{total}")

    return say


def _bars(bars: Progress) -> Advance:
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done)

    return show
