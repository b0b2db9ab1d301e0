"""Statements on the law, as data: each with its source, and the date of the text that it relies on."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

_DESCRIBED = "known from descriptions of the text, so compare it"


@dataclass(frozen=True)
class Statement:
    """What an act or a guideline says, in words of ours."""

    act: str
    article: str
    text_of: date
    state: Literal["in force", "draft", "adopted", "guidance"]
    known_from: Literal["the text", "descriptions"]
    says: str

    @property
    def source(self) -> str:
        """Where it comes from, of when, and how far to rely on it."""
        described = f"; {_DESCRIBED}" if self.known_from == "descriptions" else ""
        return f"{self.act}, {self.article}; text of {self.text_of.isoformat()}, {self.state}{described}"


def law(name: str) -> Statement:
    """One statement, by its name in law.toml."""
    return statements()[name]


@cache
def statements() -> Mapping[str, Statement]:
    """All of them, by name."""
    text = files(__package__).joinpath("law.toml").read_text(encoding="utf-8")
    return {name: Statement(**entry) for name, entry in tomllib.loads(text).items()}
