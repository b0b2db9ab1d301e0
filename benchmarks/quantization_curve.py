"""AUPRC against bytes: how few bits an update can have. Writes docs/quantization.md and docs/quantization.svg.

    .venv/bin/python benchmarks/quantization_curve.py

Every scheme returns the same sum for the same bits, so plaintext stands for all of them; what an upload takes in each
scheme comes from the planner. Baselines are left out: they do not depend on the bits.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from secure_fl import Experiment, federation, run_federation
from secure_fl.metrics import Scores
from secure_fl.results import Baseline
from secure_fl.secagg import plan

SETTINGS: tuple[dict[str, Any], ...] = (
    {"bits": 4},
    {"bits": 4, "error_feedback": True},
    {"bits": 6},
    {"bits": 8},
    {"bits": 12},
    {"bits": 16},
    {"bits": 24},
    {"bits": "float32"},
)
DATASETS = {"ulb": 5, "simulated": 10}
SEEDS = (1, 2, 3)
DOCS = Path(__file__).parents[1] / "docs"
PARAMETERS = 10_379


def auprc(dataset: str, rounds: int, seed: int, settings: dict[str, Any]) -> float:
    experiment = Experiment(dataset=dataset, rounds=rounds, seed=seed, scheme="plaintext", **settings)
    return run_federation(experiment).final.auprc


def kilobytes(scheme: str, bits: int | str) -> str:
    if bits == "float32" and scheme != "plaintext":
        return "-"
    return f"{plan(scheme, 3, PARAMETERS, bits).upload_bytes / 1000:.0f}"


def name(settings: dict[str, Any]) -> str:
    return f"{settings['bits']}" + (", error feedback" if settings.get("error_feedback") else "")


def draw(figures: dict[str, list[tuple[float, list[float]]]]) -> Figure:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for dataset, points in figures.items():
        sizes = [size for size, _ in points]
        middles = [mean(scores) for _, scores in points]
        spread = [stdev(scores) for _, scores in points]
        axes.errorbar(sizes, middles, yerr=spread, marker="o", capsize=3, label=dataset)
    axes.set(xscale="log", xlabel="upload of one bank and round, kB (plaintext)", ylabel="AUPRC")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def main() -> None:
    nothing = Baseline("none", Scores(0.0, 0.0, 0), (0.0,))
    vars(federation)["train_baselines"] = lambda *_: ((), nothing)
    rows: list[str] = []
    curves: dict[str, list[tuple[float, list[float]]]] = {dataset: [] for dataset in DATASETS}
    for settings in SETTINGS:
        cells = [name(settings)]
        for dataset, rounds in DATASETS.items():
            scores = [auprc(dataset, rounds, seed, settings) for seed in SEEDS]
            cells.append(f"{mean(scores):.3f} ± {stdev(scores):.3f}")
            if not settings.get("error_feedback"):
                size = plan("plaintext", 3, PARAMETERS, settings["bits"]).upload_bytes / 1000
                curves[dataset].append((size, scores))
        cells += [kilobytes(scheme, settings["bits"]) for scheme in ("plaintext", "masked", "bfv", "ckks")]
        rows.append("| " + " | ".join(cells) + " |")
        sys.stderr.write(rows[-1] + "\n")
    with rc_context({"svg.hashsalt": "secure_fl", "svg.fonttype": "none"}):
        draw(curves).savefig(DOCS / "quantization.svg", metadata={"Date": None})
    (DOCS / "quantization.md").write_text(TEXT.format(rows="\n".join(rows), seeds=len(SEEDS)), encoding="utf-8")


TEXT = """# How few bits an update can have

`benchmarks/quantization_curve.py` made this page: three banks, the fraud model, {seeds} seeds each (mean ± standard
deviation); ULB with 5 rounds, simulated transactions with 10. Every scheme returns the same integers, so the AUPRC does
not depend on it; what a bank sends in a round does. Each seed simulates transactions of its own, which is where the
spread in that column comes from: compare within a column by its mean.

| bits | AUPRC, ULB | AUPRC, simulated | plaintext, kB | masked, kB | bfv, kB | ckks, kB |
|---|---|---|---|---|---|---|
{rows}

![AUPRC against the bytes of an upload](quantization.svg)

Stochastic rounding keeps the mean unbiased, and the clip range follows the means of earlier rounds, so that few bits
suffice. Error feedback (`--error-feedback`) carries over to the next round what rounding took from an update. On the
way down, `--downlink sum` sends the integers of the last sum instead of float32 weights: at 8 bits and 3 banks 13 kB
instead of 42 kB, and exactly the same model.
"""


if __name__ == "__main__":
    main()
