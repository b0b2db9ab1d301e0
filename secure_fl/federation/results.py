"""What a federated run measured, as plain frozen records.

`Result` holds the same content as `metrics.json`, plus what only the report needs (curves, the exhibit of what
the aggregator saw). `federation.py` fills it in; `report/` and `cli.py` read it. Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.metrics import Scores
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.protocol import Delivery

__all__ = [
    "BankPrivacy",
    "Baseline",
    "Custody",
    "Exhibit",
    "Model",
    "Privacy",
    "Result",
    "RoundRecord",
    "Scores",
    "Seconds",
]

METRICS_SCHEMA = 1


@dataclass(frozen=True)
class Baseline:
    """A model trained without federation, under the same budget of steps."""

    trained_on: str
    """A bank's name, or "all banks pooled"."""
    final: Scores
    auprc_by_round: tuple[float, ...]
    """AUPRC after as many steps as the federation had taken after each round."""


@dataclass(frozen=True)
class Seconds:
    """Where one round's time went, in seconds of wall clock."""

    train: float
    """All banks' local training, one after the other."""
    client: float
    """One bank's half of the secure sum, encode to bytes: the median over the banks."""
    server: float
    """The aggregator's half, all banks, bytes in to bytes out."""
    decode: float
    """From the last bytes to the mean update, key holder included."""


@dataclass(frozen=True)
class RoundRecord:
    """One round, as `metrics.json` lists it."""

    round: int
    contributors: tuple[str, ...]
    dropped: tuple[str, ...]
    attempts: int
    """How often the sum was attempted."""
    refused: Mapping[str, str]
    """Banks that sent something wrong or refused to go on, each with the reason; in the sum where it came too late."""
    auprc: float
    roc_auc: float
    upload_bytes: Mapping[str, int]
    download_bytes: Mapping[str, int]
    max_abs_error: float | None
    """Largest |secure mean - float64 weighted mean of the updates before quantization|; None where it would tell
    something of the noise that protects them."""
    quantization_step: float | None
    """What one unit of the integer sum means in the mean update; None for float32."""
    clipped_fraction: float | None
    """Share of the values that were clipped; None where banks do not say."""
    seconds: Seconds
    epsilon: float | None = None
    """What the bank that has spent most has spent so far; None without differential privacy."""


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


@dataclass(frozen=True)
class Exhibit:
    """What one bank sent in the first round beside what the aggregator could see of it.

    Only this sandbox, which plays every party, can put the two next to each other.
    """

    bank: str
    update: NDArray[np.float32] = field(repr=False)
    """The first values of the update that the bank sent, times its weight, [<= 1024]; none where they are withheld."""
    message: bytes = field(repr=False)
    """The first bytes of the payload that the aggregator received for them."""
    message_bytes: int
    """Length of the whole upload."""
    aggregator_reads: NDArray[np.float32] | None = field(repr=False)
    """The update as the aggregator can decode it from this one message; None where it cannot."""


@dataclass(frozen=True)
class Model:
    """The federated model, and what is needed to compute its inputs."""

    weights: NDArray[np.float32]
    """Shape [parameters]."""
    feature_schema: Mapping[str, Any]
    """`FeatureSchema.to_dict()`."""


@dataclass(frozen=True)
class Result:
    """Everything that a run found out."""

    experiment: Mapping[str, Any]
    rounds: tuple[RoundRecord, ...]
    final: Scores
    local: tuple[Baseline, ...]
    central: Baseline
    custody: Custody
    exhibit: Exhibit
    data: Mapping[str, Any]
    """The dataset's source, rows, frauds, and each bank's share of them."""
    parameters: int
    """Weights of the model."""
    privacy: Privacy | None
    synthetic: Mapping[str, Any] | None
    """Synthetic fraud among the training rows: patterns, counts, and who let them in."""
    model: Model = field(repr=False)
    transcript: tuple[Delivery, ...] = field(repr=False)

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return {
            "schema": METRICS_SCHEMA,
            "experiment": dict(self.experiment),
            "parameters": self.parameters,
            "data": dict(self.data),
            "rounds": [asdict(record) for record in self.rounds],
            "final": asdict(self.final),
            "baselines": {
                "local": [
                    {"bank": b.trained_on, **asdict(b.final), "auprc_by_round": list(b.auprc_by_round)}
                    for b in self.local
                ],
                "central": {**asdict(self.central.final), "auprc_by_round": list(self.central.auprc_by_round)},
            },
            "synthetic": None if self.synthetic is None else dict(self.synthetic),
            "privacy": None if self.privacy is None else asdict(self.privacy),
            "custody": asdict(self.custody),
        }
