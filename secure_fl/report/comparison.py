"""Finished runs side by side: what each was, found and cost. From their metrics.json alone, so that old runs count."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from secure_fl.errors import ConfigurationError
from secure_fl.report import frame, wording

SCHEMA = 1
SECTIONS = {"curves": "Learning curves", "figures": "Figures", "settings": "Settings that differ"}


@dataclass(frozen=True)
class ComparedRun:
    """One run in a line."""

    name: str
    """Its folder."""
    dataset: str
    scheme: str
    bits: int | str
    banks: int
    rounds: int
    epsilon: float | None
    """None without differential privacy."""
    auprc: float
    roc_auc: float
    false_positives_at_80_recall: int
    honest: int | None
    """Honest transactions that these are out of; None where an old run did not say."""
    upload_bytes: float
    """Of one bank in a round, the median."""
    client_seconds: float
    """Of one bank in a round, the median; so for the aggregator's."""
    server_seconds: float
    auprc_by_round: tuple[float, ...]
    differs_in: Mapping[str, Any]
    """Settings in which the runs are not all alike."""

    @property
    def false_alarms(self) -> str:
        return wording.out_of_text(self.false_positives_at_80_recall, self.honest)

    @property
    def privacy(self) -> str:
        return "-" if self.epsilon is None else f"{self.epsilon:.3g}"


def compare(folders: Sequence[Path]) -> tuple[ComparedRun, ...]:
    """The runs in these folders, in this order. Raises `ConfigurationError` where one is none."""
    documents = [_read(folder) for folder in folders]
    settings = [document["experiment"] for document in documents]
    names = sorted({name for each in settings for name in each})
    unlike = [name for name in names if any(each.get(name) != settings[0].get(name) for each in settings)]
    return tuple(
        _compared(folder, document, {name: document["experiment"].get(name) for name in unlike})
        for folder, document in zip(folders, documents, strict=True)
    )


def to_json(runs: Sequence[ComparedRun]) -> str:
    return json.dumps({"schema": SCHEMA, "runs": [asdict(run) for run in runs]}, indent=1)


def render_comparison(runs: Sequence[ComparedRun]) -> str:
    """One self-contained page; the same runs give the same text."""
    from secure_fl.report.comparison_figure import draw  # matplotlib is slow to import, so only when needed

    values = {
        "runs": runs,
        "settings": sorted({name for run in runs for name in run.differs_in}),
        "picture": draw([(run.name, run.auprc_by_round) for run in runs]),
    }
    return frame.fill("comparison.html.j2", SECTIONS, values, {"scheme": wording.scheme_text})


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "metrics.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != 1 or not document["rounds"]:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError(
            f"{folder} holds no metrics.json of a finished run; name the folders that secure-fl run wrote"
        ) from None
    return document


def _compared(folder: Path, document: Mapping[str, Any], unlike: Mapping[str, Any]) -> ComparedRun:
    try:
        settings, rounds, final, privacy = (document[name] for name in ("experiment", "rounds", "final", "privacy"))
        return ComparedRun(
            name=str(folder),
            dataset=str(settings["dataset"]),
            scheme=str(settings["scheme"]),
            bits=settings["bits"],
            banks=int(settings["banks"]),
            rounds=len(rounds),
            epsilon=None if privacy is None else float(privacy["epsilon"]),
            auprc=float(final["auprc"]),
            roc_auc=float(final["roc_auc"]),
            false_positives_at_80_recall=int(final["false_positives_at_80_recall"]),
            honest=_honest(document),
            upload_bytes=float(median(n for record in rounds for n in record["upload_bytes"].values())),
            client_seconds=float(median(record["seconds"]["client"] for record in rounds)),
            server_seconds=float(median(record["seconds"]["server"] for record in rounds)),
            auprc_by_round=tuple(float(record["auprc"]) for record in rounds),
            differs_in=unlike,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigurationError(f"{folder / 'metrics.json'} is damaged; run it again, or leave it out") from None


def _honest(document: Mapping[str, Any]) -> int | None:
    curves = document.get("curves")
    return None if curves is None else int(curves["honest"])
