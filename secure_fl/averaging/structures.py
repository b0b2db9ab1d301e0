"""Updates of any structure <-> the arrays in them.

An update is one array, or a mapping, list or tuple of updates. Each array has a path: the keys and indices that lead to
it, `()` for an update that is one array itself.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, MutableMapping
from typing import Any, TypeAlias

from secure_fl.errors import ConfigurationError

Path: TypeAlias = tuple[Hashable, ...]

_SHOWN = 3
"""Paths that an error lists."""


def arrays_in(update: Any) -> dict[Path, Any]:
    """Every array of an update by its path, in the update's order."""
    if isinstance(update, Mapping):
        parts = list(update.items())
    elif isinstance(update, (list, tuple)):
        parts = list(enumerate(update))
    else:
        return {(): update}
    return {(key, *path): array for key, part in parts for path, array in arrays_in(part).items()}


def rebuilt(update: Any, arrays: Mapping[Path, Any], path: Path = ()) -> Any:
    """A new structure like `update`, of the same containers, that holds `arrays`."""
    if isinstance(update, Mapping):
        # a copy keeps the kind of mapping, and what else it carries: torch puts versions into a state_dict's attributes
        new: MutableMapping[Any, Any] = copy.copy(update) if isinstance(update, MutableMapping) else dict(update)
        new.update({key: rebuilt(part, arrays, (*path, key)) for key, part in update.items()})
        return new
    if isinstance(update, (list, tuple)):
        parts = [rebuilt(part, arrays, (*path, index)) for index, part in enumerate(update)]
        return type(update)(*parts) if hasattr(update, "_fields") else type(update)(parts)
    return arrays[path]


def require_same_paths(row: int, found: Mapping[Path, Any], first: Mapping[Path, Any]) -> None:
    """Raises `ConfigurationError` unless an update holds arrays at the paths at which the first one does."""
    for lacking, what, where in ((first, found, "lacks"), (found, first, "has")):
        others = [path for path in lacking if path not in what]
        if others:
            listed = ", ".join(place(path) or "an array" for path in others[:_SHOWN])
            more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
            raise ConfigurationError(
                f"updates[{row}] {where} {listed}{more}, unlike updates[0]; give updates of one structure"
            )


def place(path: Path) -> str:
    """A path as one would index it: "['fc.weight']", or "" for the update itself."""
    return "".join(f"[{key!r}]" for key in path)
