"""docs/encrypted-computing.md and README: what scoring encrypted rows costs, ours and peers', measured on ULB.

    .venv/bin/python -m benchmarks.scoring_page [--stored]

Takes about five minutes on a machine that does nothing else, and the extra `peers-scoring`; `--stored` writes the
tables from figures of the last time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import scoring
from benchmarks.written_blocks import write_block
from secure_fl.bench.scoring.models import LOGISTIC, RELU, SQUARES
from secure_fl.bench.scoring.table import ours_markdown, peers_markdown, ratios_markdown

ROOT = Path(__file__).parents[1]
README, PAGE = ROOT / "README.md", ROOT / "docs" / "encrypted-computing.md"
FIGURES = ROOT / "docs" / "figures" / "scoring.json"
LEFT_OUT = ("tenseal-mm-more-bits",)
"""Of README: it shows what the page explains."""


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def blocks(found: dict[str, Any]) -> dict[tuple[Path, str], str]:
    """What stands where, by document and name of the block."""
    rows = found["rows"]
    return {
        (PAGE, "scoring"): ours_markdown(rows),
        (PAGE, "scoring peers"): peers_markdown(rows, (LOGISTIC, SQUARES, RELU)),
        (PAGE, "scoring ratios"): ratios_markdown(found["ratios"]),
        (README, "scoring"): peers_markdown([row for row in rows if row["design"] not in LEFT_OUT], (LOGISTIC, RELU)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The tables of encrypted scoring in docs and README.")
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    if not parser.parse_args(arguments).stored:
        scoring.main(["--json", str(FIGURES)])
    for (document, name), text in blocks(stored()).items():
        write_block(document, name, text)


if __name__ == "__main__":
    main()
