"""What a federated run measured, as plain frozen records.

`Result` holds the same content as `metrics.json`, plus what only the report needs (curves, the exhibit of what
the aggregator saw). `run` fills it in; `report` and `cli` read it. Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.metrics import Alerts, OnTest, PrecisionRecall, Scores
from secure_fl.federation.round_models import RoundModels
from secure_fl.files import staged_directory
from secure_fl.privacy.spent import Privacy
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.notebooks import html_table
from secure_fl.secagg.schemes import called
from secure_fl.secagg.transcript import Deliveries

if TYPE_CHECKING:
    from secure_fl.training import Learner  # imports torch

__all__ = [
    "Alerts",
    "Baseline",
    "Custody",
    "Exhibit",
    "Model",
    "OnTest",
    "PrecisionRecall",
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
    on_test: OnTest | None = None
    """None where nobody looked closer."""
    diverged_in: int | None = None
    """The round in which its weights were no longer finite; those before it stand for what follows."""


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
    """Banks that sent something wrong or refused to go on, each with the reason; in the sum where it came too late.
    And holders that were silent or lied."""
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
    """Share of the values that were clipped; None where banks do not say. With a robust rule: the largest share that
    more banks than the byzantine ones claim for their own values."""
    seconds: Seconds
    epsilon: float | None = None
    """What the bank that has spent most has spent so far; None without differential privacy."""
    excluded: tuple[str, ...] = ()
    """Contributors that a robust rule left out: their update has no part in the model."""
    byzantine: tuple[str, ...] = ()
    """Contributors that attacked, which only the sandbox knows."""
    model_sha256: str | None = None
    """Of the weights that the round led to, as float32, little-endian; None in runs that began before it was kept."""


@dataclass(frozen=True)
class LeftOut:
    """Uploads of some rounds, and how many of them a rule left out."""

    poisoned: int
    honest: int
    rightly: int
    """Of the poisoned ones."""
    wrongly: int
    """Of the honest ones."""

    @classmethod
    def of(cls, rounds: Sequence[RoundRecord]) -> LeftOut:
        poisoned = sum(len(record.byzantine) for record in rounds)
        rightly = sum(len({*record.excluded} & {*record.byzantine}) for record in rounds)
        return cls(
            poisoned=poisoned,
            honest=sum(len(record.contributors) for record in rounds) - poisoned,
            rightly=rightly,
            wrongly=sum(len(record.excluded) for record in rounds) - rightly,
        )


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
    learner: Learner
    """The module that the weights are of."""

    def __repr__(self) -> str:
        return f"Model({len(self.weights)} weights, {len(self.feature_schema['numeric'])} numeric features)"

    def to_torch(self) -> Any:
        """A new torch module with these weights, ready to predict; its answers are logits."""
        return self.learner.restore(self.weights).eval()


@dataclass(frozen=True, repr=False)
class Result:
    """Everything that a run found out. `save` writes it down; `model.to_torch()` is the module that was trained."""

    experiment: Mapping[str, Any]
    rounds: tuple[RoundRecord, ...]
    final: Scores
    on_test: OnTest
    """What the final model does beyond `final`."""
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
    transcript: Deliveries = field(repr=False)
    models: RoundModels | None = field(default=None, repr=False)
    """Of the rounds, where they are kept; with a checkpoint in its folder, for as long as that is there."""

    def save(self, directory: str | Path) -> Path:
        """Write the files of a run (report.html, metrics.json, model.safetensors ...) to a new or empty folder.

        Raises `ConfigurationError` where the folder holds something, `StorageError` where the disk is full.
        """
        # By name, when it is called: pages are built on results, and not the other way round.
        outputs = import_module("secure_fl.report.outputs")
        with staged_directory(Path(directory)) as staging:
            outputs.write_run(self, staging)
        return Path(directory)

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value}" for name, value in self._figures().items())
        return f"Result({called(self.custody.scheme)}, {len(self.local)} banks, {len(self.rounds)} rounds: {figures})"

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        readers = {f"{who} can read": "; ".join(what) or "nothing" for who, what in self.custody.can_decrypt.items()}
        scheme = f"{called(self.custody.scheme)}, {len(self.local)} banks, {len(self.rounds)} rounds"
        return html_table({"secure sum": scheme} | self._figures() | readers)

    def _figures(self) -> dict[str, str]:
        """What a reader wants first, in words, by name."""
        banks = [baseline.final.auprc for baseline in self.local]
        spent = {} if self.privacy is None else {"epsilon": f"{self.privacy.epsilon:.3g}"}
        return {
            "AUPRC": f"{self.final.auprc:.3f}",
            "banks alone": f"{min(banks):.3f} to {max(banks):.3f}",
            "pooled": f"{self.central.final.auprc:.3f}",
            **spent,
        }

    @property
    def best_and_worst_local(self) -> tuple[Baseline, ...]:
        """Of the models of banks alone, by AUPRC on the common test set: best first; one where there is only one."""
        ranked = sorted(self.local, key=lambda baseline: -baseline.final.auprc)
        return tuple(ranked[:1] + ranked[1:][-1:])

    def alone_on_own_rows(self, bank: str) -> float | None:
        """AUPRC of a bank's own model on its own test rows; None where these are of one class, or nobody looked."""
        own = next((baseline.on_test for baseline in self.local if baseline.trained_on == bank), None)
        return None if own is None else own.auprc_by_bank.get(bank)

    def _curves(self) -> dict[str, Any]:
        curve = self.on_test.curve
        return {
            "frauds": curve.frauds,
            "honest": curve.honest,
            "federated": _points(curve),
            "local": [
                {"bank": b.trained_on, **_points(b.on_test.curve)} for b in self.best_and_worst_local if b.on_test
            ],
            "central": None if self.central.on_test is None else _points(self.central.on_test.curve),
        }

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return {
            "schema": METRICS_SCHEMA,
            "experiment": dict(self.experiment),
            "parameters": self.parameters,
            "data": dict(self.data),
            "rounds": [asdict(record) for record in self.rounds],
            "final": _figures(self.final, self.on_test),
            "baselines": {
                "local": [
                    {"bank": b.trained_on, **_figures(b.final, b.on_test), "auprc_by_round": list(b.auprc_by_round)}
                    for b in self.local
                ],
                "central": {
                    **_figures(self.central.final, self.central.on_test),
                    "auprc_by_round": list(self.central.auprc_by_round),
                },
            },
            "curves": self._curves(),
            "auprc_on_own_rows": {
                bank: {"federated": auprc, "alone": self.alone_on_own_rows(bank)}
                for bank, auprc in self.on_test.auprc_by_bank.items()
            },
            "synthetic": None if self.synthetic is None else dict(self.synthetic),
            "privacy": None if self.privacy is None else asdict(self.privacy),
            "custody": asdict(self.custody),
        }


def _figures(scores: Scores, on_test: OnTest | None) -> dict[str, Any]:
    return {**asdict(scores), **({} if on_test is None or on_test.alerts is None else asdict(on_test.alerts))}


def _points(curve: PrecisionRecall) -> dict[str, list[float]]:
    return {"recall": list(curve.recall), "precision": list(curve.precision)}
