"""`secure-fl bench` as a person meets it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from secure_fl.bench.schemes.benchmark import Benchmark
from secure_fl.bench.schemes.rows import Row
from secure_fl.bench.schemes.table import print_benchmark
from secure_fl.cli.app import main

SMALL = ("--banks", "3", "--parameters", "100,200", "--repeat", "1")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`secure-fl bench ARGUMENTS` in this process: status, stdout, stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["secure-fl", "bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return call


Bench = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_table_json_and_page(bench: Bench, tmp_path: Path) -> None:
    status, out, err = bench(
        "--schemes",
        "plaintext,masked",
        *SMALL,
        "--drop-sweep",
        "--json",
        tmp_path / "b.json",
        "--html",
        tmp_path / "b.html",
    )
    assert status == 0, err
    assert "3 banks x 200 parameters" in out
    assert "masked 8-bit" in out
    assert "rows 6/6" in err
    found = json.loads((tmp_path / "b.json").read_text())
    assert [(row["scheme"], row["bits"], row["parameters"]) for row in found["rows"][:3]] == [
        ("plaintext", 8, 100),
        ("plaintext", "float32", 100),
        ("masked", 8, 100),
    ]
    assert found["command"].startswith("secure-fl bench --schemes plaintext,masked --banks 3 --parameters 100,200")
    assert {fit["against"] for fit in found["fits"]} == {"parameters"}
    assert [d["succeeded"] for d in found["dropouts"][:3]] == [True, True, False]
    assert (tmp_path / "b.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--schemes", "masked,nothing"), "there is no scheme 'nothing'"),
        (("--banks", "3,x"), "not a list of whole numbers"),
        (("--parameters", "0"), "a number below 1"),
        (("--bits", "many"), "--bits 'many'"),
        (("--repeat", "0"), "--repeat 0 is refused"),
        (("--banks", "2", "--parameters", "10"), "use 3 to"),
        (("--scale", "--banks", "3"), "--scale has sizes of its own"),
        (("--json", "/nowhere/at/all.json"), "cannot be written"),
        (("--schemes", "ckks", "--bits", "float32"), "sums integers"),
    ],
)
def test_what_cannot_work_is_one_line_and_status_2(bench: Bench, arguments: tuple[str, ...], what: str) -> None:
    status, out, err = bench(*arguments)
    assert status == 2
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert what in errors[0]
    assert "; " in errors[0]
    assert out == ""


def test_nothing_is_left_behind_when_it_fails(bench: Bench, tmp_path: Path) -> None:
    assert bench("--banks", "2", "--json", tmp_path / "b.json")[0] == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_fits_the_terminal(
    benchmark_of_rows: Benchmark, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    print_benchmark(benchmark_of_rows, Console(width=width))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    assert "refused: a <sum> does not fit" in " ".join(out.split())
    assert out.count("not installed") == 1


def test_exponents_from_three_sizes_are_in_the_table(
    make_row: Callable[..., Row], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tuple(
        make_row(banks=n, client_seconds=n**0.5, server_seconds=n**1.5, upload_bytes=n**2) for n in (3, 10, 30)
    )
    print_benchmark(Benchmark(rows, (), "", {"processor": "a test", "cores": "2"}), Console(width=100))
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "3 to 30 banks" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == ["masked 8-bit", "3 to 30 banks", "1,000 parameters", "0.50", "1.50", "2.00"]


def test_every_figure_stands_under_its_name(make_row: Callable[..., Row], capsys: pytest.CaptureFixture[str]) -> None:
    figures = {
        "client_seconds": 0.011,
        "server_seconds": 0.022,
        "decode_seconds": 0.033,
        "upload_bytes": 44_000,
        "download_bytes": 55_000,
        "max_abs_error": 6.6e-6,
    }
    row = replace(make_row(**figures), round_seconds_at={"10Mbps": 9.0, "100Mbps": 0.77, "1Gbps": 0.5})
    print_benchmark(Benchmark((row,), (), "", {"processor": "a test", "cores": "2"}), Console(width=140))
    lines = [[cell.strip() for cell in re.split("[│┃]", line)] for line in capsys.readouterr().out.splitlines()]
    (head,) = (line for line in lines if "scheme" in line)
    (cells,) = (line for line in lines if "masked 8-bit" in line)
    assert dict(zip(head, cells, strict=True)) == {
        "": "",
        "scheme": "masked 8-bit",
        "client": "11 ms",
        "server": "22 ms",
        "decode": "33 ms",
        "upload": "44.0 kB",
        "B/param": "44.00",
        "round": "770 ms",
        "x floor": "36.74",
        "download": "55.0 kB",
        "error": "6.6 × 10⁻⁶",
        "peak memory": "50.0 MB",
    }


def test_vanished_banks_are_shown_with_the_servers_time(
    benchmark_of_rows: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    done = replace(benchmark_of_rows.dropouts[0], dropped=1, succeeded=True, server_seconds=0.25, note=None)
    print_benchmark(replace(benchmark_of_rows, dropouts=(done, *benchmark_of_rows.dropouts)), Console(width=100))
    lines = [line for line in capsys.readouterr().out.splitlines() if "3 x 1,000" in line]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert cells == [
        ["masked", "3 x 1,000", "1", "250 ms", "exact sum"],
        ["masked", "3 x 1,000", "2", "", "refused"],
    ]
