"""A customer's part of a scoring: keys once a session, then batch after batch, and answers opened.

Where the service forgot a session, since it was started anew or had too many, another one is opened under a new key,
and the rows that were not answered go on in it.

What an answer holds never changes what is sent next. A service that answers with a ciphertext of its own choice would
learn of a row otherwise: whether a number is large, say. So a logit beyond the plan's bounds is said in the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from secure_fl.errors import MessageError, ProtocolError, ScoringError
from secure_fl.progress import Progress, unseen
from secure_fl.scoring.data_owner import DataOwner
from secure_fl.scoring.network import Vector
from secure_fl.scoring.plans import ScoringPlan
from secure_fl.scoring.rows import check_rows
from secure_fl.scoring.scored import Batch, EncryptedScores
from secure_fl.transport.scores.publishing import LARGEST, PublicModel
from secure_fl.transport.scores.wire import SessionGoneError, Wire

MOST_SESSIONS = 10
"""One after the other without an answer."""


class Customer:
    """Of one service, for one table of rows."""

    def __init__(self, wire: Wire, progress: Progress = unseen, clock: Callable[[], float] = time.perf_counter) -> None:
        """Asks what the service has. Raises what `Wire` and `PublicModel.from_json` raise."""
        self._wire, self._progress, self._clock = wire, progress, clock
        self._published = wire.plan(LARGEST)
        self.public = PublicModel.from_json(self._published)
        self._logits: list[Vector] = []
        self._batches: list[Batch] = []
        self._keys_bytes, self._keys_seconds = 0, 0.0
        self._first = b""

    def score(self, rows: ArrayLike) -> EncryptedScores:
        """Score all rows, float [n, features]. Raises `DataError` before a key is drawn."""
        table = check_rows(self.public.plan, rows)
        done, idle = 0, 0
        while done < len(table):
            idle += 1
            if idle > MOST_SESSIONS:
                raise ProtocolError("the service forgets each session before it answers; ask its owner for more room")
            before = done
            try:
                for answered in self._session(table[done:]):
                    done += answered
                    self._progress("scoring", done, len(table))
            except SessionGoneError:
                self._require_same_model()
            idle = idle if done == before else 0
        logits = np.concatenate(self._logits)
        _require_within(self.public.plan, logits)
        return EncryptedScores(logits, tuple(self._batches), self._keys_bytes, self._keys_seconds, self._first)

    def _session(self, table: NDArray[Any]) -> Iterator[int]:
        """Under a new key; how many rows each batch had, once it is opened. Raises `SessionGoneError` too."""
        started = self._clock()
        owner = DataOwner(self.public.plan)
        keys = owner.keys()
        self._wire.open(keys)
        self._keys_bytes += len(keys)
        self._keys_seconds += self._clock() - started
        requests = owner.encrypt(table)
        while True:
            times = [self._clock()]
            request = next(requests, None)
            if request is None:
                return
            times.append(self._clock())
            answer = self._wire.score(request, self._largest_answer)
            times.append(self._clock())
            logits = owner.open(answer)
            times.append(self._clock())
            self._first = self._first or request
            self._logits.append(logits)
            self._batches.append(Batch(len(logits), len(request), len(answer), *np.diff(times).tolist()))
            yield len(logits)

    @property
    def _largest_answer(self) -> int:
        """Bytes: two polynomials under the primes that an answer keeps, and what is around them."""
        return 2 * self.public.plan.parameters.degree * 8 * self.public.plan.answer_primes + (1 << 12)

    def _require_same_model(self) -> None:
        """Raises `MessageError` where the service was started with another model."""
        if self._wire.plan(LARGEST) != self._published:
            raise MessageError("the service has another model than before; score all rows again")


def _require_within(plan: ScoringPlan, logits: Vector) -> None:
    """Raises `ScoringError` where the model owner did not compute what it planned."""
    beyond = ~(np.abs(logits) <= plan.largest_logit + plan.error_bound)
    if beyond.any():
        raise ScoringError(
            f"{int(beyond.sum())} of {len(logits)} scores are beyond what the service's plan allows: it does not "
            "compute what it said; do not use any of them, and do not send rows again"
        )
