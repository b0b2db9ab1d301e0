"""All cells: a federation for each and each seed; what cannot be is listed with the reason, and not dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from secure_fl.attacks.judging import interval_of_mean
from secure_fl.attacks.poisoning.cells import Cell, Grid
from secure_fl.attacks.poisoning.trial import Stopped, Trial, run_trial
from secure_fl.data.datasets import Dataset
from secure_fl.errors import ConfigurationError
from secure_fl.federation.opening import Federation
from secure_fl.federation.run import open_federation
from secure_fl.progress import Progress
from secure_fl.settings import Experiment

MEASURED = ("auprc", "frauds_passed", "backdoor_success", "rightly_excluded", "wrongly_excluded", "seconds")
"""Figures of a trial of which a row has the mean over seeds."""


def run_poisoning(base: Experiment, grid: Grid, progress: Progress) -> tuple[list[dict[str, Any]], Dataset]:
    """A row for each cell, in the order of the grid; and the rows of the first seed.

    Raises `ConfigurationError` where no rule can bear any of the numbers.
    """
    cells, refused = possible(base, grid)
    steps, trials = len(cells) * grid.seeds, dict[Cell, list[Trial | Stopped]]()
    first: Federation | None = None
    for seed in range(base.seed, base.seed + grid.seeds):
        opened = open_federation(base.with_(seed=seed))
        first = first or opened
        for cell in cells:
            progress("federations", sum(map(len, trials.values())), steps)
            unharmed = None if cell == cell.unharmed else trials[cell.unharmed][-1]
            trials.setdefault(cell, []).append(_trial(opened, cell, unharmed))
    progress("federations", steps, steps)
    assert first is not None, "there is at least one seed"
    guessing = float(first.test.fraud.mean())
    rows = [
        _row(cell, guessing, trials[cell]) if cell in trials else _head(cell, guessing) | {"reason": refused[cell]}
        for cell in grid.cells
    ]
    return rows, first.dataset


def possible(base: Experiment, grid: Grid) -> tuple[list[Cell], Mapping[Cell, str]]:
    """The cells that can be tried, and why others cannot. Raises `ConfigurationError` where none that was named can."""
    refused: dict[Cell, str] = {}
    for cell in grid.cells:
        try:
            cell.experiment(base)
        except ConfigurationError as error:
            refused[cell] = str(error)
    kept = [cell for cell in grid.cells if cell not in refused]
    if refused and not any(cell.rule in grid.rules for cell in kept):
        raise ConfigurationError(next(iter(refused.values())))
    return kept, refused


def _trial(opened: Federation, cell: Cell, unharmed: Trial | Stopped | None) -> Trial | Stopped:
    if isinstance(unharmed, Stopped):
        return Stopped(f"without attackers: {unharmed.reason}")
    threshold = None if unharmed is None else unharmed.threshold
    return run_trial(opened, cell.experiment(opened.experiment), cell, threshold)


def _head(cell: Cell, guessing: float) -> dict[str, Any]:
    empty = dict.fromkeys((*MEASURED, "auprc_interval", "excluded", "reason"))
    return {"rule": cell.rule, "attack": cell.attack, "byzantine": cell.byzantine, "guessing": guessing} | empty


def _row(cell: Cell, guessing: float, trials: Sequence[Trial | Stopped]) -> dict[str, Any]:
    """The mean over seeds; a federation that stopped is the reason why there is none."""
    stopped = [trial.reason for trial in trials if isinstance(trial, Stopped)]
    if stopped:
        return _head(cell, guessing) | {"reason": f"{len(stopped)} of {len(trials)} stopped: {stopped[0]}"}
    done = [trial for trial in trials if isinstance(trial, Trial)]
    scores = [trial.auprc for trial in done]
    return (
        _head(cell, guessing)
        | {name: _mean([getattr(trial, name) for trial in done]) for name in MEASURED}
        | {"auprc_by_seed": scores, "auprc_interval": interval_of_mean(scores) if len(scores) > 1 else None}
        | {"excluded": _left_out(done)}
    )


def _left_out(trials: Sequence[Trial]) -> list[list[str]] | None:
    """The names in each round of the first seed; None of a rule that leaves nobody out."""
    if trials[0].wrongly_excluded is None:
        return None
    return [list(record.excluded) for record in trials[0].rounds]


def _mean(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return mean(known) if known else None
