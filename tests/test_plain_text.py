"""No text of a user is read as markup: every console of the package shows texts as they are."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.table import Table

import secure_fl
from secure_fl.cli.app import main
from secure_fl.cli.progress import show_progress
from secure_fl.progress import plain_console

PACKAGE = Path(secure_fl.__file__).parent
HOME = PACKAGE / "progress.py"
NAME = "[bold]north[/bold] [/] [x] :warning: [link=https://x]y \\[z"


def faults(source: str) -> Iterator[str]:
    """Where a module could have a text read as markup."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func).rpartition(".")[2]
        arguments = {argument.arg: ast.unparse(argument.value) for argument in node.keywords}
        if (
            (called == "Console")
            or (called in ("print", "rprint") and isinstance(node.func, ast.Name))
            or (ast.unparse(node.func) in ("rich.print", "rich.print_json"))
            or (called in ("from_markup", "render_markup"))
            or (called == "TextColumn" and arguments.get("markup") != "False")
            or (called not in ("Console", "TextColumn") and arguments.get("markup", "False") != "False")
            or (called == "print" and arguments.get("emoji", "False") != "False")
        ):
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_module_makes_a_console_of_its_own_or_asks_for_markup(path: Path) -> None:
    found = list(faults(path.read_text(encoding="utf-8")))
    assert len(found) == (1 if path == HOME else 0), f"use plain_console: {found}"


@pytest.mark.parametrize(
    "line",
    [
        "Console().print(name)",
        "rich.console.Console(stderr=True)",
        'print(f"{name}")',
        "rich.print(name)",
        "Text.from_markup(name)",
        "console.print(name, markup=True)",
        "console.print(name, markup=wanted)",
        "console.print(name, emoji=True)",
        'TextColumn("{task.description}")',
    ],
)
def test_what_is_looked_for_is_found(line: str) -> None:
    assert len(list(faults(line))) == 1


def test_a_console_shows_names_as_they_are_wherever_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(NAME, title=f"title {NAME}", caption=f"caption {NAME}", width=200)
    table.add_column(f"head {NAME}")
    table.add_row(NAME, f"cell {NAME}")
    grid = Table.grid()
    grid.add_row(f"grid {NAME}")
    console = plain_console()
    console.width = 200
    console.print(f"line {NAME}")
    console.print(table)
    console.print(grid)
    shown = capsys.readouterr().out
    for place in ("line", "title", "caption", "head", "cell", "grid"):
        assert f"{place} {NAME}" in shown
    plain_console(stderr=True).print(NAME)
    assert capsys.readouterr().err == f"{NAME}\n"


STEERING = "up\x1b[1A\x1b[2K \r\x07\x9b1m \u202egnorw \udcff\x00"
"""A name that hides the line above it, rings, writes from right to left, and is no UTF-8."""


def test_no_text_steers_a_terminal_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(STEERING, title=STEERING, width=200)
    table.add_row(STEERING)
    console = plain_console()
    console.width = 200
    console.print(f"{STEERING}\n\tnext")
    console.print(table)
    shown = capsys.readouterr().out
    assert {each for each in shown if not each.isprintable()} == {"\n"}
    assert shown.count("up\ufffd[1A\ufffd[2K") == 4
    assert "\n        next" in shown


def test_nor_does_what_a_command_says_of_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["secure-fl", "audit", f"runs/{STEERING}".replace("\x00", ""), "--verify"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert said.startswith("error: runs/up\ufffd[1A")
    assert {each for each in said if not each.isprintable()} == {"\n"}


def test_bars_show_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = io.StringIO()
    console = plain_console()
    console.file, console.width = seen, 200
    monkeypatch.setattr("secure_fl.cli.progress.plain_console", lambda stderr: console)
    monkeypatch.setattr(type(console), "is_terminal", property(lambda _: True))
    with show_progress() as progress:
        progress(NAME, 1, 2)
    assert NAME in seen.getvalue()
