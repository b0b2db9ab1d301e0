"""The trainer: computes gradients on rows, labels and weights that it cannot read. Bytes in, bytes out, no I/O.

It cannot decrypt: no module that it reaches knows a secret key, and one that is handed to it is refused. What it
learns: the plan, and when rows and weights come. What it could do wrong: see `custody`.

    trainer = Trainer(plan, keys)
    trainer.accept(batch)            # each batch of rows, in order
    reply = trainer.gradient(request)          # each epoch, in order; a request that is repeated gets the same reply
"""

from __future__ import annotations

from secure_fl.errors import MessageError
from secure_fl.scoring.descent.circuit import EncryptedBatch, gradient
from secure_fl.scoring.descent.plans import DescentPlan
from secure_fl.scoring.hazmat.objects import refuse_secret_key
from secure_fl.scoring.hazmat.products import Products
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.secagg.hazmat.he_words import saved


class Trainer:
    """One training, for the session of one owner of rows."""

    def __init__(self, plan: DescentPlan, keys: bytes) -> None:
        """`keys`: the owner's. Raises `MessageError`, or `SecretExposureError` where they hold a secret key."""
        if not keys:
            raise MessageError("the evaluation keys are missing; send the owner's keys before the rows")
        refuse_secret_key(plan.parameters, keys)
        message = open_message(plan, Kind.KEYS, keys, session=None, parts=1)
        self._plan = plan
        self._session = message.session
        self._evaluation = Products(plan.parameters, message.parts, ())
        self._batches: list[EncryptedBatch] = []
        self._next_epoch = 0
        self._answered = (b"", b"")
        """The last request, and what was answered."""

    def __repr__(self) -> str:
        return f"Trainer({len(self._batches)} of {self._plan.batches} batches, {self._next_epoch} epochs)"

    def accept(self, batch: bytes) -> None:
        """Keeps one batch of encrypted rows. Raises `MessageError`; the right one can still come."""
        plan, task, expected = self._plan, self._plan.task, len(self._batches)
        message = open_message(plan, Kind.TRAINING_ROWS, batch, session=self._session, parts=task.columns + 1)
        if expected == plan.batches:
            raise MessageError("all rows of the plan are here already; go on with the weights")
        if message.batch != expected or message.rows != plan.rows_of(expected):
            raise MessageError(f"a message with training rows is not batch {expected}; send batches once and in order")
        *columns, labels = message.parts
        self._batches.append(
            EncryptedBatch(
                tuple(self._evaluation.load(part, 2.0**plan.scales.rows) for part in columns),
                self._evaluation.load(labels, plan.stages.labels),
            )
        )

    def gradient(self, request: bytes) -> bytes:
        """The encrypted gradient at the encrypted weights of one epoch. Raises `MessageError`.

        The last request may come again, where its reply was lost; other weights for the same epoch may not.
        """
        plan, task = self._plan, self._plan.task
        if request and request == self._answered[0]:
            return self._answered[1]
        message = open_message(plan, Kind.WEIGHTS, request, session=self._session, parts=task.columns)
        missing = plan.batches - len(self._batches)
        if missing:
            raise MessageError(f"{missing} of {plan.batches} batches of rows are missing; send them before the weights")
        if message.batch != self._next_epoch:
            raise MessageError(
                f"weights of epoch {message.batch} came where those of epoch {self._next_epoch} are due; send each "
                "epoch's once and in order"
            )
        weights = [self._evaluation.load(part, 2.0**plan.scales.weights) for part in message.parts]
        found = gradient(self._evaluation, self._batches, weights, task.sigmoid.turn)
        for part in found:
            self._evaluation.shrink(part, 1)
        reply = seal(plan, Kind.GRADIENT, self._session, message.batch, 0, [saved(part) for part in found])
        self._next_epoch, self._answered = self._next_epoch + 1, (bytes(request), reply)
        return reply
