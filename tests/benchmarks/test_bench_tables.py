"""The tables that documents have from a stored benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_tables
from benchmarks.bench_tables import bench_blocks, main, scale_block
from benchmarks.written_blocks import read_block
from secure_fl.bench.schemes.benchmark import Benchmark
from secure_fl.bench.schemes.cases import Case
from secure_fl.bench.schemes.rows import Row

MACHINE = {"processor": "a test", "tenseal": "0.3.18"}


@pytest.fixture
def document(make_row: Callable[..., Row]) -> dict[str, Any]:
    """A benchmark whose figures can be told apart, after a way through JSON."""
    million = {"banks": 10, "parameters": 1_000_000, "client_seconds": 1.25, "server_seconds": 0.0042}
    rows = [
        replace(make_row(upload_bytes=2_004_000, **million), round_seconds_at={"10Mbps": 9.0, "100Mbps": 0.777}),
        make_row("tenseal-tutorial", peer=True, **million),
        Row.of(Case("ckks", False, 10, 1_000_000, 24), "refused", note="too large"),
        replace(make_row("plaintext", banks=3, parameters=10_369, upload_bytes=41_560), bits="float32"),
    ]
    for place, scheme in enumerate(bench_tables.SCALED, start=1):
        rows += [make_row(scheme, banks=n, client_seconds=n**place, server_seconds=n**0.5) for n in (10, 100)]
        rows += [
            make_row(scheme, banks=7, parameters=n, client_seconds=n**0.25, server_seconds=n / 9) for n in (10, 100)
        ]
    stored: dict[str, Any] = json.loads(Benchmark(tuple(rows), (), "a command", MACHINE).to_json())
    return stored


def test_rows_are_those_of_their_size_in_units_of_the_table(document: dict[str, Any]) -> None:
    blocks = {name: text.splitlines()[2:] for name, text in bench_blocks(document).items()}
    assert blocks["bench-million"][0] == "| masked, 8 bits | 1,250 ms | 4.2 ms | 2.00 | 0.78 s |"
    assert blocks["bench-million"][1].startswith("| *TenSEAL tutorial* (tenseal 0.3.18) | 1,250 ms | 4.2 ms |")
    assert len(blocks["bench-million"]) == 2
    assert blocks["bench-fraud-model"] == ["| plaintext, float32 | 10 ms | 2.0 ms | 42 kB |"]


def test_exponents_stand_under_what_they_are_of(document: dict[str, Any]) -> None:
    head, _, *rows = scale_block(document).splitlines()
    assert head == (
        "| scheme | a: client against banks | a: aggregator against banks | a: client against parameters "
        "| a: aggregator against parameters |"
    )
    assert rows == [f"| {scheme} | {n}.00 | 0.50 | 0.25 | 1.00 |" for n, scheme in enumerate(bench_tables.SCALED, 1)]


def test_the_command_writes_the_blocks(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "README": "<!-- bench-million -->\n<!-- end -->\n<!-- bench-fraud-model -->\n<!-- end -->\n",
        "SCALE": "<!-- scale -->\n<!-- end -->\n",
        "BENCH_STORED": json.dumps(document),
        "SCALE_STORED": json.dumps(document),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        monkeypatch.setattr(bench_tables, name, tmp_path / name)
    main()
    for name, text in bench_blocks(document).items():
        assert read_block(tmp_path / "README", name) == text
    assert read_block(tmp_path / "SCALE", "scale") == scale_block(document)
