"""What a run needs to go on after it was stopped: written after every round, as a whole or not at all.

A run with results in DIR keeps its state in DIR.unfinished until it is done: the settings, a name that no other run
has, the public state of the federation, the model of each round (`round_models`), each bank's residual of quantization,
and each bank's folder (its ledger of this run, `ledger.py`). In a real federation these lie with their owners; the
sandbox plays all parties, so here they share a folder.

Everything here is sealed with a checksum (`files.sealed`), and the states after the last two rounds are kept: where a
bit of the last one changed, the run goes on from the one before, says so, and does a round again. A repeated round of
DP-SGD is the very same release; a repeated sum with fresh noise is charged again.

A run can go on from the moment that it has its name, also where no round was finished. What it spent is in the ledgers
for life (`lifetime`), whatever becomes of this folder.

Keys of the secure sums are not kept: a run that goes on makes new ones.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import Standardization
from secure_fl.data.metrics import Scores
from secure_fl.errors import ConfigurationError, DamageWarning, DataError
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.history import History
from secure_fl.federation.results import Exhibit, RoundRecord, Seconds
from secure_fl.federation.round_models import StoredModels
from secure_fl.files import sealed, unfinished, unsealed, unwritten, write_durably
from secure_fl.privacy.ledger import LEDGER
from secure_fl.secagg.transcript import Delivery
from secure_fl.settings import Experiment

VERSION = 4
SETTINGS, RUN, STATE, BANKS, MODELS = "experiment.toml", "run", "state-", "banks", "models"
"""Names of the files; a state has the number of its last round behind its name."""
KEPT = 2
"""States, at most."""


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

    @classmethod
    def of(
        cls,
        history: History,
        deliveries: tuple[Delivery, ...],
        residuals: Mapping[str, NDArray[np.float64] | None],
    ) -> Snapshot:
        assert history.scores is not None, "nothing is kept before the first round is finished"
        assert history.exhibit is not None
        return cls(
            history.standardization,
            history.model,
            history.rounds,
            history.scores,
            history.exhibit,
            deliveries,
            residuals,
        )

    @property
    def history(self) -> History:
        return History(self.standardization, self.model, self.rounds, self.scores, self.exhibit)

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
        folder = unfinished(results)
        there = any(any(folder.glob(name)) for name in (RUN, f"{STATE}*"))
        if resume and not there:
            raise ConfigurationError(f"there is no unfinished run of {results}; start one with --out {results}")
        if not resume and there:
            raise ConfigurationError(
                f"{folder} holds an unfinished run; go on with --resume {results}, or choose another --out (what it "
                "spent stays counted either way)"
            )
        return cls(folder, resume)

    @property
    def banks(self) -> Path:
        """The folder of the banks' folders."""
        return self.folder / BANKS

    @property
    def models(self) -> StoredModels:
        """Of the rounds."""
        return StoredModels(self.folder / MODELS)

    def settings(self) -> Experiment:
        """The settings of the run that is there. Raises `DataError` where they are damaged."""
        self._kept(SETTINGS)
        return Experiment.from_toml(self.folder / SETTINGS)

    def start(self, experiment: Experiment) -> None:
        """Take the folder for a new run."""
        self._keep(SETTINGS, experiment.to_toml().encode())
        self._keep(RUN, secrets.token_hex(16).encode())

    @property
    def run(self) -> str:
        """The run's name in the ledgers for life. Raises `DataError` where it is damaged."""
        return self._kept(RUN).decode("ascii")

    def save(self, snapshot: Snapshot) -> None:
        """Raises `StorageError` or `ConfigurationError` where it cannot be written; the states before are kept then."""
        finished = len(snapshot.rounds)
        self._keep(f"{STATE}{finished}", snapshot.to_json().encode())
        for older in self._states:
            if older <= finished - KEPT:
                (self.folder / f"{STATE}{older}").unlink(missing_ok=True)

    def load(self) -> Snapshot | None:
        """The last state that is whole; None: the run goes on from its beginning.

        Warns of one that is damaged; raises `DataError` where each is, and the beginning is further back.
        """
        states = sorted(self._states, reverse=True)
        for number in states:
            try:
                snapshot = Snapshot.from_json(self._kept(f"{STATE}{number}").decode())
                if len(snapshot.rounds) == number:
                    return snapshot
            except (DataError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                pass  # it is damaged, as is one of another round
            if number - 1 not in (0, *states):
                raise self._damaged(f"{STATE}{number}")
            text = f"{self.folder / STATE}{number} is damaged; round {number} is done again, from the state before it"
            warnings.warn(DamageWarning(text), stacklevel=2)
        return None

    @property
    def can_resume(self) -> bool:
        """Whether a round was finished."""
        return bool(self._states)

    @property
    def _states(self) -> tuple[int, ...]:
        """The rounds whose state is there."""
        numbers = (path.name.removeprefix(STATE) for path in self.folder.glob(f"{STATE}*"))
        return tuple(int(number) for number in numbers if number.isdecimal())

    @property
    def worth_keeping(self) -> bool:
        """Whether a round was finished, or anything of a privacy budget was spent: going on then costs less."""
        return self.can_resume or any(map(_spent, self.banks.glob(f"*/{LEDGER}")))

    def _keep(self, name: str, content: bytes) -> None:
        try:
            write_durably(self.folder / name, sealed(content))
        except OSError as error:
            raise unwritten(self.folder / name, error, "choose another --out") from None

    def _kept(self, name: str) -> bytes:
        try:
            return unsealed((self.folder / name).read_bytes())
        except (OSError, ValueError):
            raise self._damaged(name) from None

    def _damaged(self, name: str) -> DataError:
        return DataError(f"{self.folder / name} is damaged, or of another version of secure_fl; {_ADVICE}")

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


_ADVICE = "put it back from a copy, or start another run with another --out; what this one spent stays counted for life"


def _spent(ledger: Path) -> bool:
    try:
        return bool(json.loads(ledger.read_text(encoding="utf-8"))["entries"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return True  # nobody knows


def _record(document: Mapping[str, Any]) -> RoundRecord:
    lists = {name: tuple(document[name]) for name in ("contributors", "dropped", "excluded", "byzantine")}
    return RoundRecord(**(dict(document) | lists | {"seconds": Seconds(**document["seconds"])}))


def _packed(array: NDArray[Any] | None) -> list[str] | None:
    return None if array is None else [array.dtype.str, base64.b64encode(array.tobytes()).decode()]


def _unpacked(packed: list[str] | None) -> Any:
    return None if packed is None else np.frombuffer(base64.b64decode(packed[1], validate=True), dtype=packed[0])
