"""Both halves in one process, with every message serialized: for demonstrations, benchmarks and the command line.

Batches follow each other, so that memory holds one at a time, however many rows there are.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from secure_fl.progress import Progress, unseen
from secure_fl.scoring.data_owner import DataOwner
from secure_fl.scoring.model_owner import ModelOwner
from secure_fl.scoring.plans import PlannedModel
from secure_fl.scoring.scored import Batch, EncryptedScores


def score_encrypted(
    model: PlannedModel,
    rows: ArrayLike,
    progress: Progress = unseen,
    clock: Callable[[], float] = time.perf_counter,
) -> EncryptedScores:
    """Score all rows, float [n, features], under a new key. Raises `DataError` before anything is encrypted."""
    started = clock()
    owner = DataOwner(model.plan)
    keys = owner.keys()
    scorer = ModelOwner(model, keys)
    keys_seconds = clock() - started
    requests = owner.encrypt(rows)
    count, done, first = len(np.asarray(rows)), 0, b""
    logits, batches = [], list[Batch]()
    while done < count:
        times = [clock()]
        request = next(requests)
        times.append(clock())
        reply = scorer.score(request)
        times.append(clock())
        logits.append(owner.open(reply))
        times.append(clock())
        first = first or request
        done += len(logits[-1])
        batches.append(Batch(len(logits[-1]), len(request), len(reply), *np.diff(times).tolist()))
        progress("scoring", done, count)
    return EncryptedScores(np.concatenate(logits), tuple(batches), len(keys), keys_seconds, first)
