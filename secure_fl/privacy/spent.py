"""What differential privacy has cost in a run, and what it promises for that: plain records, nothing computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class BankPrivacy:
    """What one bank has spent."""

    bank: str
    epsilon: float
    noise_multiplier: float
    sample_rate: float
    steps: int


@dataclass(frozen=True)
class Privacy:
    """What differential privacy promises, for whom, and what it leaves out."""

    mechanism: str
    epsilon: float
    """Of the bank that has spent most."""
    delta: float
    unit: str
    neighbours: str
    accountant: str
    banks: tuple[BankPrivacy, ...]
    statistics_noise_multiplier: float | None
    """Of the histograms in round 0; None where they are not covered."""
    epsilon_by_accountant: Mapping[str, float]
    """The same spending under other accountants."""
    not_covered: tuple[str, ...]
    notes: tuple[str, ...]
    """What a reader should know of this very run."""
    lifetime_epsilon: Mapping[str, float] = field(default_factory=dict)
    """By bank: what all runs on its rows have spent together, as far as its ledgers go back, at this run's delta."""
    ledger: Mapping[str, Any] | None = None
    """How far the ledgers for life had come: their entries, and the hash of the last one."""
    withheld: tuple[str, ...] = ()
    """What other runs show and this one does not, and why."""


NOT_COVERED = (
    "how many rows each bank has, and how many rows there are: taken to be public",
    "who takes part, when messages are sent, how long they are, and how long anything took",
    "other runs: epsilon is this run's alone; what all runs on the same rows spent together is the epsilon for life, "
    "as far as this store of ledgers knows of them",
    "the choice of settings, where it looked at rows without a run that is in the ledgers",
    "what only the sandbox computes and no federation would publish: test scores (of rounds and at the end, curves, "
    "scores by bank and what alerts are worth among them; features of test rows look back at training rows), baselines "
    "(trained without privacy), counts of rows and frauds, and the sum of the amounts of the test frauds",
)
"""By either mechanism."""
