"""Real plus synthetic rows to train on, with the provenance of every row.

Where synthetic rows may have an effect, and where not:
- They lie before the cut in time, because they are drawn for the period of the training rows. They are never in a
  validation or test set, and nothing about test rows is known to what draws them.
- Features look at the past of a customer and of a terminal (data/behaviour.py). If synthetic rows stood in the table
  that features are extracted from, an honest test payment of a customer whom a synthetic fraud hit would carry made-up
  counts, amounts and "known fraud": the test would no longer measure the real bank. New identifiers for all synthetic
  rows would avoid that, but then a missing past would give every one of them away. So `mixed_features` extracts twice:
  real rows, training and test, from the real table alone, so that they are bit for bit what they are without synthetic
  fraud; synthetic rows from the training table that holds both, so that they see the real past and earlier synthetic
  rows, those of their own campaign above all.
- Real training rows do not see synthetic fraud in their past either: their features are facts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.features import RawFeatures, extract
from secure_fl.data.pseudonyms import FederationKey
from secure_fl.data.synthetic.patterns import Proposal
from secure_fl.data.synthetic.population import population
from secure_fl.data.synthetic.sampler import FIRST_NUMBER, sample_campaigns
from secure_fl.data.transactions import MAX_PATTERN, Transactions, concatenate
from secure_fl.errors import ConfigurationError, DataError

REAL = -1
"""Provenance of a row that a bank recorded."""
MAX_SHARE, MAX_COUNT = 1000.0, 10_000_000


@dataclass(frozen=True)
class Mix:
    """How much synthetic fraud: `share` per real fraud, or `count` rows. Raises ConfigurationError on nonsense."""

    share: float | None = 0.5
    """Synthetic frauds for every real fraud of the training rows."""
    count: int | None = None
    """Synthetic frauds in all; `share` must then be None."""

    def __post_init__(self) -> None:
        if (self.share is None) == (self.count is None):
            raise ConfigurationError("synthetic fraud is measured by a share or by a count; give exactly one of them")
        if self.share is not None and not 0.0 < self.share <= MAX_SHARE:  # NaN fails this too
            raise ConfigurationError(f"the share of synthetic fraud is {self.share}; choose above 0, to {MAX_SHARE:g}")
        if self.count is not None and not 1 <= self.count <= MAX_COUNT:
            raise ConfigurationError(f"the count of synthetic frauds is {self.count}; choose 1 to {MAX_COUNT}")

    def rows(self, real_frauds: int) -> int:
        """How many synthetic frauds beside so many real ones, rounded up, so that small banks get one too.

        Raises ConfigurationError if it is a share of none.
        """
        rows = self.count if self.count is not None else math.ceil(round((self.share or 0.0) * real_frauds, 9))
        if rows < 1:
            raise ConfigurationError("there is no real fraud to take a share of; use more transactions, or say a count")
        return rows


@dataclass(frozen=True, repr=False, eq=False)
class FraudDataset:
    """The training rows of one bank: n, the real ones first and unchanged, then the synthetic ones."""

    rows: Transactions
    provenance: NDArray[np.int64]
    """int64 [n]: `REAL`, or the place in `digests` of the pattern that the row was drawn from."""
    digests: tuple[str, ...]
    """Of all patterns that were asked for; one that got no row is among them."""

    def __post_init__(self) -> None:
        synthetic = self.provenance != REAL
        known = (self.provenance >= REAL) & (self.provenance < len(self.digests))
        if self.provenance.shape != (len(self.rows),) or not known.all() or not self.rows.fraud[synthetic].all():
            raise DataError("the provenance does not fit the rows; build the dataset with with_synthetic")

    def __repr__(self) -> str:
        return f"FraudDataset({self.real} real and {self.synthetic} synthetic rows of {len(self.digests)} patterns)"

    @property
    def real(self) -> int:
        """Number of real rows."""
        return int(np.count_nonzero(self.provenance == REAL))

    @property
    def synthetic(self) -> int:
        """Number of synthetic rows."""
        return len(self.rows) - self.real

    @property
    def rows_by_digest(self) -> dict[str, int]:
        """How many rows each pattern gave: for a report."""
        counts = np.bincount(self.provenance[self.provenance != REAL], minlength=len(self.digests))
        return dict(zip(self.digests, counts.tolist(), strict=True))


def with_synthetic(
    training: Transactions, proposals: Sequence[Proposal], mix: Mix, rng: np.random.Generator
) -> FraudDataset:
    """One bank's training rows and synthetic frauds, spread evenly over the patterns.

    training: only rows before the cut in time; synthetic rows lie between the first and the last of them. The pattern
    numbers of synthetic rows start at `FIRST_NUMBER` and come round again after 127; `provenance` is exact. The same
    generator state gives the same rows. Raises ConfigurationError if there are no patterns, a pattern finds no room
    among these rows, or the table has columns that no pattern describes, such as the principal components of ULB.
    """
    host = population(training)
    if not proposals:
        raise ConfigurationError(
            "there is no synthetic fraud to train on; approve patterns with secure-fl review, or use --synthetic none"
        )
    digests = tuple(proposal.digest for proposal in proposals)
    if len(set(digests)) < len(digests):
        raise ConfigurationError("a pattern is to be mixed in twice; give each pattern once")
    counts = _spread(mix.rows(int(training.fraud.sum())), len(proposals), rng)
    parts, origin = [training], [np.full(len(training), REAL, dtype=np.int64)]
    numbers = MAX_PATTERN + 1 - FIRST_NUMBER
    for place, (proposal, count) in enumerate(zip(proposals, counts, strict=True)):
        if count:
            drawn = sample_campaigns(proposal.pattern, count, host, rng, FIRST_NUMBER + place % numbers)
            parts.append(drawn.rows)
            origin.append(np.full(count, place, dtype=np.int64))
    dataset = FraudDataset(concatenate(parts), np.concatenate(origin), digests)
    if dataset.rows.when.max() > training.when.max():
        raise DataError("a synthetic row lies after the training rows; report this defect, nothing was trained")
    return dataset


def mixed_features(
    table: Transactions, cut: float, dataset: FraudDataset, key: FederationKey
) -> tuple[RawFeatures, RawFeatures]:
    """Features to train on and to test on; see the top of this file for what sees what.

    table: the bank's whole real table; dataset: made of `table.before(cut)`. Training features are in the order of
    `dataset.rows` and `dataset.provenance`; test features are those of the real table. Raises DataError if the dataset
    was made of other rows, or holds one at or after the cut.
    """
    real = extract(table, key)
    before, after = real.before(cut), real.since(cut)
    recorded = dataset.provenance == REAL
    if not np.array_equal(before.when, dataset.rows.when[recorded]) or bool(np.any(dataset.rows.when >= cut)):
        raise DataError("the mixed rows are not of this table before the cut; mix synthetic fraud into those rows")
    synthetic = extract(dataset.rows, key).take(~recorded)
    return _joined(before, synthetic), after


def _spread(total: int, patterns: int, rng: np.random.Generator) -> list[int]:
    """As many rows for each pattern; which ones get one more is drawn."""
    counts = np.full(patterns, total // patterns, dtype=np.int64)
    counts[rng.permutation(patterns)[: total % patterns]] += 1
    return [int(count) for count in counts]


def _joined(first: RawFeatures, second: RawFeatures) -> RawFeatures:
    return replace(
        first,
        numeric=np.concatenate([first.numeric, second.numeric]),
        hashed=np.concatenate([first.hashed, second.hashed]),
        fraud=np.concatenate([first.fraud, second.fraud]),
        pattern=np.concatenate([first.pattern, second.pattern]),
        when=np.concatenate([first.when, second.when]),
    )
