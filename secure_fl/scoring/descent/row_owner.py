"""The owner of rows and labels: holds the key, takes the steps, and alone reads weights. Bytes out, bytes in, no I/O.

    owner = RowOwner(plan, rows, labels)
    keys = owner.keys()                        # to the trainer, once
    for batch in owner.training_rows(): ...    # to the trainer, once
    request = owner.request()                  # each epoch: the weights, encrypted anew
    owner.update(reply)                        # what the trainer answered; owner.weights, owner.bias

A key is new for each `RowOwner` and never leaves it. Each epoch is stepped once; a reply that is refused changes
nothing. A gradient's sum over rows is the mean of all slots, which is the constant coefficient of what is decrypted,
up to a factor: nobody rotates anything, and there are no keys to rotate with.

Before weights are sent, the largest logit is computed in the clear: rows that would leave the interval stop the
training. That is half of what an epoch costs without encryption.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from secure_fl.errors import MessageError, TrainingError
from secure_fl.scoring.descent.examples import check_examples
from secure_fl.scoring.descent.plain import stepped, with_ones
from secure_fl.scoring.descent.plans import DescentPlan
from secure_fl.scoring.hazmat.secret import SecretKey
from secure_fl.scoring.messages import SESSION_BYTES, Kind, open_message, seal
from secure_fl.scoring.network import Vector


class RowOwner:
    """One key, one session and one training."""

    def __init__(self, plan: DescentPlan, rows: ArrayLike, labels: ArrayLike) -> None:
        """Rows: float [n, features]; labels: [n], 0 or 1. Raises `DataError` before a key is made."""
        checked, self._labels = check_examples(plan.task, rows, labels)
        self._columns = with_ones(checked)
        self._plan = plan
        self._key = SecretKey(plan.parameters)
        self._session = secrets.token_bytes(SESSION_BYTES)
        self._weights: Vector = np.zeros(plan.task.columns)
        self._epoch = 0
        self._request: bytes | None = None
        """Of this epoch, once it was asked for."""

    def __repr__(self) -> str:
        return f"RowOwner({self._epoch} of {self._plan.task.epochs} epochs)"

    @property
    def weights(self) -> Vector:
        """Of the features, float64 [features]; zero before the first step."""
        return self._weights[1:].copy()

    @property
    def bias(self) -> float:
        return float(self._weights[0])

    @property
    def epochs_left(self) -> int:
        return self._plan.task.epochs - self._epoch

    def keys(self) -> bytes:
        """The message that opens the session: keys to compute with, none to decrypt with."""
        return seal(self._plan, Kind.KEYS, self._session, 0, 0, self._key.evaluation_keys((), squares=True))

    def training_rows(self) -> Iterator[bytes]:
        """A message for each batch: columns and labels."""
        plan, size = self._plan, self._plan.rows_per_batch
        for batch in range(plan.batches):
            here = slice(batch * size, (batch + 1) * size)
            columns = np.ascontiguousarray(self._columns[here].T)
            parts = [self._key.encrypt(column, 2.0**plan.scales.rows) for column in columns]
            parts.append(self._key.encrypt(self._labels[here] - 0.5, plan.stages.labels))
            yield seal(plan, Kind.TRAINING_ROWS, self._session, batch, plan.rows_of(batch), parts)

    def request(self) -> bytes:
        """The encrypted weights of this epoch; the same bytes until its gradient came.

        Raises `TrainingError` where all epochs are done, or a row's logit would leave the interval: nothing is sent
        then, and the weights reached so far stay.
        """
        plan, task = self._plan, self._plan.task
        if not self.epochs_left:
            raise TrainingError(f"all {task.epochs} epochs are done; read the weights, or plan more epochs")
        if self._request is None:
            if not self._largest_logit() <= plan.reach:
                raise TrainingError(
                    f"after {self._epoch} epochs a row's logit leaves the interval of {task.interval:g} that the "
                    "sigmoid is replaced on; plan with a lower rate, more weight decay or a wider interval"
                )
            self._request = self._encrypted_weights()
        return self._request

    def update(self, reply: bytes) -> None:
        """Takes one step along the gradient of this epoch. Raises `MessageError`; the right reply can still come."""
        plan, task = self._plan, self._plan.task
        message = open_message(plan, Kind.GRADIENT, reply, session=self._session, parts=task.columns)
        if self._request is None or message.batch != self._epoch:
            raise MessageError("a message with a gradient answers no epoch that waits; request the next one first")
        slots = np.array([self._key.decrypt(part, plan.stages.gradient) for part in message.parts])
        mean = -slots.sum(axis=1) / task.rows
        if not np.linalg.norm(mean) <= task.mean_length * task.sigmoid.largest_residual + plan.gradient_error:
            raise MessageError("a gradient is longer than any can be, so it is none; have it computed again")
        self._weights = stepped(task, self._weights, mean)
        self._epoch, self._request = self._epoch + 1, None

    def _encrypted_weights(self) -> bytes:
        plan, task = self._plan, self._plan.task
        scaled = task.sigmoid.shrink * self._weights
        constant = np.ones(plan.parameters.slots)
        parts = [self._key.encrypt(weight * constant, 2.0**plan.scales.weights) for weight in scaled.tolist()]
        return seal(plan, Kind.WEIGHTS, self._session, self._epoch, 0, parts)

    def _largest_logit(self) -> float:
        return float(np.abs(self._columns @ self._weights).max())
