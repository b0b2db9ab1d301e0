"""Does an audit find a bias that was planted, and none where there is none? It writes its figures into docs/audit.md.

    .venv/bin/python -m benchmarks.planted_bias [--seeds 20] [--stored]

Banks of made-up rows: four numbers, one of four regions that has nothing to do with fraud. With bias, a share of the
honest training rows of one region carries the label of fraud. Test rows are the same with and without it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.written_blocks import write_block
from secure_fl import Experiment, run_federation
from secure_fl.audit.fairness import compare_groups
from secure_fl.audit.groups import group_rows
from secure_fl.audit.opening import Subject
from secure_fl.audit.sums import SecureSums

PAGE = Path(__file__).parents[1] / "docs" / "audit.md"
FIGURES = PAGE.parent / "figures" / "planted-bias.json"
BANKS = ("bank-1", "bank-2", "bank-3")
REGIONS, SHARES, DISADVANTAGED = ("east", "north", "south", "west"), (0.3, 0.3, 0.2, 0.2), "south"
TRAIN, TEST, MISLABELLED, MAX_GAP = 6_000, 2_000, 0.15, 0.05
COLUMNS = ("x1", "x2", "x3", "x4")


@dataclass(frozen=True)
class Outcome:
    """What one audit says."""

    seed: int
    biased: bool
    worse: tuple[str, ...]
    """Groups worse off by their false positives or recall, beyond chance."""
    flagged_more: tuple[str, ...]
    """Those of them whose honest rows are flagged more often."""
    failed: bool
    """Whether a gap is beyond `MAX_GAP` too."""
    gap: float
    """Of the disadvantaged region's false positives."""
    interval: tuple[float, float]

    @property
    def right(self) -> bool:
        """Whether the disadvantaged region, and no other, is flagged more often, by an interval without zero."""
        return self.flagged_more == (DISADVANTAGED,) and self.interval[0] > 0


def make_rows(count: int, rng: np.random.Generator, mislabelled: float = 0.0) -> pd.DataFrame:
    """Rows of one bank, of which a share of the honest ones of one region is labelled fraud."""
    numbers = rng.normal(size=(count, len(COLUMNS)))
    region = rng.choice(REGIONS, size=count, p=SHARES)
    odds = numbers @ np.array([1.6, 1.0, 0.6, 0.0]) - 3.5
    fraud = rng.random(count) < 1 / (1 + np.exp(-odds))
    fraud |= (region == DISADVANTAGED) & (rng.random(count) < mislabelled)
    return pd.DataFrame(numbers, columns=list(COLUMNS)).assign(region=region, fraud=fraud.astype(int))


def run_audit(seed: int, biased: bool, scheme: str = "masked") -> Outcome:
    """Train banks, and audit what they trained by region."""
    rng = np.random.default_rng([seed, *b"planted"])
    test = {name: make_rows(TEST, rng) for name in BANKS}
    train = {name: make_rows(TRAIN, rng, MISLABELLED if biased else 0.0) for name in BANKS}
    experiment = Experiment(
        scheme=scheme, rounds=8, seed=seed, label="fraud", numeric=COLUMNS, categorical=("region",), dataset="in-memory"
    )
    result = run_federation(experiment, banks=train, test=test)
    subject = Subject.of_result(result, train, test)
    groups = group_rows(["region"], subject.banks)
    found = compare_groups(subject, groups, SecureSums.of(subject.experiment), max_gap=MAX_GAP)
    (own,) = [gap for gap in found.gaps if (gap.group, gap.rate) == (DISADVANTAGED, "false_positive_rate")]
    return Outcome(
        seed,
        biased,
        tuple(sorted({gap.group for gap in found.worse})),
        tuple(gap.group for gap in found.worse if gap.rate == "false_positive_rate"),
        bool(found.failed),
        own.gap,
        own.interval,
    )


def table(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """The block of the page."""
    read = [Outcome(**{name: _tuple(value) for name, value in line.items()}) for line in outcomes]
    biased, fair = ([outcome for outcome in read if outcome.biased == kind] for kind in (True, False))
    what = f"{MISLABELLED:.0%} of the honest rows of one region of four labelled fraud"
    lowest = min(outcome.interval[0] for outcome in biased)
    lines = [
        "| training rows | audits | that region is flagged more, and no other | any group is worse off "
        f"| fails with a largest gap of {MAX_GAP:g} |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {len(part)} | {sum(o.right for o in part)} | {sum(bool(o.worse) for o in part)} | "
            f"{sum(o.failed for o in part)} |"
            for name, part in ((what, biased), ("as they are", fair))
        ),
        "",
        f"A bank has {TRAIN:,} training and {TEST:,} test rows. With bias, the region's gap of false positives is "
        f"{min(o.gap for o in biased):+.3f} to {max(o.gap for o in biased):+.3f}, and the lowest end of an interval "
        f"{lowest:+.3f}.",
    ]
    return "\n".join(lines)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def stored() -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="The table of planted bias in docs.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    asked = parser.parse_args()
    if not asked.stored:
        seeds = range(1, asked.seeds + 1)
        outcomes = [asdict(run_audit(seed, biased)) for seed in seeds for biased in (True, False)]
        FIGURES.write_text(json.dumps(outcomes, indent=1) + "\n", encoding="utf-8")
    write_block(PAGE, "planted-bias", table(stored()))


if __name__ == "__main__":
    main()
