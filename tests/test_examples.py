"""Every example runs to its end and prints what their page says; each is short, and the page lists them all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import secure_fl
import secure_fl.attacks
import secure_fl.data
import secure_fl.secagg
from benchmarks.examples_page import PAGE, Run, all_examples, comparable, duration, purpose, render, run, sections

EXAMPLES = all_examples()
SECTIONS = sections(PAGE.read_text(encoding="utf-8"))
DOORS = {module.__name__: module for module in (secure_fl, secure_fl.secagg, secure_fl.attacks, secure_fl.data)}
"""Modules whose `__all__` is what people are meant to use."""


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_the_page_says(example: Path, tmp_path: Path) -> None:
    assert comparable(run(example, tmp_path).printed) == comparable(SECTIONS[example.stem])
    assert list(tmp_path.iterdir()) == [], "it keeps nothing"


def test_the_page_lists_every_example_with_its_purpose() -> None:
    assert list(SECTIONS) == [path.stem for path in EXAMPLES]
    page = PAGE.read_text(encoding="utf-8")
    seconds = [limit for path in EXAMPLES for limit in (5, 15, 30, 60) if f"{purpose(path)} | {limit} s |" in page]
    runs = [Run(path, SECTIONS[path.stem], limit) for path, limit in zip(EXAMPLES, seconds, strict=True)]
    assert render(runs) == page


def test_what_may_differ_between_runs_is_left_out_and_nothing_else() -> None:
    assert comparable("bank-1   120,239 bytes, exact\n") == comparable("bank-1 98,001 bytes, exact")
    assert comparable("bank-1 120 bytes, exact") != comparable("bank-2 120 bytes, exact")
    assert comparable("7.848 bytes per parameter") == "7.848 bytes per parameter"
    assert comparable("alone  327  0.59\nepsilon 8.00 at") == "alone  327  0.##\nepsilon 8.00 at"
    assert [duration(seconds) for seconds in (0.1, 5.0, 5.1, 59.0)] == ["5 s", "5 s", "15 s", "60 s"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_lesson_and_no_program(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert f".venv/bin/python examples/{example.name}" in text
    assert purpose(example).endswith(".")


def imported(example: Path) -> Iterator[tuple[str, str]]:
    """What an example takes from this package: module and name."""
    for node in ast.walk(ast.parse(example.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("secure_fl"):
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("number", ["01", "02", "03", "04", "05", "10"])
def test_the_first_examples_need_no_internals(number: str) -> None:
    (example,) = (path for path in EXAMPLES if path.stem.startswith(number))
    taken = list(imported(example))
    assert taken
    for module, name in taken:
        assert module == "secure_fl.errors" or name in DOORS[module].__all__
