"""docs/robust.md: what Multi-Krum on ciphertexts keeps of a poisoned run on ULB, and what no rule loses.

    .venv/bin/python -m benchmarks.robust_runs

Ten banks of which two flip and scale their updates by 4, ten rounds, seed 1; about five minutes. Without a rule the
clipping of the quantizer softens the blow, so that both are run with a wide clip range too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.robust_page import FIGURES, PAGE, stored
from benchmarks.written_blocks import write_block
from secure_fl import Experiment
from secure_fl.federation.results import LeftOut
from secure_fl.federation.run import open_federation, train_rounds

EVERY: dict[str, Any] = {"dataset": "ulb", "banks": 10, "rounds": 10, "seed": 1, "scheme": "ckks"}
ATTACK: dict[str, Any] = {"byzantine": 2, "attack": "sign-flip"}
KRUM: dict[str, Any] = {"robust": "multi-krum", "byzantine": 2}
WIDE: dict[str, Any] = {"initial_clip": 1.0, "clip_margin": 30.0}
RUNS: Sequence[Mapping[str, Any]] = (
    {},
    KRUM,
    ATTACK,
    ATTACK | WIDE,
    ATTACK | KRUM,
    ATTACK | KRUM | WIDE,
    {"robust": "median", "group_size": 3, "scheme": "masked", "byzantine": 1, "attack": "sign-flip"},
)


@dataclass(frozen=True)
class Row:
    """One run."""

    settings: dict[str, Any]
    auprc: float
    poisoned: int
    """Uploads of banks that attack."""
    rightly: int
    """Of these, how many the rule left out."""
    wrongly: int
    """Uploads of honest banks that it left out."""


def measure(settings: Mapping[str, Any]) -> Row:
    history = train_rounds(open_federation(Experiment.model_validate({**EVERY, **settings})))
    assert history.scores is not None
    counted = LeftOut.of(history.rounds)
    return Row(dict(settings), history.scores.auprc, counted.poisoned, counted.rightly, counted.wrongly)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a run, with the options that make it."""
    lines = ["| `secure-fl run --dataset ulb --banks 10` | AUPRC | poisoned uploads left out | honest ones left out |"]
    lines.append("|---|---|---|---|")
    for row in rows:
        options = {"scheme": EVERY["scheme"]} | row["settings"]
        shown = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items())
        left = f"{row['rightly']} of {row['poisoned']}" if row["poisoned"] else "-"
        lines.append(f"| `{shown}` | {row['auprc']:.3f} | {left} | {row['wrongly']} |")
    return "\n".join(lines)


def main() -> None:
    rows = [asdict(measure(settings)) for settings in RUNS]
    (FIGURES / "robust.json").write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    write_block(PAGE, "runs", table(stored("robust")))


if __name__ == "__main__":
    main()
