"""False positives at a recall of 0.8: the federated model, each bank's own, and the one of all data pooled.

Each row is one run of `run_federation`, with its baselines, which make as many passes over their data. All models are
tested on the same test set, that of all banks. The sum is the plaintext float32 one: encryption does not change it
beyond quantization, whose cost docs/quantization.md measures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from secure_fl.federation.run import run_federation
from secure_fl.settings.experiment import Experiment

ClaimSplit = Literal["even", "pattern"]


@dataclass(frozen=True)
class Case:
    """A dataset and how it is dealt."""

    dataset: str
    split: ClaimSplit
    settings: tuple[tuple[str, Any], ...] = ()
    """Further settings of the experiment."""

    def experiment(self, seed: int) -> Experiment:
        """Three banks, plaintext, and the defaults of a run."""
        return Experiment(
            dataset=self.dataset,
            split=self.split,
            scheme="plaintext",
            bits="float32",
            seed=seed,
            **dict(self.settings),
        )


@dataclass(frozen=True)
class Positives:
    """False positives at a recall of 0.8 on the common test set, one run."""

    dataset: str
    split: str
    seed: int
    federated: int
    local: tuple[int, ...]
    """For each bank's own model."""
    pooled: int
    test_rows: int
    test_frauds: int

    @property
    def local_mean(self) -> float:
        """Mean over the banks."""
        return sum(self.local) / len(self.local)


def count_positives(
    cases: Sequence[Case], seeds: Sequence[int], advance: Callable[[], None] = lambda: None
) -> tuple[Positives, ...]:
    """One run for each case and seed; `advance` is called after each."""
    found = []
    for case in cases:
        for seed in seeds:
            found.append(_run(case, seed))
            advance()
    return tuple(found)


def _run(case: Case, seed: int) -> Positives:
    result = run_federation(case.experiment(seed))
    banks = result.data["banks"].values()
    return Positives(
        dataset=case.dataset,
        split=case.split,
        seed=seed,
        federated=result.final.false_positives_at_80_recall,
        local=tuple(baseline.final.false_positives_at_80_recall for baseline in result.local),
        pooled=result.central.final.false_positives_at_80_recall,
        test_rows=sum(bank["test_rows"] for bank in banks),
        test_frauds=sum(bank["test_frauds"] for bank in banks),
    )
