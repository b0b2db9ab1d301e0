"""docs/encrypted-computing.md: what scoring encrypted rows costs, measured on ULB.

    .venv/bin/python -m benchmarks.scoring_page [--stored]

Takes about two minutes on a machine that does nothing else; `--stored` writes the page from figures of the last time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import scoring
from benchmarks.written_blocks import write_block

PAGE = Path(__file__).parents[1] / "docs" / "encrypted-computing.md"
FIGURES = PAGE.parent / "figures" / "scoring.json"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a model and layout."""
    lines = [
        "| layout | model | ms a row | up, bytes a row | keys | AUPRC encrypted / plain | max error | bound | usual |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        scores = "-"
        if row["auprc_plain"] is not None:
            scores = f"{row['auprc_encrypted']:.5f} / {row['auprc_plain']:.5f}"
        lines.append(
            f"| {row['design']} | {row['model']} | {row['seconds_per_row'] * 1e3:.3g} "
            f"| {row['upload_bytes_per_row']:,.0f} | {_size(row['key_bytes'])} | {scores} "
            f"| {row['max_abs_error']:.1e} | {row['error_bound']:.2g} | {row['usual_error_bound']:.2g} |"
        )
    return "\n".join(lines)


def _size(count: int) -> str:
    return f"{count} B" if count < 1000 else f"{count / 1e6:,.2f} MB"


def stored() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(FIGURES.read_text(encoding="utf-8"))["rows"]
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="docs/encrypted-computing.md.")
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    if not parser.parse_args(arguments).stored:
        scoring.main(["--json", str(FIGURES)])
    write_block(PAGE, "scoring", table(stored()))


if __name__ == "__main__":
    main()
