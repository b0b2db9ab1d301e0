"""Which map makes probabilities of scores, and what reasons cost. It writes its figures into docs/audit.md.

    .venv/bin/python -m benchmarks.calibration [--halves 20] [--stored]

The test rows of a run on ULB and of one on simulated transactions are halved at random, again and again: a map is
learned from one half, and its log loss is measured on the other. Rows of ULB are then scored with reasons and without.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from benchmarks.written_blocks import write_block
from secure_fl import Experiment, run_federation
from secure_fl.audit.calibration.maps import fit_map
from secure_fl.audit.fairness import log_odds
from secure_fl.audit.opening import MODEL, Subject
from secure_fl.audit.reasons import Reasons
from secure_fl.audit.threshold import histogram
from secure_fl.data import ulb
from secure_fl.report.scores import score_file

PAGE = Path(__file__).parents[1] / "docs" / "audit.md"
FIGURES = PAGE.parent / "figures" / "calibration.json"
RUNS = {"ulb": Experiment(dataset="ulb", rounds=5), "simulated": Experiment()}
MAPS = ("the model's own", "logistic", "beta", "isotonic")
EACH = 3
"""Reasons of a row."""


def losses(scores: NDArray[np.float64], fraud: NDArray[np.bool_], learned: NDArray[np.bool_]) -> list[float]:
    """Log loss of each of `MAPS`, learned from some of the rows and measured on the others."""
    known, labels, rest = scores[learned], fraud[learned], scores[~learned]
    frauds, honest = int(labels.sum()), int((~labels).sum())
    wanted = np.where(labels, (frauds + 1) / (frauds + 2), 1 / (honest + 2))
    logistic = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(
        np.concatenate([known, known])[:, np.newaxis],
        np.repeat([1, 0], len(known)),
        np.concatenate([wanted, 1 - wanted]),
    )
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(known, labels).predict(rest)
    answers = (
        expit(rest),
        logistic.predict_proba(rest[:, np.newaxis])[:, 1],
        fit_map(histogram(known[labels]), histogram(known[~labels])).probabilities(rest),
        np.clip(isotonic, 1 / (honest + 2), (frauds + 1) / (frauds + 2)),  # else one fraud below makes it infinite
    )
    return [float(log_loss(fraud[~learned], answer)) for answer in answers]


def measure_maps(subject: Subject, halves: int) -> dict[str, Any]:
    """Losses of each map over random halves."""
    scores = np.concatenate(log_odds(subject))
    fraud = np.concatenate([bank.examples.fraud for bank in subject.banks])
    rng = np.random.default_rng(1)
    found = [losses(scores, fraud, rng.random(len(scores)) < 0.5) for _ in range(halves)]
    return {"rows": len(fraud), "frauds": int(fraud.sum()), "losses": found}


def measure_reasons(model: Path, rows: Path, folder: Path) -> dict[str, Any]:
    """Seconds of one core, of reading, scoring and writing."""
    seconds = {}
    for name, beside in (("plain", lambda _: ()), ("reasons", lambda opened: [Reasons(opened, EACH)])):
        started = time.process_time()
        count = score_file(model, rows, folder / f"{name}.csv", beside=beside)
        seconds[name] = time.process_time() - started
    return {"rows": count, **seconds}


def measure(halves: int) -> dict[str, Any]:
    found: dict[str, Any] = {"maps": {}}
    with tempfile.TemporaryDirectory() as temporary:
        for name, experiment in RUNS.items():
            folder = Path(temporary) / name
            run_federation(experiment).save(folder)
            found["maps"][name] = measure_maps(Subject.of_run(folder), halves)
        found["reasons"] = measure_reasons(Path(temporary) / "ulb" / MODEL, ulb.fetch(), Path(temporary))
    return found


def table(found: Mapping[str, Any]) -> str:
    """The block of the page about maps."""
    lines = [
        "| test rows, halved at random | " + " | ".join(MAPS) + " |",
        "|---|" + "---|" * len(MAPS),
    ]
    for name, each in found["maps"].items():
        losses = np.array(each["losses"])
        best = np.bincount(losses.argmin(axis=1), minlength=len(MAPS))
        cells = [f"{1000 * mean:.2f} ({count})" for mean, count in zip(losses.mean(axis=0), best, strict=True)]
        lines.append(f"| {name}: {each['rows']:,}, {each['frauds']} of them fraud | " + " | ".join(cells) + " |")
    halves = len(next(iter(found["maps"].values()))["losses"])
    lines += ["", f"Log loss in thousandths, mean of {halves} halves, and in how many of them a map is the best."]
    return "\n".join(lines)


def speed(found: Mapping[str, Any]) -> str:
    """The block of the page about reasons."""
    each = found["reasons"]
    plain, reasons = (each["rows"] / each[name] for name in ("plain", "reasons"))
    return (
        f"One core scores {_rounded(plain)} rows of ULB a second without reasons, and {_rounded(reasons)} with {EACH} "
        "reasons each, reading and writing included."
    )


def _rounded(rate: float) -> str:
    return f"{round(rate, -3):,.0f}"


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="The figures of calibration and reasons in docs.")
    parser.add_argument("--halves", type=int, default=20)
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    asked = parser.parse_args()
    if not asked.stored:
        FIGURES.write_text(json.dumps(measure(asked.halves), indent=1) + "\n", encoding="utf-8")
    write_block(PAGE, "calibration-maps", table(stored()))
    write_block(PAGE, "reasons-speed", speed(stored()))


if __name__ == "__main__":
    main()
