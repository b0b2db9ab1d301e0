"""What a gateway needs to go on after it was killed: the last finished round, written as a whole or not at all.

Two states are kept, each sealed with a checksum; where the last one is damaged the one before it is used, and said so.
A round that was not finished is done again under a new session, so nothing that was said in it counts.
"""

from __future__ import annotations

import base64
import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from secure_fl.data import Standardization
from secure_fl.errors import ConfigurationError, DamageWarning, DataError
from secure_fl.federation.global_model import GlobalModel
from secure_fl.files import sealed, unsealed, unwritten, write_durably
from secure_fl.secagg.transcript import Delivery
from secure_fl.transport.roster import Roster

STATE, KEPT = "state-", 2
_OTHER = "name another folder as state in the gateway's file"


@dataclass(frozen=True)
class State:
    """After a round; round 0 has the statistics."""

    federation: str
    round: int
    standardization: Standardization
    model: GlobalModel
    contributors: tuple[tuple[str, ...], ...] = ()
    """Of each round from 1."""
    attempts: tuple[int, ...] = ()
    deliveries: tuple[Delivery, ...] = field(default=(), repr=False)

    def to_bytes(self) -> bytes:
        model = {
            "weights": base64.b64encode(self.model.weights.astype("<f4").tobytes()).decode(),
            "clip": self.model.clip,
            "mean_examples": self.model.mean_examples,
        }
        document = {
            "federation": self.federation,
            "round": self.round,
            "standardization": asdict(self.standardization),
            "model": model,
            "contributors": self.contributors,
            "attempts": self.attempts,
            "deliveries": [list(asdict(delivery).values()) for delivery in self.deliveries],
        }
        return json.dumps(document).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """Raises `ValueError`, `KeyError` or `TypeError` for what is none."""
        document = json.loads(data)
        model = document["model"]
        weights = np.frombuffer(base64.b64decode(model["weights"], validate=True), dtype="<f4")
        return cls(
            federation=document["federation"],
            round=document["round"],
            standardization=Standardization(**{k: tuple(v) for k, v in document["standardization"].items()}),
            model=GlobalModel(weights, model["clip"], model["mean_examples"]),
            contributors=tuple(map(tuple, document["contributors"])),
            attempts=tuple(document["attempts"]),
            deliveries=tuple(Delivery(*values) for values in document["deliveries"]),
        )


@dataclass(frozen=True)
class StateStore:
    """The folder that states are kept in."""

    folder: Path

    def save(self, state: State) -> None:
        """Raises `StorageError` or `ConfigurationError` where it cannot be written; the ones before are kept then."""
        path = self._path(state.round)
        try:
            write_durably(path, sealed(state.to_bytes()))
        except OSError as error:
            raise unwritten(path, error, _OTHER) from None
        for number in self._rounds:
            if number <= state.round - KEPT:
                self._path(number).unlink(missing_ok=True)

    def load(self, roster: Roster) -> State | None:
        """The last whole state; None where the federation begins. Raises `DataError` where each is damaged."""
        rounds = sorted(self._rounds, reverse=True)
        for number in rounds:
            try:
                state = State.from_bytes(unsealed(self._path(number).read_bytes()))
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                warnings.warn(
                    DamageWarning(f"{self._path(number)} is damaged; the state before it is used"), stacklevel=2
                )
                continue
            if state.federation != roster.federation:
                raise ConfigurationError(f"{self.folder} holds the state of another federation; {_OTHER}")
            return state
        if rounds:
            raise DataError(f"every state in {self.folder} is damaged; put one back from a copy, or {_OTHER}")
        return None

    @property
    def _rounds(self) -> tuple[int, ...]:
        names = (path.name.removeprefix(STATE) for path in self.folder.glob(f"{STATE}*"))
        return tuple(int(name) for name in names if name.isdecimal())

    def _path(self, number: int) -> Path:
        return self.folder / f"{STATE}{number}"
