"""Where names of the package stand in its source, read from the source itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "secure_fl"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_file(module: str) -> Path:
    """Of a module or package of ours, whether it exists or not."""
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def home(full_name: str) -> str | None:
    """The full name at its definition: `secure_fl.secagg.planning.plan` of `secure_fl.secagg.plan`; None: nowhere."""
    for module, names in _splits(full_name):
        if module_file(module).is_file():
            imported = imported_from(module, names[0]) if names else None
            if imported:
                return home(".".join([imported, *names[1:]]))
            return full_name if _line(module, names) is not None else None
    return None


def link_to_code(full_name: str) -> str | None:
    """`repository:FILE#L12` of a name; None where it is nowhere."""
    defined = home(full_name)
    for module, names in _splits(defined or ""):
        path = module_file(module)
        if path.is_file():
            return f"repository:{path.relative_to(ROOT).as_posix()}" + (f"#L{_line(module, names)}" if names else "")
    return None


@cache
def imported_from(module: str, name: str) -> str | None:
    """The full name of what a module of ours imports under a name, from wherever."""
    path = module_file(module)
    if not path.is_file():
        return None
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
    return None


def definitions(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt, str]]:
    """Names that statements define, in order: each with its statement, and the text that explains it."""
    for node, after in pairwise([*body, ast.Pass()]):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node, ast.get_docstring(node) or ""
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, node, _text(after)) for target in targets if isinstance(target, ast.Name))


def _splits(full_name: str) -> Iterator[tuple[str, list[str]]]:
    """Module and the names inside, the longest module first."""
    parts = full_name.split(".")
    if parts[0] == PACKAGE:
        yield from ((".".join(parts[:cut]), parts[cut:]) for cut in range(len(parts), 0, -1))


def _line(module: str, names: list[str]) -> int | None:
    """On which line a name inside a module begins; 1 for the module itself."""
    line, body = 1, tree(module_file(module)).body
    for wanted in names:
        node = next((node for name, node, _ in definitions(body) if name == wanted), None)
        if node is None:
            return None
        line, body = node.lineno, node.body if isinstance(node, ast.ClassDef) else []
    return line


def _text(node: ast.stmt) -> str:
    """Of a statement that is a text by itself."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""
