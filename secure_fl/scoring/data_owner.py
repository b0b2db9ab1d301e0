"""The data owner: holds the key and the rows, and is the only one who reads scores. Bytes out, bytes in, no I/O.

    owner = DataOwner(plan)
    keys = owner.keys()                        # to the model owner, once
    for request in owner.encrypt(rows):        # one message a batch; more rows than fit are split
        logits = owner.open(reply)             # what the model owner answered to it, float64 [rows of the batch]

A key is new for each `DataOwner` and never leaves it. Each batch is opened once, in any order.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from secure_fl.errors import MessageError
from secure_fl.scoring.hazmat.secret import SecretKey
from secure_fl.scoring.messages import SESSION_BYTES, Kind, open_message, seal
from secure_fl.scoring.network import ComplexVector, Matrix, Vector
from secure_fl.scoring.pairs import pairs_of
from secure_fl.scoring.plans import ScoringPlan
from secure_fl.scoring.rotations import spread_row
from secure_fl.scoring.rows import check_rows, sent


class DataOwner:
    """One key and one session."""

    def __init__(self, plan: ScoringPlan) -> None:
        self._plan = plan
        self._key = SecretKey(plan.parameters)
        self._session = secrets.token_bytes(SESSION_BYTES)
        self._next_batch = 0
        self._waiting: dict[int, int] = {}
        """Batches that are not answered yet, and their rows."""

    def __repr__(self) -> str:
        return f"DataOwner({self._next_batch} batches encrypted)"

    def keys(self) -> bytes:
        """The message that opens the session: keys to compute and to encrypt with, none to decrypt with."""
        keys = self._key.evaluation_keys(self._plan.rotations, squares=self._plan.squares > 0)
        if self._plan.hides_model:
            keys.append(self._key.public_key())
        return seal(self._plan, Kind.KEYS, self._session, 0, 0, keys)

    def encrypt(self, rows: ArrayLike) -> Iterator[bytes]:
        """A message for each batch; rows: float [n, features]. Raises `DataError` before anything is encrypted."""
        table, size = check_rows(self._plan, rows), self._plan.rows_per_batch
        return (self._encrypted(sent(self._plan, table[start : start + size])) for start in range(0, len(table), size))

    def open(self, reply: bytes) -> Vector:
        """Logits of one batch, float64 [rows]. Raises `MessageError`; the batch can then be answered again."""
        message = open_message(self._plan, Kind.SCORES, reply, session=self._session, parts=1)
        rows = self._waiting.get(message.batch)
        if rows is None or rows != message.rows:
            raise MessageError("a message with scores answers no batch that waits; score the rows again")
        logits = self._key.decrypt(message.parts[0], self._plan.result_scale, self._plan.answer_primes)
        del self._waiting[message.batch]
        return logits[:rows]

    def _slots(self, rows: Matrix) -> Sequence[Vector | ComplexVector]:
        """What each ciphertext holds."""
        if self._plan.layout == "single":
            return spread_row(rows[0], self._plan.block, self._plan.parameters.slots)
        columns = np.ascontiguousarray(rows.T)
        return list(pairs_of(columns)) if self._plan.paired else list(columns)

    def _encrypted(self, rows: Matrix) -> bytes:
        scale = 2.0**self._plan.input_scale_bits
        parts = [self._key.encrypt(values, scale) for values in self._slots(rows)]
        batch, self._next_batch = self._next_batch, self._next_batch + 1
        self._waiting[batch] = len(rows)
        return seal(self._plan, Kind.ROWS, self._session, batch, len(rows), parts)
