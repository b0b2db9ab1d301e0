"""What a node keeps from one message to the next.

Flower starts a process for each message, so a module's variables do not last. A node's `Context.state` does: it lies in
the memory of its SuperNode, and never travels to the SuperLink (in a simulation all nodes are in one machine's memory).
A SuperNode that is killed forgets it, and its node is a dropout of the attempt.
"""

from __future__ import annotations

import json

import numpy as np
from flwr.app import ConfigRecord, Context
from numpy.typing import NDArray

from secure_fl.secagg.turns import Turns
from secure_fl.transport.flower.records import RECORD

_TURN, _VALUES = "turn", "values"


class NodeMemory:
    """Named bytes in the state of a node. Its `repr` shows none."""

    def __init__(self, context: Context) -> None:
        if RECORD not in context.state:
            context.state[RECORD] = ConfigRecord()
        self._record = context.state.config_records[RECORD]

    def __repr__(self) -> str:
        return "NodeMemory(...)"

    def __getitem__(self, name: str) -> bytes:
        """Empty where there is nothing."""
        value = self._record.get(name, b"")
        assert isinstance(value, bytes)
        return value

    def __setitem__(self, name: str, value: bytes) -> None:
        self._record[name] = value

    def turns(self) -> Turns:
        """The last turn of the node, as long as its state lasts."""

        def keep(turn: tuple[bytes, int, int]) -> None:
            session, round_, attempt = turn
            self[_TURN] = json.dumps([session.hex(), round_, attempt]).encode()

        if not self[_TURN]:
            return Turns(keep=keep)
        session, round_, attempt = json.loads(self[_TURN])
        return Turns((bytes.fromhex(session), round_, attempt), keep)

    @property
    def values(self) -> NDArray[np.int32]:
        """A bank's quantized update."""
        return np.frombuffer(self[_VALUES], dtype="<i4")

    @values.setter
    def values(self, values: NDArray[np.int64]) -> None:
        self[_VALUES] = values.astype("<i4").tobytes()
