"""What drives scores: SHAP values at each bank, sums of them over all banks.

A bank computes values of a sample of its own test rows, against a sample of its own training rows. What leaves it, and
only inside secure sums: for all rows and each group the number of rows, and for each feature the sum of values and of
their absolute values; the same sums of absolute values over resampled rows, for the stability of the ranking, and under
models of a few earlier rounds, for the change between rounds; and counts of collisions of hashed values.

Weights of the resampling come from a generator of each bank's own, which the operating system seeds. From a seed that
others know, many sums over the same rows with known weights could be solved for single rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.attributions import attribute
from secure_fl.audit.columns import by_column, collisions
from secure_fl.audit.groups import Grouping
from secure_fl.audit.opening import AuditedBank, Subject, sample
from secure_fl.audit.sums import SecureSums, to_integers, to_reals
from secure_fl.progress import Progress, unseen
from secure_fl.training import FlatWeights

REPLICATES = 50
BACKGROUND_ROWS = 100
ROWS, MOST_ROWS = 500, 5_000
"""Rows that each bank explains, usually and at most: a row takes as many passes as the background has rows."""


@dataclass(frozen=True, eq=False, repr=False)
class Explained:
    """One bank's rows with their values. Never leaves the bank."""

    rows: NDArray[np.int64]
    """Places among the bank's test rows."""
    values: NDArray[np.float64]
    """float64 [n, features of `Subject.features`], multiples of 2**-20."""
    integers: NDArray[np.int64] = field(repr=False)
    largest_gap: float
    """Over all models."""
    earlier: NDArray[np.int64] = field(repr=False)
    """Of the same rows under each earlier model: sums of |value|, int64 [models, features], in units of 2**-20."""


@dataclass(frozen=True, eq=False)
class FeatureSums:
    """What all banks together say of the features; all that is known outside of them."""

    features: tuple[str, ...]
    rows: int
    absolute: NDArray[np.float64]
    """Sum of |value|, [features]."""
    signed: NDArray[np.float64]
    """Sum of values, [features]."""
    groups: dict[str, dict[str, tuple[int, NDArray[np.float64], NDArray[np.float64]]]]
    """Column -> group -> rows, sums of |value|, sums of values."""
    replicates: NDArray[np.float64]
    """Sums of |value| over resampled rows, [replicates, features]."""
    colliding: NDArray[np.int64]
    """For each hashed position, at how many banks values collide."""
    blurred_rows: int
    """Test rows in which two columns fall on one position."""
    earlier: NDArray[np.float64]
    """Sums of |value| over the same rows under each earlier model, [models, features]."""


def explain_rows(subject: Subject, most: int, progress: Progress = unseen) -> tuple[Explained, ...]:
    """Each bank's share of the work. Raises `AuditError` where values do not add up."""
    explained = []
    for number, bank in enumerate(subject.banks):
        progress("SHAP values", number, len(subject.banks))
        rng = np.random.default_rng([subject.experiment.seed, number, *b"audit"])
        explained.append(_explain(subject, bank, most, rng))
    progress("SHAP values", len(subject.banks), len(subject.banks))
    return tuple(explained)


def _explain(subject: Subject, bank: AuditedBank, most: int, rng: np.random.Generator) -> Explained:
    rows = sample(len(bank.raw), most, rng)
    background = sample(len(bank.background), BACKGROUND_ROWS, rng)
    hashed, reference = bank.raw.hashed[rows], bank.background.hashed[background]
    gaps = []

    def integers_of(weights: FlatWeights) -> NDArray[np.int64]:
        found = attribute(weights, subject.learner, bank.past.features[background], bank.examples.features[rows])
        gaps.append(found.largest_gap)
        return to_integers(by_column(found.values, hashed, reference, subject.schema))

    integers = integers_of(subject.weights)
    earlier = [np.abs(integers_of(model.weights)).sum(axis=0) for model in subject.earlier]
    sums = np.array(earlier, dtype=np.int64).reshape(len(earlier), integers.shape[1])
    return Explained(rows, to_reals(integers), integers, max(gaps), sums)


def sum_features(
    subject: Subject,
    explained: Sequence[Explained],
    groupings: Sequence[Grouping],
    sums: SecureSums,
    rng: np.random.Generator | None = None,
) -> FeatureSums:
    """A secure sum over all banks, and one of earlier models.

    `rng`: of the resampling, for tests; None: each bank's own.
    """
    width = len(subject.features)
    vectors = [
        np.concatenate(
            [
                *_group_sums(number, own, groupings),
                _resampled(own.integers, rng or np.random.default_rng()).ravel(),
                collisions(subject.banks[number].raw, subject.schema),
            ]
        )
        for number, own in enumerate(explained)
    ]
    total = sums.add("SHAP values", vectors)
    each = 1 + 2 * width
    cells = [(grouping.column, name) for grouping in groupings for name in grouping.names]
    counts = (1 + len(cells)) * each
    rows, absolute, signed = _cell(total[:each], width)
    groups: dict[str, dict[str, tuple[int, NDArray[np.float64], NDArray[np.float64]]]] = {}
    for place, (column, name) in enumerate(cells, start=1):
        groups.setdefault(column, {})[name] = _cell(total[place * each : (place + 1) * each], width)
    replicates = to_reals(total[counts : counts + REPLICATES * width]).reshape(REPLICATES, width)
    colliding = total[counts + REPLICATES * width :]
    blurred_rows = int(colliding[-1])
    earlier = _sum_earlier(explained, sums)
    return FeatureSums(
        subject.features, rows, absolute, signed, groups, replicates, colliding[:-1], blurred_rows, earlier
    )


def _sum_earlier(explained: Sequence[Explained], sums: SecureSums) -> NDArray[np.float64]:
    """Over all banks, for each earlier model; no sum where there is none."""
    own = [bank.earlier for bank in explained]
    return to_reals(sums.add("SHAP values of earlier rounds", own) if own[0].size else own[0])


def _group_sums(bank: int, own: Explained, groupings: Sequence[Grouping]) -> list[NDArray[np.int64]]:
    """Of all rows, then of each group: their number, and the sums of |value| and value for each feature."""
    everything = np.ones(len(own.rows), dtype=np.bool_)
    masks = [g.mask(bank, group, own.rows) for g in groupings for group in range(len(g.names))]
    parts = []
    for mask in (everything, *masks):
        chosen = own.integers[mask]
        parts += [np.array([len(chosen)]), np.abs(chosen).sum(axis=0), chosen.sum(axis=0)]
    return parts


def _resampled(integers: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 [replicates, features]: sums of |value| over as many rows, drawn with replacement."""
    count = len(integers)
    if count == 0:
        return np.zeros((REPLICATES, integers.shape[1]), dtype=np.int64)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES)
    resampled: NDArray[np.int64] = weights @ np.abs(integers)
    return resampled


def _cell(vector: NDArray[np.int64], width: int) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    return int(vector[0]), to_reals(vector[1 : 1 + width]), to_reals(vector[1 + width :])
