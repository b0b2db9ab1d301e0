"""The table of contents: which pages the site has, in groups, in the order in which they are read.

Whatever is there is listed; a group without a page is left out, and a page that no group names is listed at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

GROUPS = {
    "Start": (
        "README",
        "examples/README",
        "docs/your-model",
        "docs/your-data",
        "docs/encrypted-computing",
        "docs/network",
        "examples/network/README",
        "docs/flower",
        "examples/flower/README",
    ),
    "Teach": ("docs/teaching", "examples/labs/README", "docs/step-by-step", "docs/slides/index", "docs/glossary"),
    "Lessons": ("examples/lessons/README", "examples/lessons/[0-9]*"),
    "Measure": ("docs/claims", "docs/quantization", "docs/where-bytes-go", "docs/scale", "docs/pysyft"),
    "Attacks and privacy": ("docs/attacks", "docs/privacy", "docs/audit", "docs/robust", "docs/poisoning"),
    "Papers beside code": ("docs/papers/index", "docs/papers/*"),
    "Reference": ("docs/settings", "reference/index", "CHANGELOG"),
    "The house": ("docs/architecture", "docs/decisions/*", "CONTRIBUTING"),
    "More": ("docs/**/*", "examples/**/*"),
}
START = "docs/README"
TITLES = {"README": "The README: first steps"}
"""For the table of contents, where a page's own title says too little."""
_SOURCES = (".md", ".ipynb")


def contents(folder: Path) -> str:
    """The groups as Markdown, for the start page of the sources in `folder`."""
    listed = {START}
    parts = []
    for caption, patterns in GROUPS.items():
        pages = [page for page in dict.fromkeys(_matching(folder, patterns)) if page not in listed]
        listed |= set(pages)
        if pages:
            entries = "\n".join(f"{TITLES[page]} </{page}>" if page in TITLES else f"/{page}" for page in pages)
            parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n")
    return "\n".join(parts)


def _matching(folder: Path, patterns: tuple[str, ...]) -> Iterator[str]:
    for pattern in patterns:
        found = {path for suffix in (*_SOURCES, ".rst") for path in folder.glob(pattern + suffix)}
        yield from sorted(path.relative_to(folder).with_suffix("").as_posix() for path in found)
