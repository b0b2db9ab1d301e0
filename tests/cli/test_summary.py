"""What a command says on the terminal: each figure of whom it names; and how far its work has come."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from secure_fl.cli import progress, summary
from secure_fl.data.metrics import Alerts, OnTest, PrecisionRecall, Scores
from secure_fl.federation.results import Seconds
from secure_fl.report import wording

ROUND = {"contributors": (), "dropped": (), "refused": {}, "attempts": 1, "excluded": (), "byzantine": ()}


def run(banks: int = 2, **parts: Any) -> Any:
    """Two rounds of a run, all of whose figures differ."""
    rounds = [
        SimpleNamespace(
            **ROUND,
            round=n,
            upload_bytes={"bank-1": 1_000 * n, "bank-2": 1_200 * n, "bank-3": 4_800 * n},
            download_bytes={"bank-1": 7_000 * n, "bank-2": 7_100 * n, "bank-3": 9_900 * n},
            seconds=Seconds(train=9.0, client=0.011 * n, server=0.0023 * n, decode=5.0),
        )
        for n in (1, 2)
    ]
    local = [
        SimpleNamespace(
            trained_on=f"bank-{n}", final=Scores(0.1 + n / 1000, 0.2 + n / 1000, 1_000 + n), diverged_in=None
        )
        for n in range(1, banks + 1)
    ]
    central = SimpleNamespace(trained_on="all banks pooled", final=Scores(0.777, 0.888, 99), diverged_in=None)
    reads: Mapping[str, tuple[str, ...]] = {"aggregator": (), "bank": ("its own update", "the mean")}
    whole = {
        "rounds": rounds,
        "final": Scores(0.555, 0.666, 4_321),
        "on_test": OnTest(PrecisionRecall((1.0,), (0.1,), 108, 85_335), {}, Alerts(0.31, 0.36, 3, 0.012, 98.7, 123.4)),
        "local": local,
        "central": central,
        "custody": SimpleNamespace(scheme="masked", can_decrypt=reads),
        "synthetic": None,
        "privacy": None,
        "experiment": {"dataset": "simulated"},
        "model": SimpleNamespace(learner=SimpleNamespace(classes=2)),
        "data": {"source": "a source", "warnings": []},
    }
    return SimpleNamespace(**(whole | parts))


def said(result: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", "200")
    summary.print_summary(result, Path("folder"))
    return [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]


def test_a_run_is_summed_up(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(run(), capsys, monkeypatch)
    for line in (
        "federated 0.555 0.666 4,321 of 85,335",
        "bank-1 alone 0.101 0.201 1,001 of 85,335",
        "bank-2 alone 0.102 0.202 1,002 of 85,335",
        "all banks pooled 0.777 0.888 99 of 85,335",
        "one bank, one round: 2.2 kB up, 14.2 kB down, 22.0 ms; aggregator 4.6 ms",
        "aggregator can read: nothing",
        "bank can read: its own update; the mean",
        "data: a source",
        f"report: {Path('folder') / 'report.html'}",
    ):
        assert line in lines
    assert not any("more banks" in line or "synthetic" in line or "privacy" in line for line in lines)
    assert not any("warning" in line or "experimental" in line for line in lines)


def test_a_scheme_that_nobody_has_audited_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = said(run(custody=SimpleNamespace(scheme="rlwe", can_decrypt={})), capsys, monkeypatch)
    assert "warning: rlwe is experimental: the arithmetic is our own, and nobody has audited it" in lines


def test_a_file_is_told_with_its_columns_and_what_is_odd_about_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"used": {"fraud": "label", "[b]size": "number", "age": "number"}, "ignored": ["note"]}
    data = {"source": "[red]mine.csv", "columns": columns, "warnings": ["the times span [i]one second"]}
    lines = said(run(experiment={"dataset": "mine.csv"}, data=data), capsys, monkeypatch)
    start = lines.index("data: [red]mine.csv")
    assert lines[start : start + 5] == [
        "data: [red]mine.csv",
        "used as label: fraud",
        "used as number: [b]size, age",
        "not used: note",
        "warning: the times span [i]one second",
    ]


def test_what_alerts_are_worth_and_what_is_worth_nothing_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run(banks=3)
    lines = said(made, capsys, monkeypatch)
    for line in wording.worth_of_alerts(made):
        assert line in lines
    assert not any("worse than guessing" in line for line in lines)
    made.local[1] = SimpleNamespace(trained_on="[b]bank", final=Scores(0.0001, 0.2, 9), diverged_in=None)
    (worse,) = [line for line in said(made, capsys, monkeypatch) if "worse than guessing" in line]
    assert worse.startswith(
        "warning: worse than guessing, whose AUPRC is the share of fraud, 0.0013: [b]bank alone (0.0001)"
    )


@pytest.mark.parametrize(("banks", "more"), [(10, None), (11, "... and 1 more banks"), (14, "... and 4 more banks")])
def test_ten_banks_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, banks: int, more: str | None
) -> None:
    lines = said(run(banks), capsys, monkeypatch)
    assert sum(" alone " in line for line in lines) == 10
    assert [line for line in lines if "more banks" in line] == (
        [f"{more} {0.1 + banks / 1000:.3f} {0.2 + banks / 1000:.3f} {1_000 + banks:,} of 85,335"] if more else []
    )


@pytest.mark.parametrize(
    ("review", "words"), [("approved", "approved by review"), ("unreviewed", "NOT all of them reviewed")]
)
def test_synthetic_rows_and_privacy_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, review: str, words: str
) -> None:
    privacy = SimpleNamespace(
        mechanism="dp-sgd",
        epsilon=2.5,
        delta=1e-6,
        unit="transaction",
        lifetime_epsilon={"bank-1": 3.1, "bank-2": 8.2, "bank-3": 5.0},
        notes=("first note", "second note"),
    )
    synthetic = {"rows": {"bank-1": 20, "bank-2": 30}, "patterns": ["a", "b", "c"], "review": review}
    lines = said(run(privacy=privacy, synthetic=synthetic), capsys, monkeypatch)
    for line in (
        f"synthetic fraud: 50 training rows of 3 patterns, {words}",
        "differential privacy (dp-sgd): epsilon 2.500 at delta 1e-06 for each transaction; "
        "baselines are trained without",
        "all runs on the rows of bank-2 together: epsilon 8.200 for life",
        "note: first note",
        "note: second note",
    ):
        assert line in lines


def test_names_of_banks_are_no_markup(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = run()
    made.rounds[0].dropped = ("[red]bank",)
    made.local[1].diverged_in = 3
    lines = said(made, capsys, monkeypatch)
    assert "round 1: [red]bank dropped out" in lines
    diverged = "bank-2, without the others: training diverged in round 3; the model before that stands for it"
    assert [line for line in lines if "diverged" in line] == [diverged]


def test_lines_of_progress_go_to_stderr_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.show_progress() as show:
        show("rows", 2, 6)
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "rows 2/6\n")


def test_a_terminal_gets_a_bar_for_each_kind_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    made: list[Any] = []

    def terminal(stderr: bool) -> Console:
        assert stderr
        return Console(file=screen, force_terminal=True, width=100)

    class Bars(Progress):
        def __init__(self, *columns: Any, **options: Any) -> None:
            super().__init__(*columns, **options)
            made.append(self)

    monkeypatch.setattr(progress, "plain_console", terminal)
    monkeypatch.setattr(progress, "Progress", Bars)
    with progress.show_progress() as show:
        for step in (("rows", 1, 6), ("rows", 3, 6), ("dropouts", 2, 4)):
            show(*step)
    assert [(task.description, task.completed, task.total) for task in made[0].tasks] == [
        ("rows", 3, 6),
        ("dropouts", 2, 4),
    ]


def test_scores_over_several_classes_say_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = said(run(model=SimpleNamespace(learner=SimpleNamespace(classes=4))), capsys, monkeypatch)
    assert any(line.startswith("The model tells 4 classes apart: each row is asked 4 times") for line in lines)
    assert not any("classes apart" in line for line in said(run(), capsys, monkeypatch))
