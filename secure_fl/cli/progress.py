"""Progress of long work: a bar on a terminal, plain lines elsewhere. On stderr, so that output stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


@contextmanager
def show_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A callback for `run_federation`."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what, done, total: print_line(console, what, done, total)
        return
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield show


def print_line(console: Console, what: str, done: int, total: int) -> None:
    console.print(f"{what} {done}/{total}", highlight=False)
