"""How much synthetic fraud is like real fraud, as a detector sees it: trained on one kind, tested on the other.

"Train on synthetic, test on real" and its reverse (Esteban, Hyland, Rätsch, "Real-valued (Medical) Time Series
Generation with Recurrent Conditional GANs", 2017). Honest rows are real on both sides, because a pattern describes
fraud only; so the score says whether *fraud* of the one kind is found with what was learnt from the other.

Rules: AUPRC is read beside the base rate, which is what guessing scores. Training rows lie before the cut, test rows
after it. A score is of these rows, this detector and this seed; patterns that aim at something new are supposed to be
hard for a detector that was trained on what is known. What is evaluated here decides nothing: people review.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.features import RawFeatures
from secure_fl.data.metrics import measure
from secure_fl.data.pseudonyms import FederationKey
from secure_fl.data.simulator import Simulation, simulate
from secure_fl.data.synthetic.mixing import REAL, FraudDataset, Mix, mixed_features, with_synthetic
from secure_fl.data.synthetic.patterns import Category, Proposal
from secure_fl.data.transactions import Transactions, concatenate, time_cut
from secure_fl.errors import DataError


@dataclass(frozen=True)
class Score:
    """AUPRC of one detector on one test set, and the share of fraud in that set, which guessing scores."""

    auprc: float
    base_rate: float


@dataclass(frozen=True)
class Fidelity:
    """Detectors trained on real or synthetic fraud, tested on real or synthetic fraud."""

    real_on_real: Score
    synthetic_on_real: Score
    real_on_synthetic: Score
    both_on_real: Score
    """Trained on real and synthetic fraud together: what the mix is worth."""
    patterns: int
    synthetic_rows: int

    def rows(self) -> tuple[tuple[str, str, Score], ...]:
        """(trained on, tested on, score), for tables."""
        return (
            ("real fraud", "real fraud", self.real_on_real),
            ("synthetic fraud", "real fraud", self.synthetic_on_real),
            ("real fraud", "synthetic fraud", self.real_on_synthetic),
            ("both", "real fraud", self.both_on_real),
        )


@dataclass(frozen=True, repr=False, eq=False)
class _Rows:
    features: NDArray[np.float64]
    fraud: NDArray[np.bool_]

    def take(self, rows: NDArray[np.bool_]) -> _Rows:
        return _Rows(self.features[rows], self.fraud[rows])


def public_table(seed: int = 1, transactions: int = 20_000) -> Transactions:
    """Simulated rows, for scores without a bank."""
    return simulate(Simulation(transactions=transactions, fraud_share=0.01, seed=seed))


def fidelity(
    proposals: Sequence[Proposal], table: Transactions, seed: int, mix: Mix | None = None, test_fraction: float = 0.3
) -> Fidelity:
    """Scores of these patterns, drawn for the customers and terminals of `table` (columns of the simulator).

    mix: of the synthetic rows, on both sides; as many as there are real frauds unless it says otherwise. Raises
    ConfigurationError if a pattern finds no room, DataError if one side of the cut lacks a class.
    """
    mix, rng = mix or Mix(share=1.0), np.random.default_rng(seed)
    table = table.sorted_by_time()
    cut = time_cut(table, test_fraction)
    early, late = table.before(cut), table.since(cut)
    for part in (early, late):
        if not 0 < int(part.fraud.sum()) < len(part):
            raise DataError("one side of the cut in time lacks fraud or honest rows; use more transactions")
    train, test = (with_synthetic(part, proposals, mix, rng) for part in (early, late))
    key = FederationKey.for_simulation(seed)  # pseudonyms are not among what the detector sees
    seen, real_test = mixed_features(table, cut, train, key)
    learnt, made = _Rows(_columns(seen, train.rows), train.rows.fraud), _late_rows(table, early, test, key)
    recorded, honest = train.provenance == REAL, ~train.rows.fraud
    known = learnt.take(recorded)
    real = _Rows(_columns(real_test, late), late.fraud)
    return Fidelity(
        real_on_real=_score(known, real, seed),
        synthetic_on_real=_score(learnt.take(honest | ~recorded), real, seed),
        real_on_synthetic=_score(known, made.take(~made.fraud | (test.provenance != REAL)), seed),
        both_on_real=_score(learnt, real, seed),
        patterns=len(proposals),
        synthetic_rows=train.synthetic,
    )


def _late_rows(table: Transactions, early: Transactions, test: FraudDataset, key: FederationKey) -> _Rows:
    """The test side, synthetic rows included, behind the training rows, which are its past."""
    provenance = np.concatenate([np.full(len(early), REAL, dtype=np.int64), test.provenance])
    whole = FraudDataset(concatenate([early, test.rows]), provenance, test.digests)
    features = mixed_features(table, np.inf, whole, key)[0]
    return _Rows(_columns(features, whole.rows), whole.rows.fraud).take(np.arange(len(whole.rows)) >= len(early))


def _columns(features: RawFeatures, rows: Transactions) -> NDArray[np.float64]:
    """float64 [n, M + categories]: the numeric features and one column per merchant category; no identifier."""
    kinds = np.array(get_args(Category), dtype=np.object_)
    return np.column_stack([features.numeric, rows.text["category"][:, None] == kinds])


def _score(train: _Rows, test: _Rows, seed: int) -> Score:
    from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    detector = HistGradientBoostingClassifier(max_iter=60, early_stopping=False, random_state=seed)
    with threadpool_limits(1):  # with so few rows, threads wait for each other, on a busy machine for a minute
        detector.fit(train.features, train.fraud)
        scores = detector.predict_proba(test.features)[:, 1]
    return Score(measure(test.fraud, scores).auprc, float(test.fraud.mean()))
