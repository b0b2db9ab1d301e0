"""The benchmark's tables in README.md and docs/scale.md, from the files that the benchmark stored.

    secure-fl bench --banks 3,10 --parameters 10369,1000000 --peers --json docs/figures/bench.json --force
    secure-fl bench --scale --json docs/figures/scale.json --force
    .venv/bin/python -m benchmarks.bench_tables

Timings need a quiet machine, and both tables of README one run. This measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.written_blocks import write_block
from secure_fl.bench.peers import PEERS
from secure_fl.bench.schemes.rows import Row
from secure_fl.secagg.schemes import called

ROOT = Path(__file__).parents[1]
README, SCALE = ROOT / "README.md", ROOT / "docs" / "scale.md"
BENCH_STORED, SCALE_STORED = ROOT / "docs" / "figures" / "bench.json", ROOT / "docs" / "figures" / "scale.json"
MILLION, FRAUD_MODEL = (10, 1_000_000), (3, 10_369)
SCALED = ("masked", "additive", "bfv", "ckks")

Document = Mapping[str, Any]
"""What `secure-fl bench --json` writes."""


def bench_blocks(document: Document) -> dict[str, str]:
    """The tables of README.md."""
    return {
        "bench-million": _table(
            (f"{MILLION[0]} banks x {MILLION[1]:,} parameters", "one bank", "aggregator", "upload, bytes per parameter",
             "round"),
            [
                (_name(row, document), _milliseconds(row.client_seconds), _milliseconds(row.server_seconds),
                 f"{row.bytes_per_parameter:.2f}", f"{(row.round_seconds_at or {})['100Mbps']:.2f} s")
                for row in _measured(document, MILLION)
            ],
        ),
        "bench-fraud-model": _table(
            (f"{FRAUD_MODEL[0]} banks x {FRAUD_MODEL[1]:,} parameters", "one bank", "aggregator", "upload"),
            [
                (_name(row, document), _milliseconds(row.client_seconds), _milliseconds(row.server_seconds),
                 f"{(row.upload_bytes or 0) / 1000:,.0f} kB")
                for row in _measured(document, FRAUD_MODEL)
            ],
        ),
    }  # fmt: skip


def scale_block(document: Document) -> str:
    """The exponents of docs/scale.md."""
    exponents = {(fit["scheme"], fit["against"]): fit for fit in document["fits"]}
    heads = [f"a: {who} against {size}" for size in ("banks", "parameters") for who in ("client", "aggregator")]
    return _table(
        ("scheme", *heads),
        [
            (
                scheme,
                *(
                    f"{exponents[scheme, size][figure]:.2f}"
                    for size in ("banks", "parameters")
                    for figure in ("client_seconds", "server_seconds")
                ),
            )
            for scheme in SCALED
        ],
    )


def _measured(document: Document, size: tuple[int, int]) -> list[Row]:
    rows = [Row.from_dict(fields) for fields in document["rows"]]
    return [row for row in rows if row.measured and row.size == size]


def _name(row: Row, document: Document) -> str:
    if row.peer:
        library = PEERS[row.scheme].library
        return f"*{row.title}* ({library} {document['machine'][library]})"
    name = called(row.scheme)
    return f"{name}, {row.bits} bits" if isinstance(row.bits, int) else f"{name}, {row.bits}"


def _milliseconds(seconds: float | None) -> str:
    spent = 1000 * (seconds or 0)
    return f"{spent:,.0f} ms" if spent >= 10 else f"{spent:.1f} ms"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows))


def main() -> None:
    for name, text in bench_blocks(json.loads(BENCH_STORED.read_text(encoding="utf-8"))).items():
        write_block(README, name, text)
    write_block(SCALE, "scale", scale_block(json.loads(SCALE_STORED.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
