"""Each bank's test rows in two halves: the earlier one to learn a map from, the later one to measure it on.

Every bank cuts its own rows in the middle, so no point in time has to be agreed on. Where rows have no time, a half is
drawn: files are sorted by all kinds of things, also by the label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.fairness import log_odds
from secure_fl.audit.opening import Subject


@dataclass(frozen=True, repr=False, eq=False)
class Half:
    """Rows of one bank. Never leaves the bank."""

    log_odds: NDArray[np.float64]
    """The model's own scores, [n]."""
    fraud: NDArray[np.bool_]


def has_time(subject: Subject) -> bool:
    """Whether halves follow each other in time."""
    return subject.schema.source.time is not None


def halves_of(subject: Subject) -> tuple[tuple[Half, Half], ...]:
    """The earlier and the later rows of each bank."""
    found = []
    for number, (bank, scores) in enumerate(zip(subject.banks, log_odds(subject), strict=True)):
        if has_time(subject):
            order = np.argsort(bank.raw.when, kind="stable")
        else:
            order = np.random.default_rng([subject.experiment.seed, number, *b"halves"]).permutation(len(scores))
        parts = np.split(order, [len(order) // 2])
        earlier, later = (Half(scores[rows], bank.examples.fraud[rows]) for rows in parts)
        found.append((earlier, later))
    return tuple(found)
