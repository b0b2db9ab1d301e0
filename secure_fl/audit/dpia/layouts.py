"""In which order a draft says the same: EDPB's template of 2026, or CNIL's method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Layout: TypeAlias = Literal["edpb", "cnil"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)


@dataclass(frozen=True)
class Chapter:
    """A section of the first level, and the parts in it: number below it -> name of the part."""

    number: str
    title: str
    parts: Mapping[str, str]


@dataclass(frozen=True)
class Order:
    """One layout."""

    after: str
    """What it follows, as a statement of law.toml."""
    added: str
    """What is no part of that."""
    chapters: tuple[Chapter, ...]

    @property
    def parts(self) -> list[str]:
        return [name for chapter in self.chapters for name in chapter.parts.values()]


_EDPB = Order(
    "edpb-template",
    "The sections follow that template; 2.3.f, A, B and C are additions.",
    (
        Chapter(
            "0",
            "Overview",
            {"0.1": "controllers", "0.2": "processors", "0.3": "name", "0.4": "planning", "0.5": "sheet"},
        ),
        Chapter(
            "1",
            "Systematic description of the processing",
            {
                "1.1.a": "data",
                "1.1.b": "purposes",
                "1.1.c": "secondary",
                "1.1.d": "scope",
                "1.2": "flows",
                "1.3": "assets",
                "1.4": "codes",
            },
        ),
        Chapter(
            "2",
            "Analysis of the processing",
            {
                "2.1.a": "basis",
                "2.1.b": "special",
                "2.2.a": "retention",
                "2.2.b": "quality",
                "2.3.a": "principles",
                "2.3.b": "rights",
                "2.3.c": "other",
                "2.3.d": "by-design",
                "2.3.e": "security",
                "2.3.f": "keys",
            },
        ),
        Chapter(
            "3",
            "Necessity and proportionality",
            {"3.1": "by-use", "3.2": "necessity", "3.3": "proportionality"},
        ),
        Chapter(
            "4",
            "Risk assessment and management",
            {
                "4.1.a (1)": "access",
                "4.1.a (2)": "modification",
                "4.1.a (3)": "disappearance",
                "4.1.b": "method",
                "4.1.c": "inherent",
                "4.2.a": "further",
                "4.2.b": "residual",
                "4.2.c": "plan",
            },
        ),
        Chapter("5", "Involvement of interested parties", {"5.1": "officer", "5.2": "views"}),
        Chapter("6", "Conclusion and decision", {"6.1": "decision"}),
    ),
)
_CNIL = Order(
    "cnil",
    "The sections follow that method; A, B and C are additions.",
    (
        Chapter(
            "1",
            "Study of the context",
            {
                "1.1 (1)": "name",
                "1.1 (2)": "controllers",
                "1.1 (3)": "processors",
                "1.1 (4)": "planning",
                "1.1 (5)": "sheet",
                "1.1 (6)": "codes",
                "1.2 (1)": "data",
                "1.2 (2)": "scope",
                "1.2 (3)": "flows",
                "1.2 (4)": "assets",
            },
        ),
        Chapter(
            "2",
            "Study of the fundamental principles",
            {
                "2.1 (1)": "purposes",
                "2.1 (2)": "secondary",
                "2.1 (3)": "basis",
                "2.1 (4)": "special",
                "2.1 (5)": "retention",
                "2.1 (6)": "quality",
                "2.1 (7)": "necessity",
                "2.1 (8)": "proportionality",
                "2.2 (1)": "rights",
                "2.2 (2)": "other",
            },
        ),
        Chapter(
            "3",
            "Study of the risks",
            {
                "3.1 (1)": "principles",
                "3.1 (2)": "by-design",
                "3.1 (3)": "security",
                "3.1 (4)": "keys",
                "3.2 (1)": "access",
                "3.2 (2)": "modification",
                "3.2 (3)": "disappearance",
                "3.2 (4)": "by-use",
                "3.2 (5)": "method",
                "3.2 (6)": "inherent",
            },
        ),
        Chapter(
            "4",
            "Validation",
            {
                "4.1 (1)": "further",
                "4.1 (2)": "residual",
                "4.1 (3)": "plan",
                "4.1 (4)": "officer",
                "4.1 (5)": "views",
                "4.2": "decision",
            },
        ),
    ),
)
ORDERS: Mapping[Layout, Order] = {"edpb": _EDPB, "cnil": _CNIL}
