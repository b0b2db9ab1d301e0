"""`secure-fl bench scoring` as a person meets it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from secure_fl.bench.scoring.benchmark import ScoringBenchmark
from secure_fl.bench.scoring.rows import Row
from secure_fl.bench.scoring.table import peers_markdown, print_benchmark, ratios_markdown
from secure_fl.cli.app import main

Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """`secure-fl bench scoring ARGUMENTS` in this process: status, stdout, stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["secure-fl", "bench", "scoring", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return call


@pytest.mark.slow
def test_quick_measures_all_designs_and_writes_what_scripts_read(bench: Bench, tmp_path: Path) -> None:
    status, out, err = bench("--quick", "--json", tmp_path / "s.json")
    assert status == 0, err
    assert "random 32-16-8-1" in out
    found = json.loads((tmp_path / "s.json").read_text())
    assert (found["schema"], found["command"]) == (1, "secure-fl bench scoring --quick")
    assert [(row["design"], row["model"]) for row in found["rows"]] == [
        (design, model) for model in ("random 32-1", "random 32-16-8-1") for design in ("batched", "hidden", "single")
    ]
    for row in found["rows"]:
        assert row["correct"] is True
        assert row["peer"] is False
        for name in ("seconds_per_row", "upload_bytes_per_row", "key_bytes", "max_abs_error"):
            assert row[name] > 0


def test_a_wrong_file_is_refused_before_anything_is_measured(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secure_fl.bench.scoring.command.run_benchmark", lambda *_: 1 / 0)
    status, out, err = bench("--quick", "--json", "/nowhere/at/all.json")
    assert (status, out) == (2, "")
    assert "cannot be written" in err


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_says_who_is_wrong_missing_or_slower(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"rows": 5, "upload_bytes_per_row": 80_900.0, "key_bytes": 6_000_000, "max_abs_error": 0.4}
    common = {"layout": "single", "model": "a [bold] model"}
    rows = (
        Row(design="single", peer=False, status="measured", correct=True, seconds_per_row=0.002, **common, **figures),  # type: ignore[arg-type]
        Row(design="tenseal-dot-tutorial", peer=True, status="measured", seconds_per_row=0.005, **common, **figures),  # type: ignore[arg-type]
        Row(design="helayers", peer=True, status="not installed", note="not installed: pip install it", **common),  # type: ignore[arg-type]
    )
    print_benchmark(
        ScoringBenchmark(rows, "", {"processor": "a test", "cores": "2"}), Console(width=width, markup=False)
    )
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    assert "a [bold] model" in out
    assert out.count("WRONG") == 1
    assert out.count("right") == 1
    assert "HElayers: not installed: pip install it" in out
    assert "single: 2.5 times as fast as TenSEAL tutorial 1 (tutorial, whose scores are wrong)" in " ".join(out.split())


def test_documents_get_a_line_for_each_of_ours_with_the_tutorial_and_the_best() -> None:
    def ratio(peer: str, against: str, times: float, correct: bool = True) -> dict[str, object]:
        common = {"model": "m", "design": "batched"}
        return common | {"peer": peer, "against": against, "ratio": times, "peer_correct": correct}

    found = ratios_markdown(
        [
            ratio("tenseal-mm-tutorial", "tutorial", 12_345.6, correct=False),
            ratio("tenseal-mm-more-bits", "tutorial", 7.0, correct=False),
            ratio("tenseal-mm", "tutorial", 99.94),
            ratio("helayers-batched", "best peer", 2.126),
        ]
    )
    assert found.splitlines()[2:] == [
        "| m | batched | 12,346 (TenSEAL tutorial 4) | 99.9 (TenSEAL mm, bias as weight) | 2.13 (HElayers, batch) |"
    ]
    assert ratios_markdown([ratio("helayers-batched", "best peer", 2.0)]).splitlines()[2:] == [
        "| m | batched | - | - | 2 (HElayers, batch) |"
    ]


def test_documents_name_rows_by_model_and_layout_and_say_who_is_wrong_or_missing() -> None:
    figures = {"rows": 5, "seconds_per_row": 1.6604, "upload_bytes_per_row": 477_017.4, "key_bytes": 97_400_000}
    measured = {"status": "measured", "max_abs_error": 7.28, "correct": False, **figures}
    single: dict[str, object] = {"model": "m", "layout": "single", "peer": True}
    rows = [
        single | measured | {"design": "tenseal-mm-tutorial"},
        single | {"design": "helayers", "status": "not installed"},
        single | measured | {"design": "single", "peer": False, "correct": True, "key_bytes": 86},
        single | measured | {"design": "single", "model": "another"},
    ]
    assert peers_markdown(rows, ["m"]).splitlines()[2:] == [
        "| m | single | *TenSEAL tutorial 4* | 5 | 1,660 | 477,017 | 97.40 MB | 7.3e+00 | WRONG |",
        "| m | single | *HElayers* | | | | | | not installed |",
        "| m | single | **secure_fl** | 5 | 1,660 | 477,017 | 86 B | 7.3e+00 | right |",
    ]
