"""AUPRC against bytes: how few bits an update can have. Writes docs/quantization.md and docs/quantization.svg.

    .venv/bin/python -m benchmarks.quantization_curve            # four minutes on two cores
    .venv/bin/python -m benchmarks.quantization_curve --stored   # measures nothing; bytes are planned anew

Every scheme returns the same sum for the same bits, so plaintext stands for all of them; what an upload takes in each
scheme comes from the planner. Baselines are left out: they do not depend on the bits. What each seed gave is kept in
docs/figures/quantization.json, and a test compares the page with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from secure_fl import Experiment, federation, run_federation
from secure_fl.data.metrics import Scores
from secure_fl.federation.results import Baseline
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
STORED, PAGE, PICTURE = DOCS / "figures" / "quantization.json", DOCS / "quantization.md", DOCS / "quantization.svg"
PARAMETERS = 10_379

Figures = dict[str, dict[str, list[float]]]
"""AUPRC by what `name` makes of the settings, then by dataset: one a seed."""


def auprc(dataset: str, rounds: int, seed: int, settings: dict[str, Any]) -> float:
    experiment = Experiment(dataset=dataset, rounds=rounds, seed=seed, scheme="plaintext", **settings)
    return run_federation(experiment).final.auprc


def kilobytes(scheme: str, bits: int | str) -> str:
    if bits == "float32" and scheme != "plaintext":
        return "-"
    return f"{plan(scheme, 3, PARAMETERS, bits).upload_bytes / 1000:.0f}"


def name(settings: dict[str, Any]) -> str:
    return f"{settings['bits']}" + (", error feedback" if settings.get("error_feedback") else "")


def kilobytes_sent(settings: dict[str, Any]) -> float:
    return plan("plaintext", 3, PARAMETERS, settings["bits"]).upload_bytes / 1000


def draw(figures: Figures) -> Figure:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    plain = [settings for settings in SETTINGS if not settings.get("error_feedback")]
    sizes = [kilobytes_sent(settings) for settings in plain]
    for dataset in DATASETS:
        points = [figures[name(settings)][dataset] for settings in plain]
        axes.errorbar(sizes, [mean(p) for p in points], yerr=[stdev(p) for p in points], marker="o", capsize=3,
                      label=dataset)  # fmt: skip
    axes.set(xscale="log", xlabel="upload of one bank and round, kB (plaintext)", ylabel="AUPRC")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def measure() -> Figures:
    nothing = Baseline("none", Scores(0.0, 0.0, 0), (0.0,))
    vars(federation)["train_baselines"] = lambda *_: ((), nothing)
    figures: Figures = {}
    for settings in SETTINGS:
        figures[name(settings)] = {
            dataset: [auprc(dataset, rounds, seed, settings) for seed in SEEDS] for dataset, rounds in DATASETS.items()
        }
        sys.stderr.write(row(settings, figures) + "\n")
    return figures


def row(settings: dict[str, Any], figures: Figures) -> str:
    scores = figures[name(settings)]
    cells = [name(settings)]
    cells += [f"{mean(scores[dataset]):.3f} ± {stdev(scores[dataset]):.3f}" for dataset in DATASETS]
    cells += [kilobytes(scheme, settings["bits"]) for scheme in ("plaintext", "masked", "bfv", "ckks")]
    return "| " + " | ".join(cells) + " |"


def render(figures: Figures) -> str:
    """The page."""
    return TEXT.format(rows="\n".join(row(settings, figures) for settings in SETTINGS), seeds=len(SEEDS))


def main() -> None:
    parser = argparse.ArgumentParser(description="How few bits an update can have.")
    parser.add_argument("--stored", action="store_true", help="measure nothing; write what is stored")
    if not parser.parse_args().stored:
        STORED.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    figures: Figures = json.loads(STORED.read_text(encoding="utf-8"))
    with rc_context({"svg.hashsalt": "secure_fl", "svg.fonttype": "none"}):
        draw(figures).savefig(PICTURE, metadata={"Date": None})
    PAGE.write_text(render(figures), encoding="utf-8")


TEXT = """# How few bits an update can have

`python -m benchmarks.quantization_curve` made this page of [each seed's figures](figures/quantization.json): three
banks, the fraud model, {seeds} seeds each (mean ± standard deviation); ULB with 5 rounds, simulated transactions with
10. Every scheme returns the same integers, so the AUPRC does not depend on it; what a bank sends in a round does. Each
seed simulates transactions of its own, which is where the spread in that column comes from: compare within a column by
its mean. A kB is 1,000 bytes.

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
