"""A finished run again, without banks that have left: erasure by retraining.

Every bank takes part in round 0, whose sums set the scale of all features. So the last model that a bank did not touch
is the one before round 0, and the whole run is done again: the same settings and seed, the same rows of the others.
Where nothing is drawn anew, the model is, bit for bit, that of a run which the bank never joined.

Rules:
- Only a run whose record holds is done again: its settings, and what it was trained on, are what was signed.
- Nothing of the earlier run goes into the new one but its settings. Counts of rows are compared, and differ where the
  others' rows are no longer those of the run.
- What a bank may have had a say in that no retraining takes back is refused: patterns of synthetic fraud. So is what
  would turn another bank into an attacker.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secure_fl.data.datasets import rows_of_banks
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.report.record_check import verify_record
from secure_fl.report.wording import names_text
from secure_fl.secagg.budget import MIN_BANKS
from secure_fl.settings import IN_MEMORY, Drop, Experiment


@dataclass(frozen=True)
class Retraining:
    """A run that is to be done again."""

    settings: Experiment
    beforehand: tuple[str, ...]
    """What people should know before it begins, in sentences."""


def retraining(run: Path, leaving: Sequence[str], key: str | None = None) -> Retraining:
    """The run of a folder without some of its banks.

    `key`: whose signature of the record counts, as `verify_record` takes it. Raises `RecordError` where the record does
    not hold, `DataError` where the rows are others, `ConfigurationError` for what cannot leave, or not from this run.
    """
    verified = verify_record(run, key=key)
    earlier = Experiment.from_toml(run / "experiment.toml")
    _require_members(run, earlier, leaving)
    left = (*earlier.without, *leaving)
    changes: dict[str, Any] = {
        "banks": earlier.banks - len(leaving),
        "names": tuple(name for name in earlier.names if name not in leaving),
        "drop": tuple(text for text in earlier.drop if Drop.parse(text).party not in leaving),
        "without": left,
        "retrained_from": verified.head,
    }
    try:
        settings = earlier.with_(**changes)
    except ConfigurationError as error:
        raise ConfigurationError(f"{run} cannot be done again without {names_text(leaving)}: {error}") from None
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    if earlier.dataset != IN_MEMORY:
        _require_same_rows(run, earlier, metrics)
    return Retraining(settings, tuple(_beforehand(settings, leaving, metrics)))


def _require_members(run: Path, earlier: Experiment, leaving: Sequence[str]) -> None:
    """Raises `ConfigurationError` where a bank is none of the run, or the others could not do without it."""
    for name in leaving:
        if name in earlier.without:
            raise ConfigurationError(f"{name} has left already, before {run} was trained; name banks that took part")
        if name not in earlier.bank_names:
            raise ConfigurationError(
                f"no bank of {run} is called {name!r}; its banks are {names_text(earlier.bank_names)}"
            )
        if name in earlier.attackers:
            raise ConfigurationError(
                f"{name} is one of the last {earlier.byzantine} banks, which attack, and an honest one would attack in "
                "its place; start a new run with fewer byzantine"
            )
    if len({*leaving}) < len(leaving):
        raise ConfigurationError(f"a bank leaves twice: {', '.join(leaving)}; name each once")
    if earlier.banks - len(leaving) < MIN_BANKS:
        raise ConfigurationError(
            f"{earlier.banks} banks took part in {run}, and without {names_text(leaving)} fewer than {MIN_BANKS} are "
            "left, whose sum would say too much of each; find another bank, and start a new run"
        )


def _require_same_rows(run: Path, earlier: Experiment, metrics: dict[str, Any]) -> None:
    """Raises `DataError` where a bank no longer holds as many rows as it did."""
    held = {name: counts["train_rows"] + counts["test_rows"] for name, counts in metrics["data"]["banks"].items()}
    for name, count in rows_of_banks(earlier).items():
        if count != held[name]:
            raise DataError(
                f"{name} held {held[name]:,} rows in {run}, and is dealt {count:,} of {earlier.dataset} now: they are "
                "not the rows of that run; put these back, or start a new run"
            )


def _beforehand(settings: Experiment, leaving: Sequence[str], metrics: dict[str, Any]) -> list[str]:
    lines = [
        f"{names_text(settings.bank_names)} do all rounds again, round 0 too, without {names_text(leaving)}; of the "
        "earlier run only the settings are used"
    ]
    if settings.private:
        lines.append(
            f"this costs their privacy again: about {metrics['privacy']['epsilon']:.3g} of epsilon at delta "
            f"{settings.delta:g}, beside what the earlier run spent (secure-fl ledger)"
        )
    return lines
