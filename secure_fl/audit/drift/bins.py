"""Fixed bins of features and scores, whose counts of rows are all that leaves a bank.

Bins are the same at every bank and known before any row is: of a numeric feature, standardized as the model takes it,
ten that hold a tenth each of a normal distribution, two for what lies more than four standard deviations out, and one
for gaps; of the score, one for each unit of log-odds. Text columns are not counted: they show in the score alone. Nor
is the day of the week: which days are in a period is known, and any that is not of whole weeks moves their shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.drift.holdings import Holding, Sample
from secure_fl.data import FeatureSchema, standardize
from secure_fl.data.features import WEEKDAY

FAR = 4.0
"""Standard deviations beyond which a value lies far out."""
TENTHS = 10
EDGES: NDArray[np.float64] = np.array(
    [-FAR, *(NormalDist().inv_cdf(tenth / TENTHS) for tenth in range(1, TENTHS)), FAR]
)
FEATURE_BINS = len(EDGES) + 2
"""With what lies far out, and gaps, which are the last."""
SCORE = "score"
SCORE_EDGES: NDArray[np.float64] = np.arange(-12.0, 13.0)
"""Log-odds."""
SCORE_BINS = len(SCORE_EDGES) + 1
_SAME = 1e-5
"""Relative difference below which a feature that did not vary in training still does not (`Standardization`)."""


def bins_of(schema: FeatureSchema) -> Mapping[str, int]:
    """How many bins each has that is counted: numeric features, then the score."""
    counted = [name for name, told in zip(schema.numeric, _counted(schema), strict=True) if told]
    return dict.fromkeys(counted, FEATURE_BINS) | {SCORE: SCORE_BINS}


def _counted(schema: FeatureSchema) -> NDArray[np.bool_]:
    """Which numeric features are, [M]."""
    return np.array([not name.startswith(f"{schema.source.time}: {WEEKDAY} ") for name in schema.numeric], dtype=bool)


def places_of(sample: Sample, schema: FeatureSchema) -> NDArray[np.int64]:
    """The bin of each row, [n, M + 1], in the order of `bins_of`."""
    with np.errstate(divide="ignore"):
        log_odds = np.log(sample.scores) - np.log1p(-sample.scores)
    score = np.searchsorted(SCORE_EDGES, log_odds, side="right")
    return np.column_stack([_places(sample.raw.numeric, schema)[:, _counted(schema)], score])


def counts_of(holding: Holding, schema: FeatureSchema) -> NDArray[np.int64]:
    """int64 [2, B]: the rows of OLD and of NEW in each of all bins, in the order of `bins_of`."""
    return np.stack(
        [
            np.concatenate(
                [
                    np.bincount(column, minlength=bins)
                    for column, bins in zip(places_of(sample, schema).T, bins_of(schema).values(), strict=True)
                ]
            )
            for sample in holding.samples
        ]
    ).astype(np.int64)


def apart(counts: NDArray[Any], schema: FeatureSchema) -> dict[str, NDArray[Any]]:
    """[..., B], counts or sums of them, by what was counted: [..., bins] each."""
    bins = bins_of(schema)
    return dict(zip(bins, np.split(counts, np.cumsum([*bins.values()])[:-1], axis=-1), strict=True))


def _places(raw: NDArray[np.float64], schema: FeatureSchema) -> NDArray[np.int64]:
    """The bin of each value, [n, M]. A feature that did not vary in training is far out where it does now."""
    mean, std = np.asarray(schema.standardization.mean), np.asarray(schema.standardization.std)
    values = standardize(raw, schema.standardization)
    differs = (std == 0) & (np.abs(raw - mean) > _SAME * np.abs(mean))
    values = np.where(differs, 2 * FAR * np.sign(raw - mean), values)
    return np.where(np.isnan(raw), FEATURE_BINS - 1, np.searchsorted(EDGES, values, side="right"))
