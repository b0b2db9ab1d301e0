"""docs/encrypted-computing.md: what training on encrypted rows costs, ours and TenSEAL's tutorial.

    .venv/bin/python -m benchmarks.descent_page [--stored]

Takes about twenty seconds on a machine that does nothing else; `--stored` writes the table from figures of the last
time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import descent
from benchmarks.written_blocks import write_block

PAGE = Path(__file__).parents[1] / "docs" / "encrypted-computing.md"
FIGURES = PAGE.parent / "figures" / "descent.json"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a design, ours first."""
    ours = _seconds(rows[0])
    lines = [
        "| | rows | ms a row and epoch | times as long | encrypting, ms a row | up, bytes a row | keys "
        "| largest error of a weight |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = "**secure_fl**" if row["design"] == descent.OURS else f"*{row['design']}*"
        bound = "" if row["error_bound"] is None else f" (bound {row['error_bound']:.0e})"
        lines.append(
            f"| {name}, {row['degree']} | {row['rows']:,} | {_seconds(row) * 1e3:.3g} | {_seconds(row) / ours:,.0f} "
            f"| {row['encrypt_seconds'] * 1e3:.3g} | {row['upload_bytes_per_row']:,.0f} "
            f"| {row['key_bytes'] / 1e6:,.1f} MB | {row['max_abs_error']:.1e}{bound} |"
        )
    return "\n".join(lines)


def _seconds(row: Mapping[str, Any]) -> float:
    """Of a row and epoch: the trainer's and the owner's."""
    return float(row["trainer_seconds"] + row["owner_seconds"])


def stored() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(FIGURES.read_text(encoding="utf-8"))["rows"]
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The table of encrypted training in docs.")
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    if not parser.parse_args(arguments).stored:
        descent.main(["--json", str(FIGURES)])
    write_block(PAGE, "training", table(stored()))


if __name__ == "__main__":
    main()
