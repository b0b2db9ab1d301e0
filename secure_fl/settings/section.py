"""What all sections of the settings have in common.

A setting is declared once: its name, type, bounds, default, and the docstring below it, which is the help of the
command line and the text of docs/settings.md. Settings are flat for whoever writes them; a room of the package takes
only the section that it needs, as a type, and mypy holds it to that.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

SectionT = TypeVar("SectionT", bound="Section")


class FilledIn:
    """Marks a setting that a run fills in, so that it repeats; nobody gives it on the command line."""


class Section(BaseModel):
    """Some settings: frozen, typed, and none that is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    def only(self, section: type[SectionT]) -> SectionT:
        """The settings of one section without the others: equal, and of the same repr, whatever the others are."""
        return section(**{name: getattr(self, name) for name in section.model_fields})


class Repeatable(Section):
    """What has a random part, which a seed repeats."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """Repeats the experiment."""
