"""What a run needs to go on after it was stopped: written after every round, as a whole or not at all.

A run with results in DIR keeps its state in DIR.unfinished until it is done: the settings, the public state of the
federation, each bank's residual of quantization, and each bank's folder (its ledger of privacy, `ledger.py`). In a real
federation these lie with their owners; the sandbox plays all parties, so here they share a folder.

Keys of the secure sums are not kept: a run that goes on makes new ones.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import Standardization
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.experiment import Experiment
from secure_fl.files import staged_file
from secure_fl.global_model import GlobalModel
from secure_fl.ledger import LEDGER
from secure_fl.metrics import Scores
from secure_fl.results import Exhibit, RoundRecord, Seconds
from secure_fl.secagg.protocol import Delivery

VERSION = 1
SETTINGS, STATE, BANKS = "experiment.toml", "state.json", "banks"


@dataclass(frozen=True)
class Snapshot:
    """The federation between two rounds."""

    standardization: Standardization
    model: GlobalModel
    rounds: tuple[RoundRecord, ...]
    scores: Scores
    exhibit: Exhibit
    deliveries: tuple[Delivery, ...] = field(repr=False)
    residuals: Mapping[str, NDArray[np.float64] | None] = field(repr=False)

    def to_json(self) -> str:
        exhibit = asdict(self.exhibit) | {
            "update": _packed(self.exhibit.update),
            "message": base64.b64encode(self.exhibit.message).decode(),
            "aggregator_reads": _packed(self.exhibit.aggregator_reads),
        }
        document = {
            "version": VERSION,
            "standardization": asdict(self.standardization),
            "model": asdict(self.model) | {"weights": _packed(self.model.weights)},
            "rounds": [asdict(record) for record in self.rounds],
            "scores": asdict(self.scores),
            "exhibit": exhibit,
            "deliveries": [list(asdict(delivery).values()) for delivery in self.deliveries],
            "residuals": {bank: _packed(residual) for bank, residual in self.residuals.items()},
        }
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str) -> Snapshot:
        """Raises `ValueError`, `KeyError` or `TypeError` where it is none of ours."""
        document = json.loads(text)
        if document["version"] != VERSION:
            raise ValueError("another version")
        model, exhibit = document["model"], document["exhibit"]
        return cls(
            standardization=Standardization(**{k: tuple(v) for k, v in document["standardization"].items()}),
            model=GlobalModel(**(model | {"weights": _unpacked(model["weights"])})),
            rounds=tuple(_record(record) for record in document["rounds"]),
            scores=Scores(**document["scores"]),
            exhibit=Exhibit(
                **(
                    exhibit
                    | {
                        "update": _unpacked(exhibit["update"]),
                        "message": base64.b64decode(exhibit["message"]),
                        "aggregator_reads": _unpacked(exhibit["aggregator_reads"]),
                    }
                )
            ),
            deliveries=tuple(Delivery(*values) for values in document["deliveries"]),
            residuals={bank: _unpacked(residual) for bank, residual in document["residuals"].items()},
        )


@dataclass(frozen=True)
class Checkpoint:
    """The folder in which an unfinished run keeps its state."""

    folder: Path
    resume: bool = False
    """Whether it goes on with what is there."""

    @classmethod
    def of_results(cls, results: Path, resume: bool = False) -> Checkpoint:
        """The one beside a folder of results. Raises `ConfigurationError` where there is none, or one already."""
        results = results if results.name else results.absolute()
        folder = results.with_name(f"{results.name}.unfinished")
        if resume and not (folder / STATE).is_file():
            raise ConfigurationError(f"there is no unfinished run of {results} with a finished round; start it again")
        if not resume and folder.exists():
            raise ConfigurationError(
                f"{folder} holds an unfinished run; go on with --resume {results}, or remove that folder"
            )
        return cls(folder, resume)

    @property
    def banks(self) -> Path:
        """The folder of the banks' folders."""
        return self.folder / BANKS

    def settings(self) -> Experiment:
        """The settings of the run that is there."""
        return Experiment.from_toml(self.folder / SETTINGS)

    def start(self, experiment: Experiment) -> None:
        """Take the folder for a new run."""
        self.folder.mkdir(parents=True, exist_ok=False)
        (self.folder / SETTINGS).write_text(experiment.to_toml(), encoding="utf-8")

    def save(self, snapshot: Snapshot) -> None:
        with staged_file(self.folder / STATE) as staging:
            staging.write_text(snapshot.to_json(), encoding="utf-8")

    def load(self) -> Snapshot:
        """Raises `DataError` where it is damaged."""
        try:
            return Snapshot.from_json((self.folder / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{self.folder / STATE} is damaged; remove the folder and start the run again") from None

    @property
    def can_resume(self) -> bool:
        """Whether a round was finished."""
        return (self.folder / STATE).is_file()

    @property
    def worth_keeping(self) -> bool:
        """Whether a round was finished, or anything of a privacy budget was spent."""
        return (self.folder / STATE).is_file() or any(map(_spent, self.banks.glob(f"*/{LEDGER}")))

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _spent(ledger: Path) -> bool:
    try:
        return bool(json.loads(ledger.read_text(encoding="utf-8"))["entries"])
    except (OSError, ValueError, KeyError, TypeError):
        return True  # nobody knows


def _record(document: Mapping[str, Any]) -> RoundRecord:
    lists = {name: tuple(document[name]) for name in ("contributors", "dropped")}
    return RoundRecord(**(dict(document) | lists | {"seconds": Seconds(**document["seconds"])}))


def _packed(array: NDArray[Any] | None) -> list[str] | None:
    return None if array is None else [array.dtype.str, base64.b64encode(array.tobytes()).decode()]


def _unpacked(packed: list[str] | None) -> Any:
    return None if packed is None else np.frombuffer(base64.b64decode(packed[1], validate=True), dtype=packed[0])
