"""The same counts of resampled customers, which tell how much of a shift is chance.

Rows of one customer, or at one terminal, resemble each other, most of all in features of their past: 10,000 rows of 50
customers say about as much as 50 numbers. So all rows of one value of an identifier count as often as a Poisson(1)
number says, in OLD and NEW alike (a bootstrap of clusters; Field, Welsh, "Bootstrapping clustered data", Journal of the
Royal Statistical Society B 69, 2007), for each identifier in turn. Without identifiers each row stands alone.

The numbers come from a generator of each bank's own, which the operating system seeds: whoever knew them could solve
sums for single customers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.drift.bins import bins_of, counts_of, places_of
from secure_fl.audit.drift.holdings import Holding, Sample
from secure_fl.data import FeatureSchema

REPLICATES = 100
BUCKETS = 10_000
"""Values of an identifier that share one count as one: that only makes clusters larger."""
_SIGN_BIT = np.uint64(1 << 63)


def resampled_counts(holding: Holding, schema: FeatureSchema, rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 [identifiers, or 1 without any; REPLICATES; 2; B]."""
    identifiers, texts = schema.source.identifiers, schema.source.texts
    if not identifiers:
        counts = counts_of(holding, schema)
        return rng.poisson(counts, size=(1, REPLICATES, *counts.shape)).astype(np.int64)
    drawn = []
    for identifier in identifiers:
        times = rng.poisson(1.0, size=(REPLICATES, BUCKETS)).astype(np.float64)
        column = texts.index(identifier)
        drawn.append(np.stack([_counted(sample, column, schema, times) for sample in holding.samples], axis=1))
    return np.stack(drawn)


def _counted(sample: Sample, column: int, schema: FeatureSchema, times: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64 [REPLICATES, B]: rows in bins, each row as often as `times` says of its value in a text column."""
    drawn = ((sample.raw.hashed[:, column] & ~_SIGN_BIT) % np.uint64(BUCKETS)).astype(np.int64)
    used, bucket = np.unique(drawn, return_inverse=True)
    parts = []
    for places, bins in zip(places_of(sample, schema).T, bins_of(schema).values(), strict=True):
        table = np.bincount(bucket * bins + places, minlength=len(used) * bins).reshape(len(used), bins)
        parts.append(times[:, used] @ table)
    return np.rint(np.concatenate(parts, axis=1)).astype(np.int64)
