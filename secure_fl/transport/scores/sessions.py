"""The model owner's half, for all customers. Bytes in, bytes out; one call at a time.

A session is one key of one customer. Within it the numbers of batches rise, and a batch is answered once: who sends the
last one again, because the answer was lost, gets the very answer that was computed. What one customer opened is not
there for another. Sessions take memory, so a customer that opens another one loses its oldest, and where there are too
many in all the one that was used least recently goes; its customer opens a new one.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from secure_fl.scoring.messages import Kind, open_message
from secure_fl.scoring.model_owner import ModelOwner
from secure_fl.scoring.plans import PlannedModel
from secure_fl.transport.requests import RefusedError
from secure_fl.transport.scores.allowance import Allowance
from secure_fl.transport.scores.refusals import ANOTHER, ANSWERED, GONE, STATUS

OF_ONE = 2
"""Sessions of one customer."""


@dataclass
class _Session:
    scorer: ModelOwner
    keys: bytes
    """Digest of the message that opened it."""
    batch: int = -1
    """The last one that was answered; digest of what was asked; the answer."""
    asked: bytes = b""
    answer: bytes = b""


class Sessions:
    """Of one model."""

    def __init__(self, model: PlannedModel, of_all: int, allowance: Allowance | None = None) -> None:
        """`of_all`: how many there can be; `allowance`: of answers, None where there is no limit."""
        self._model, self._of_all, self._allowance = model, of_all, allowance
        self._open: OrderedDict[tuple[str, bytes], _Session] = OrderedDict()
        """Of which customer, under which number; the one that was used last at the end."""

    def __len__(self) -> int:
        return len(self._open)

    def open(self, customer: str, keys: bytes) -> None:
        """Raises `MessageError`, `SecretExposureError` or `RefusedError`. The same keys again change nothing."""
        scorer, digest = ModelOwner(self._model, keys), hashlib.sha256(keys).digest()
        place = customer, scorer.session
        if place not in self._open:
            self._make_room(customer)
            self._open[place] = _Session(scorer, digest)
        elif self._open[place].keys != digest:
            raise _refused(ANOTHER)

    def answer(self, customer: str, request: bytes) -> bytes:
        """The encrypted logits of one batch. Raises `MessageError` or `RefusedError`."""
        plan, digest = self._model.plan, hashlib.sha256(request).digest()
        message = open_message(plan, Kind.ROWS, request, session=None, parts=plan.ciphertexts)
        place = customer, message.session
        session = self._open.get(place)
        if session is None:
            raise _refused(GONE)
        self._open.move_to_end(place)
        if message.batch <= session.batch:
            if digest != session.asked:
                raise _refused(ANSWERED)
            return session.answer
        if self._allowance is not None:
            self._allowance.charge(customer)
        session.answer = session.scorer.score(request)
        session.batch, session.asked = message.batch, digest
        return session.answer

    def _make_room(self, customer: str) -> None:
        """For one more."""
        own = [place for place in self._open if place[0] == customer]
        if len(own) >= OF_ONE:
            del self._open[own[0]]
        elif len(self._open) >= self._of_all:
            self._open.popitem(last=False)


def _refused(reason: str) -> RefusedError:
    return RefusedError(reason, STATUS[reason])
