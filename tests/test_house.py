"""The package as one sees it from the street: few rooms, no circles, and nothing longer than a page."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import pytest

HOUSE = Path(__file__).parents[1] / "secure_fl"
MOST_NAMES, MOST_LINES = 24, 50
"""18 names, and 24 with the rooms of the later parts: robust, scoring, labs, transport, chain and audit."""


def test_the_house_has_few_rooms() -> None:
    names = [path.name for path in HOUSE.iterdir() if not path.name.startswith(("__pycache__", "."))]
    assert len(names) <= MOST_NAMES


def test_no_function_is_longer_than_a_page() -> None:
    functions = (
        (path.relative_to(HOUSE), node)
        for path in HOUSE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lengths = {f"{path}: {node.name}": (node.end_lineno or 0) - node.lineno + 1 for path, node in functions}
    assert len(lengths) > 1_000
    assert {name: lines for name, lines in lengths.items() if lines >= MOST_LINES} == {}


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports, also inside of functions."""
    graph = grimp.build_graph("secure_fl", cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def _reachable(start: str, imports: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_no_module_imports_itself_by_way_of_others(imports: dict[str, set[str]]) -> None:
    assert len(imports) > 200
    assert [module for module in imports if module in _reachable(module, imports)] == []


def test_a_circle_would_be_found() -> None:
    circle = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert [module for module in circle if module in _reachable(module, circle)] == ["a", "b", "c"]
