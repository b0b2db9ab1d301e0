"""AUPRC against epsilon: what differential privacy costs. Writes docs/privacy.svg and the tables of docs/privacy.md.

    .venv/bin/python -m benchmarks.privacy_utility               # both tables; about an hour on two cores
    .venv/bin/python -m benchmarks.privacy_utility --only curve
    .venv/bin/python -m benchmarks.privacy_utility --stored      # measures nothing

Noise is drawn by the banks before anything is summed, and every scheme returns the same sum for the same bits; so
plaintext, the fastest, stands for all of them. Baselines are left out: they are trained without privacy. At epsilon
infinity the same federation trains with the settings that it would have without DP. What each seed gave is kept in
docs/figures/privacy.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, median, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy.stats import t as student

from benchmarks.written_blocks import write_block
from secure_fl import Experiment, run_federation
from secure_fl.data.datasets import open_dataset
from secure_fl.data.metrics import Scores
from secure_fl.federation import run
from secure_fl.federation.results import Baseline
from secure_fl.privacy.lifetime.store import NOTES_VARIABLE, STORE_VARIABLE

EPSILONS = (1.0, 3.0, 8.0, math.inf)
DELTA = 1e-5
DATASETS = ("ulb", "simulated")
SEEDS = (1, 2, 3)
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"rounds": 8, "learning_rate": 0.01, "dropout": 0.0},
    {"rounds": 8, "learning_rate": 0.01, "dropout": 0.0, "max_grad_norm": 0.3},
    {"rounds": 8, "dropout": 0.0, "batch_size": 2048},
    {"rounds": 10, "learning_rate": 0.005, "dropout": 0.0},
    {"positive_weight": 10.0},
)
"""What to change in the private settings, for ULB at epsilon 3."""
VARIANT_SEEDS = (1, 2)
DOCS = Path(__file__).parents[1] / "docs"
STORED, PAGE, PICTURE = DOCS / "figures" / "privacy.json", DOCS / "privacy.md", DOCS / "privacy.svg"

Utility = dict[float, list[Scores]]
"""By epsilon, one entry a seed."""


def scores(dataset: str, epsilon: float, seed: int, **settings: Any) -> Scores:
    private = Experiment(
        dataset=dataset, seed=seed, scheme="plaintext", epsilon=min(epsilon, 1e6), delta=DELTA, **settings
    )
    final = run_federation(private if epsilon < math.inf else private.without_privacy()).final
    changed = "".join(f", {name} {value}" for name, value in settings.items())
    sys.stderr.write(f"{dataset}, epsilon {epsilon:g}, seed {seed}{changed}: {final}\n")
    return final


def utility(dataset: str) -> Utility:
    return {epsilon: [scores(dataset, epsilon, seed) for seed in SEEDS] for epsilon in EPSILONS}


def honest_rows(dataset: str) -> list[int]:
    """Honest transactions of the test set that false positives are out of, one count a seed."""
    opened = [open_dataset(Experiment(dataset=dataset, seed=seed)) for seed in SEEDS]
    return [sum(int(np.count_nonzero(~bank.test.fraud)) for bank in each.banks) for each in opened]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean over seeds, by Student's t."""
    reach = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean(values) - reach, mean(values) + reach


def score_cell(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{mean(values):.3f} [{low:.3f}, {high:.3f}]"


def count_cell(counts: Sequence[int], honest: Sequence[int]) -> str:
    """Counts of false positives are so skewed that an interval around the mean of three says nothing."""
    of = " to ".join(f"{count:,}" for count in sorted({min(honest), max(honest)}))
    return f"{median(counts):,.0f} ({min(counts):,} to {max(counts):,}) of {of}"


def curve_table(figures: Mapping[str, Utility], honest: Mapping[str, Sequence[int]]) -> str:
    lines = [
        "| dataset | epsilon | AUPRC | less than without DP | false positives at 80 % recall, of honest |",
        "|---|---|---|---|---|",
    ]
    for dataset, by_epsilon in figures.items():
        for epsilon, found in by_epsilon.items():
            pairs = zip(by_epsilon[math.inf], found, strict=True)
            lost = [without.auprc - private.auprc for without, private in pairs]
            cells = [
                dataset,
                f"{epsilon:g}" if epsilon < math.inf else "infinity",
                score_cell([s.auprc for s in found]),
                score_cell(lost) if epsilon < math.inf else "-",
                count_cell([s.false_positives_at_80_recall for s in found], honest[dataset]),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(figures: Mapping[str, Utility]) -> Figure:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(EPSILONS))
    for shift, (dataset, by_epsilon) in zip((-0.04, 0.04), figures.items(), strict=True):
        found = [[s.auprc for s in by_epsilon[epsilon]] for epsilon in EPSILONS]
        reach = [mean(values) - interval(values)[0] for values in found]
        x = [place + shift for place in places]
        middles = [mean(values) for values in found]
        color = axes.errorbar(x, middles, yerr=reach, marker="o", capsize=3, label=dataset)[0].get_color()
        for place, values in zip(x, found, strict=True):
            axes.plot([place] * len(values), values, ".", color=color, alpha=0.5)
    axes.set_xticks(list(places), [f"{epsilon:g}" if epsilon < math.inf else "no DP" for epsilon in EPSILONS])
    axes.set(xlabel=f"epsilon at delta {DELTA:g}", ylabel="AUPRC", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    return figure


def measure_variants() -> list[list[float]]:
    """AUPRC of each of `VARIANTS`, one a seed."""
    return [[scores("ulb", 3.0, seed, **variant).auprc for seed in VARIANT_SEEDS] for variant in VARIANTS]


def variant_table(figures: Sequence[Sequence[float]]) -> str:
    lines = ["| changed settings | AUPRC, mean of two seeds | each |", "|---|---|---|"]
    lines += [variant_row(variant, values) for variant, values in zip(VARIANTS, figures, strict=True)]
    return "\n".join(lines)


def variant_row(variant: Mapping[str, Any], values: Sequence[float]) -> str:
    changed = ", ".join(f"`{name}` {value}" for name, value in variant.items())
    return f"| {changed or 'none'} | {mean(values):.3f} | {', '.join(f'{value:.3f}' for value in values)} |"


@dataclass
class Stored:
    """What was measured, as it lies on disk."""

    curve: dict[str, Utility] = field(default_factory=dict)
    settings: list[list[float]] = field(default_factory=list)
    honest: dict[str, list[int]] = field(default_factory=dict)
    """By dataset, one count a seed."""

    @classmethod
    def load(cls, path: Path) -> Stored:
        document = json.loads(path.read_text(encoding="utf-8"))
        curve = {
            dataset: {float(epsilon): [Scores(**each) for each in found] for epsilon, found in by_epsilon.items()}
            for dataset, by_epsilon in document["curve"].items()
        }
        return cls(curve, document["settings"], document["honest"])

    def save(self, path: Path) -> None:
        curve = {
            dataset: {str(epsilon): [asdict(each) for each in found] for epsilon, found in by_epsilon.items()}
            for dataset, by_epsilon in self.curve.items()
        }
        document = {"curve": curve, "settings": self.settings, "honest": self.honest}
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def blocks(self) -> dict[str, str]:
        """The tables of the page, by name, as far as they were measured."""
        tables = {"curve": curve_table(self.curve, self.honest)} if self.curve else {}
        return tables | ({"settings": variant_table(self.settings)} if self.settings else {})


def write_page(stored: Stored) -> None:
    for name, table in stored.blocks().items():
        write_block(PAGE, name, table)
    if stored.curve:
        with rc_context({"svg.hashsalt": "secure_fl", "svg.fonttype": "none"}):
            draw(stored.curve).savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description="What differential privacy costs.")
    parser.add_argument("--only", choices=("curve", "settings"), help="one of the two tables")
    parser.add_argument("--stored", action="store_true", help="measure nothing; write what is stored")
    options = parser.parse_args()
    nothing = Baseline("none", Scores(0.0, 0.0, 0), (0.0,))
    vars(run)["train_baselines"] = lambda *_: ((), nothing)
    stored = Stored.load(STORED) if STORED.exists() else Stored()
    with TemporaryDirectory() as folder:  # these runs are nobody's: they stay out of the user's ledgers for life
        os.environ |= {STORE_VARIABLE: f"{folder}/ledgers", NOTES_VARIABLE: f"{folder}/notes"}
        _measure(stored, options)
    write_page(stored)


def _measure(stored: Stored, options: argparse.Namespace) -> None:
    if not options.stored:
        if options.only != "settings":
            stored.curve = {dataset: utility(dataset) for dataset in DATASETS}
            stored.honest = {dataset: honest_rows(dataset) for dataset in DATASETS}
            stored.save(STORED)
        if options.only != "curve":
            stored.settings = measure_variants()
            stored.save(STORED)


if __name__ == "__main__":
    main()
