"""What a lab is: a file with a weak protocol, loaded by its path.

    TITLE, GOAL       a line each
    instance()        what an eavesdropper sees, as JSON can hold it, and what is to be recovered: a list of integers
    strong()          the same of a protocol without the weakness

Instances are drawn from the operating system's randomness (`secrets`). The hidden numbers of one instance have 40 bits
of entropy or more, also to whoever sees what `strong` shows: `labs.sealing` keeps a commitment that can be searched.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from secure_fl.errors import ConfigurationError

_NAME = re.compile(r"(\d\d)_\w+\.py")


class Instance(NamedTuple):
    """One task."""

    seen: Mapping[str, Any]
    """What the student gets; JSON can hold it."""
    hidden: list[int]
    """What is to be recovered."""


@dataclass(frozen=True)
class Lab:
    """One weak protocol."""

    number: int
    path: Path
    title: str
    goal: str
    instance: Callable[[], Instance] = field(repr=False)
    strong: Callable[[], Instance] = field(repr=False)


def all_labs(folder: Path) -> tuple[Lab, ...]:
    """In the order of their numbers. Raises `ConfigurationError` where the folder has none."""
    files = sorted(path for path in folder.glob("*.py") if _NAME.fullmatch(path.name))
    if not files:
        raise ConfigurationError(f"{folder} holds no labs; name the folder examples/labs of the repository with --labs")
    return tuple(map(_load, files))


def find_lab(folder: Path, number: int) -> Lab:
    """Raises `ConfigurationError` where there is none of this number."""
    labs = {lab.number: lab for lab in all_labs(folder)}
    if number not in labs:
        raise ConfigurationError(f"there is no lab {number}; choose one of {', '.join(map(str, labs))}")
    return labs[number]


def _load(path: Path) -> Lab:
    spec = importlib.util.spec_from_file_location(f"secure_fl_lab_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def made(make: Callable[[], tuple[Mapping[str, Any], list[int]]]) -> Callable[[], Instance]:
        return lambda: Instance(*make())

    return Lab(int(path.name[:2]), path, module.TITLE, module.GOAL, made(module.instance), made(module.strong))
