"""`secure-fl run`: train a federation, and write its report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secure_fl.cli.interrupts import heeding_interrupts
from secure_fl.errors import ConfigurationError

if TYPE_CHECKING:
    from secure_fl.federation.checkpoint import Checkpoint
    from secure_fl.settings import Experiment

EXAMPLE = "secure-fl run --dataset simulated --scheme masked --rounds 3"


def run(
    experiment: Annotated[Path | None, typer.Argument(help="Settings to start from; options change them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; runs/TIMESTAMP if not given.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run that was to write this folder (or, now, --out).")
    ] = None,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="With --synthetic approved: pending patterns too.")
    ] = False,
    **settings: Any,
) -> None:
    """Train one model across banks with a secure sum in every round, and write a report.

    Without options: 200,000 simulated transactions, 3 banks, 10 rounds, ckks at 16 bits, seed 1.
    """
    if resume is not None:
        others = {"experiment": experiment, "unreviewed": unreviewed or None} | settings
        _resume(resume, out or resume, [name for name, value in others.items() if value is not None])
        return
    if unreviewed:
        if settings.get("synthetic") != "approved":
            raise ConfigurationError("--unreviewed widens --synthetic approved; add that, or leave it out")
        settings["synthetic"] = "unreviewed"

    from secure_fl.federation.checkpoint import Checkpoint
    from secure_fl.files import new_run_directory
    from secure_fl.settings import Experiment

    chosen = Experiment(**settings) if experiment is None else Experiment.from_toml(experiment, **settings)
    target = out or new_run_directory()
    _finish_run(chosen, target, Checkpoint.of_results(target), ["--resume", str(target)])


def _resume(started: Path, target: Path, others: list[str]) -> None:
    """Go on with the run that was to write `started`; its results go to `target`."""
    from secure_fl.federation.checkpoint import Checkpoint

    checkpoint = Checkpoint.of_results(started, resume=True)
    if others:
        raise ConfigurationError(
            f"a run goes on with the settings that its noise was calibrated for; leave out {', '.join(others)}, or "
            "start a new run"
        )
    again = ["--resume", str(started)]
    if target != started:
        Checkpoint.of_results(target)  # refused where another run is to write it
        again += ["--out", str(target)]
    _finish_run(checkpoint.settings(), target, checkpoint, again)


def _finish_run(settings: Experiment, target: Path, checkpoint: Checkpoint, again: list[str]) -> None:
    """`again`: the options that go on with this run."""
    from secure_fl.cli.progress import show_progress
    from secure_fl.cli.summary import print_summary
    from secure_fl.federation.run import run_federation
    from secure_fl.files import staged_directory
    from secure_fl.report.outputs import write_run

    with staged_directory(target) as staging, _unfinished(checkpoint, again):
        with show_progress() as progress:
            result = run_federation(settings, heeding_interrupts(progress), checkpoint)
        write_run(result, staging, checkpoint)
    checkpoint.remove()
    print_summary(result, target)


@contextmanager
def _unfinished(checkpoint: Checkpoint, again: list[str]) -> Iterator[None]:
    """Keeps what a run has reached, and says how to go on; removes the folder where there is nothing to keep."""
    try:
        yield
    except BaseException:
        if checkpoint.worth_keeping:
            command = shlex.join(["secure-fl", "run", *again])
            typer.echo(f"what was reached is kept; go on with {command}", err=True)
        else:
            checkpoint.remove()
        raise
