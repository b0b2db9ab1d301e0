"""`secure-fl run`: train a federation, and write its report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secure_fl.cli.interrupts import heeding_interrupts
from secure_fl.errors import ConfigurationError

if TYPE_CHECKING:
    from secure_fl.federation.checkpoint import Checkpoint
    from secure_fl.settings import Experiment

EXAMPLE = "secure-fl run --dataset simulated --scheme masked --rounds 3"


@dataclass(frozen=True)
class Figures:
    """Where the content of metrics.json is to go besides."""

    file: Path | None
    force: bool
    experiment: Path | None = None
    """The file or the run that settings are read from, which is not to be replaced."""

    @property
    def options(self) -> list[str]:
        """As they are typed."""
        return [] if self.file is None else ["--json", str(self.file), *["--force"] * self.force]


@dataclass(frozen=True)
class Leaving:
    """A run that is to be done again, without banks that leave."""

    run: Path | None
    banks: tuple[str, ...]
    key: str | None

    @property
    def options(self) -> list[str]:
        """Those that were given."""
        given = {"from": self.run, "without": self.banks or None, "key": self.key}
        return [name for name, value in given.items() if value is not None]


def run(
    experiment: Annotated[Path | None, typer.Argument(help="Settings to start from; options change them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; runs/TIMESTAMP if not given.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run that was to write this folder (or, now, --out).")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN_DIR", help="With --without: do this run again, with its own settings."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="BANK", help="With --from: a bank that leaves; may be repeated.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="With --from: who signed its record, as audit --verify has it.  [default: you]")
    ] = None,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="With --synthetic approved: pending patterns too.")
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="A file for what metrics.json holds; - prints it in place of the table."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of --json that exists.")] = False,
    **settings: Any,
) -> None:
    """Train one model across banks with a secure sum in every round, and write a report.

    Without options: 200,000 simulated transactions, 3 banks, 10 rounds, ckks at 16 bits, seed 1.
    """
    asked = Leaving(source, tuple(without or ()), key)
    others = {"experiment": experiment, "unreviewed": unreviewed or None} | settings
    given = [name for name, value in others.items() if value is not None]
    if resume is not None:
        _resume(resume, out or resume, [*given, *asked.options], Figures(json_file, force))
        return
    if asked.options:
        _retrain(asked, given, out, Figures(json_file, force, source))
        return
    if unreviewed:
        if settings.get("synthetic") != "approved":
            raise ConfigurationError("--unreviewed widens --synthetic approved; add that, or leave it out")
        settings["synthetic"] = "unreviewed"

    from secure_fl.settings import Experiment

    chosen = Experiment(**settings) if experiment is None else Experiment.from_toml(experiment, **settings)
    _start(chosen, out, Figures(json_file, force, experiment))


def _start(settings: Experiment, out: Path | None, figures: Figures) -> None:
    from secure_fl.federation.checkpoint import Checkpoint
    from secure_fl.files import new_run_directory

    with ExitStack() as taken:
        target = out or taken.enter_context(new_run_directory())
        _finish_run(settings, target, Checkpoint.of_results(target), ["--resume", str(target)], figures)


def _retrain(asked: Leaving, others: list[str], out: Path | None, figures: Figures) -> None:
    """Do a run again without some of its banks."""
    if asked.run is None:
        raise ConfigurationError("--without and --key need the run that is done again; add --from RUN_DIR")
    if not asked.banks:
        raise ConfigurationError("--from does a run again without banks that leave; add --without BANK for each")
    if others:
        raise ConfigurationError(
            "a run is done again with its own settings, so that nothing but the bank is gone; leave out "
            f"{', '.join(others)}"
        )
    from secure_fl.report.retraining import retraining

    again = retraining(asked.run, asked.banks, asked.key)
    for line in again.beforehand:
        typer.echo(line, err=True)
    _start(again.settings, out, figures)


def _resume(started: Path, target: Path, others: list[str], figures: Figures) -> None:
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
    _finish_run(checkpoint.settings(), target, checkpoint, again, figures)


def _finish_run(settings: Experiment, target: Path, checkpoint: Checkpoint, again: list[str], figures: Figures) -> None:
    """`again`: the options that go on with this run."""
    from secure_fl.cli.progress import show_progress
    from secure_fl.cli.summary import print_signed, print_summary
    from secure_fl.data import default_key_path
    from secure_fl.federation.run import run_federation
    from secure_fl.files import STDOUT, output_files, staged_directory
    from secure_fl.report.outputs import metrics_json, write_run
    from secure_fl.report.record_key import RecordKey, record_key_path
    from secure_fl.settings import BUILT_IN

    rows = None if settings.dataset in BUILT_IN else Path(settings.dataset)
    used = (figures.experiment, rows, default_key_path(), record_key_path(), target, checkpoint.folder)
    key = RecordKey.of_user()  # refused before anything is trained
    with output_files(figures.file, force=figures.force, inputs=used) as (json_target,):
        with staged_directory(target) as staging, _unfinished(checkpoint, [*again, *figures.options]):
            with show_progress() as progress:
                result = run_federation(settings, heeding_interrupts(progress), checkpoint)
            signed = write_run(result, staging, checkpoint, key)
        checkpoint.remove()
        if json_target:
            json_target.write_text(metrics_json(result), encoding="utf-8")
    if figures.file != STDOUT:
        print_summary(result, target)
        print_signed(signed)


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
