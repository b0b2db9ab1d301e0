"""docs/network.md: what a round over the network costs, from the figures that were stored.

.venv/bin/python -m benchmarks.network_page

They are those that `python -m benchmarks.network --json docs/figures/network.json` stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.network import Row
from benchmarks.written_blocks import write_block

PAGE = Path(__file__).parents[1] / "docs" / "network.md"
FIGURES = PAGE.parent / "figures" / "network.json"
HEAD = (
    "scheme", "banks", "parameters", "sum, s", "in memory, s", "round, s", "in memory, s", "times", "gateway, MB",
)  # fmt: skip


def stored() -> list[Row]:
    return [Row(**row) for row in json.loads(FIGURES.read_text(encoding="utf-8"))["rows"]]


def table(rows: Iterable[Row]) -> str:
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    seconds = (row.sum_seconds, row.memory_sum_seconds, row.round_seconds, row.memory_round_seconds)
    return (
        row.scheme, str(row.banks), f"{row.parameters:,}", *(f"{each:.2f}" for each in seconds), f"{row.ratio:.1f}",
        f"{row.gateway_bytes / 1e6:.0f}",
    )  # fmt: skip


def main() -> None:
    write_block(PAGE, "rounds", table(stored()))
    print(f"{PAGE}: written")


if __name__ == "__main__":
    main()
