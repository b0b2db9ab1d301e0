"""The pages of the reference: one for each room, with its modules in the order of the alphabet.

A name stands where it is defined; a door (`__init__` with an `__all__`) lists what it offers and leads there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.site.code_places import PACKAGE, ROOT, definitions, home, module_file, tree

DOORS = (
    "secure_fl",
    "secure_fl.averaging",
    "secure_fl.secagg",
    "secure_fl.scoring",
    "secure_fl.scoring.descent",
    "secure_fl.attacks",
    "secure_fl.audit",
    "secure_fl.robust",
    "secure_fl.data",
    "secure_fl.settings",
    "secure_fl.labs",
)
WHOLE = ("secure_fl.secagg", "secure_fl.scoring", "secure_fl.robust")
"""Rooms that students read from end to end, with the rooms inside."""
MORE = (
    "secure_fl.codec.quantization",
    "secure_fl.errors",
    "secure_fl.federation.rounds",
    "secure_fl.federation.run",
    "secure_fl.privacy.accounting",
)
SETTINGS = "secure_fl.settings"
"""A room whose classes are shown without their fields: docs/settings.md has them, with bounds and defaults."""


@dataclass(frozen=True)
class Room:
    """A package, and which of its modules are shown."""

    name: str
    modules: tuple[str, ...]

    def page(self) -> str:
        """In reStructuredText, which autodoc speaks."""
        parts = [_title(self.name, "="), f".. automodule:: {self.name}\n"]
        if self.name == SETTINGS:
            parts.append("Every field, with its bounds and default: :doc:`/docs/settings`.\n")
        if self.name in DOORS:
            parts.append(_offers(self.name))
        for module in self.modules:
            parts.append(_title(module.removeprefix(f"{PACKAGE}."), "-"))
            parts += _without_fields(module) if self.name == SETTINGS else _whole(module)
        return "\n".join(parts)


def rooms() -> list[Room]:
    """All of them, those that hold others first."""
    shown = set(MORE) | {module for door in DOORS for module in offered(door).values()}
    for name in WHOLE:
        shown |= {_module(path) for path in module_file(name).parent.rglob("*.py")}
    shown = {name for name in shown if module_file(name).name != "__init__.py"}
    packages = sorted(set(DOORS) | {_room(name) for name in shown})
    return [Room(each, tuple(sorted(name for name in shown if _room(name) == each))) for each in packages]


def offered(door: str) -> dict[str, str]:
    """Name in a door's `__all__` -> module that defines it."""
    body = tree(module_file(door)).body
    (names,) = (node.value for name, node, _ in definitions(body) if name == "__all__" and isinstance(node, ast.Assign))
    found = {name: _room(home(f"{door}.{name}") or "") for name in ast.literal_eval(names) if not name.startswith("__")}
    return {name: module for name, module in sorted(found.items()) if module != door}


def _whole(module: str) -> Iterator[str]:
    """What a module defines for others, in its order: functions, classes, and values that a text explains."""
    doors = {name for door in DOORS for name, defined in offered(door).items() if defined == module}
    members = [
        name
        for name, node, text in definitions(tree(module_file(module)).body)
        if not name.startswith("_") and (text or name in doors or isinstance(node, ast.FunctionDef | ast.ClassDef))
    ]
    yield f".. automodule:: {module}"
    yield f"   :members: {', '.join(dict.fromkeys(members))}\n   :undoc-members:\n" if members else ""


def _without_fields(module: str) -> Iterator[str]:
    yield f".. automodule:: {module}\n"
    for name, node, text in definitions(tree(module_file(module)).body):
        if isinstance(node, ast.ClassDef) and not name.startswith("_"):
            methods = ", ".join(each.name for each in node.body if isinstance(each, ast.FunctionDef))
            yield f".. autoclass:: {module}.{name}\n" + (f"   :members: {methods}\n" if methods else "")
        elif text or name in offered(SETTINGS):
            yield f".. autodata:: {module}.{name}\n"


def _offers(door: str) -> str:
    lines = [".. list-table::", "   :widths: 30 70", "   :class: offers", ""]
    for name, module in offered(door).items():
        text = next(text for each, _, text in definitions(tree(module_file(module)).body) if each == name)
        summary = " ".join(text.split("\n\n")[0].split())
        lines += [f"   * - :py:obj:`~{module}.{name}`", "     - .. markdown-docstring::", "", f"          {summary}"]
    return "\n".join([*lines, ""])


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _room(module: str) -> str:
    return module.rpartition(".")[0]


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
