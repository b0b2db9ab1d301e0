"""What the ledgers say on the terminal: every figure of the right bank, set and unit, and every option handed on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from secure_fl.cli.ledger import ledger_app
from secure_fl.data import Simulation, simulate
from secure_fl.errors import ConfigurationError, PrivacyError
from secure_fl.privacy.accounting import SampledGaussian
from secure_fl.privacy.lifetime import Account, LedgerStore, Unit, statement, store
from secure_fl.privacy.lifetime.statement import Spending, print_statement, spending

TABLES = [simulate(Simulation(transactions=1_000, fraud_share=0.02, seed=seed)) for seed in (5, 6)]
EVENT = SampledGaussian(2.0, 0.1, 10)


def added_up(unit: str, events: Sequence[SampledGaussian], delta: float) -> float:
    """Another figure for each unit, each list of events and each delta."""
    return (1 if unit == "row" else 100) * sum(event.steps for event in events) + delta


@pytest.fixture
def filled(ledgers: Path, monkeypatch: pytest.MonkeyPatch) -> LedgerStore:
    """Two banks, two sets of rows, both units; in an order that no sorting makes."""
    monkeypatch.setattr(store, "cost", added_up)
    kept = LedgerStore.of_user()
    releases: list[tuple[str, str, int, Unit, str, float, float | None]] = [
        ("one", "bank-2", 0, "row", "round 0", 1e-5, 50.0),
        ("one", "bank-2", 0, "row", "round 1", 1e-5, 50.0),
        ("two", "bank-1", 1, "bank", "round 1", 1e-6, None),
        ("two", "bank-1", 1, "row", "round 1", 1e-6, 35.0),
        ("six", "bank-2", 0, "row", "round 1", 1e-7, 40.0),
        ("ten", "bank-2", 1, "row", "round 1", 1e-8, None),
    ]
    for run, bank, table, unit, release, delta, limit in releases:
        rows = kept.register(TABLES[table])
        Account(run, bank, rows, unit, delta, limit, kept).enter(release, "", EVENT, repeats=False)
    return kept


def expected(kept: LedgerStore) -> list[Spending]:
    first, second = (kept.register(table) for table in TABLES)
    return [
        Spending("bank-2", first, "row", 2, 3, 30 + 1e-7, 1e-7, 40.0, 40.0 - (30 + 1e-7)),
        Spending("bank-1", second, "bank", 1, 1, 1_000 + 1e-6, 1e-6, None, None),
        Spending("bank-1", second, "row", 1, 1, 20 + 1e-6, 1e-6, 35.0, 35.0 - (20 + 1e-6)),
        Spending("bank-2", second, "row", 1, 1, 20 + 1e-8, 1e-8, None, None),
    ]


def test_every_figure_is_of_its_bank_set_and_unit(filled: LedgerStore) -> None:
    assert list(spending(filled)) == expected(filled)


def test_another_delta_and_another_limit_are_for_all(filled: LedgerStore) -> None:
    rows = list(spending(filled, delta=0.25, limit=25.0))
    assert [(row.epsilon, row.delta, row.limit, row.left) for row in rows] == [
        (30.25, 0.25, 25.0, 0.0),
        (1_000.25, 0.25, 25.0, 0.0),
        (20.25, 0.25, 25.0, 4.75),
        (20.25, 0.25, 25.0, 4.75),
    ]
    assert [row.left for row in spending(filled, limit=0.0)] == [0.0] * 4, "a limit of 0 is a limit"


def said(capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    capsys.readouterr()
    print_statement(**{"as_json": False, "delta": None, "limit": None, "noted": None, **options})
    return capsys.readouterr().out


def test_json_says_all_of_it(filled: LedgerStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(said(capsys, as_json=True)) == {
        "schema": 1,
        "store": str(filled.folder),
        "ledger": {"lines": 6, "head": filled.end.head},
        "banks": [asdict(row) for row in expected(filled)],
    }
    strict = json.loads(said(capsys, as_json=True, delta=0.25, limit=25.0))
    assert strict["banks"] == [asdict(row) for row in spending(filled, 0.25, 25.0)]


def test_an_infinite_epsilon_is_null(filled: LedgerStore, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "cost", lambda *_: math.inf)
        document = said(capsys, as_json=True)
    assert "Infinity" not in document
    assert [row["epsilon"] for row in json.loads(document)["banks"]] == [None] * 4


def test_a_table_has_every_figure_under_its_name(
    filled: LedgerStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _, header, _, *lines = said(capsys).splitlines()
    cells = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in (header, *lines[:4])]
    assert cells[0] == ["bank", "rows", "unit", "runs", "releases", "epsilon for life", "delta", "limit", "left"]
    first, second = (filled.register(table)[:12] for table in TABLES)
    assert cells[1:] == [
        ["bank-2", first, "row", "2", "3", "30.000", "1e-07", "40.000", "10.000"],
        ["bank-1", second, "bank", "1", "1", "1000.000", "1e-06", "-", "-"],
        ["bank-1", second, "row", "1", "1", "20.000", "1e-06", "35.000", "15.000"],
        ["bank-2", second, "row", "1", "1", "20.000", "1e-08", "-", "-"],
    ]
    for name in cells[0][3:]:
        place, width = header.index(name), len(name)
        assert all(line[place + width - 1] != " " for line in lines[:4]), "figures stand under the end of their names"
    assert lines[-1] == f"{filled.folder}: 6 releases; epsilon adds up all runs that share rows, at their delta"


def test_where_nothing_was_spent_there_is_no_table(ledgers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = said(capsys).splitlines()
    assert line.startswith(f"{ledgers}: 0 releases")


def metrics(folder: Path, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "metrics.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_ledgers_that_are_older_than_a_run_are_noticed(
    filled: LedgerStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end = asdict(filled.end)
    said(capsys, noted=metrics(tmp_path / "run", {"privacy": {"ledger": end}}))
    for newer in ({**end, "lines": 7}, {**end, "lines": 5}, {**end, "head": "0" * 64}):
        with pytest.raises(PrivacyError, match="older copy, or was cut"):
            said(capsys, noted=metrics(tmp_path / "run", {"privacy": {"ledger": newer}}))


NO_NOTE: list[object] = [
    {"privacy": None},
    {},
    [],
    "{",
    "[" * 100_000,
    {"privacy": {"ledger": None}},
    {"privacy": {"ledger": {"lines": 1}}},
    {"privacy": {"ledger": {"head": "ab"}}},
    '{"privacy": {"ledger": {"lines": Infinity, "head": "ab"}}}',
    {"privacy": {"ledger": {"lines": "many", "head": "ab"}}},
]


@pytest.mark.parametrize("content", NO_NOTE, ids=lambda content: str(content)[:40])
def test_results_without_a_note_are_named(ledgers: Path, tmp_path: Path, content: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^{tmp_path / 'run'} holds no note of the ledgers; "):
        print_statement(as_json=False, delta=None, limit=None, noted=metrics(tmp_path / "run", content))
    with pytest.raises(ConfigurationError, match="holds no note"):
        print_statement(as_json=False, delta=None, limit=None, noted=tmp_path / "absent")


def test_a_delta_that_means_nothing_is_refused_also_where_nothing_was_spent(ledgers: Path) -> None:
    for delta in (0.0, 1.0, math.nan):
        with pytest.raises(ConfigurationError, match="delta of"):
            print_statement(as_json=True, delta=delta, limit=None, noted=None)


OPTIONS: dict[str, tuple[tuple[str, ...], Any]] = {
    "as_json": (("--json",), True),
    "delta": (("--delta", "0.001"), 0.001),
    "limit": (("--lifetime-epsilon", "2.5"), 2.5),
    "noted": (("--noted", "somewhere"), Path("somewhere")),
}


@pytest.mark.parametrize("given", [(), ("as_json",), ("delta",), ("limit",), ("noted",), tuple(OPTIONS)], ids=str)
@pytest.mark.parametrize("command", [(), ("show",)], ids=str)
def test_the_command_hands_every_option_on_once(
    command: tuple[str, ...], given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(statement, "print_statement", lambda **options: asked.append(options))
    arguments = [part for name in given for part in OPTIONS[name][0]]
    assert CliRunner().invoke(ledger_app, [*command, *arguments]).exit_code == 0
    nothing: dict[str, Any] = {"as_json": False, "delta": None, "limit": None, "noted": None}
    assert asked == [nothing | {name: OPTIONS[name][1] for name in given}]
