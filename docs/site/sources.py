"""What Sphinx reads: the repository's pages in a folder of their own, laid out as they are here, and what is made.

So links between pages are the same in both places, and nothing that is made lies among what is kept.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from docs.site.code_places import ROOT
from docs.site.contents import START, contents
from docs.site.reference import rooms
from docs.site.steps import write_steps

PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/**/*.md")
PICTURES = ("docs/**/*.svg", "docs/**/*.png")
LESSONS = "examples/lessons"
STEPS = "docs/step-by-step"
AS_THEY_ARE = ".as-they-are"
"""The folder of what is copied into the site without a change."""


def gather(to: Path, lessons: Path | None) -> None:
    """Fill the folder `to`, which is made anew; `lessons` holds executed notebooks."""
    shutil.rmtree(to, ignore_errors=True)
    for pattern in (*PAGES, *PICTURES):
        for path in ROOT.glob(pattern):
            _copy(path, to / path.relative_to(ROOT))
    for notebook in sorted(lessons.glob("[0-9]*.ipynb")) if lessons else ():
        _copy(notebook, to / LESSONS / notebook.name)
    write_steps(to / AS_THEY_ARE / STEPS, to / f"{STEPS}.md")
    _write_reference(to / "reference")
    start = to / f"{START}.md"
    start.write_text(f"{start.read_text(encoding='utf-8')}\n{contents(to)}", encoding="utf-8")


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def _write_reference(to: Path) -> None:
    to.mkdir(parents=True)
    shown = rooms()
    for room in shown:
        (to / f"{room.name}.rst").write_text(room.page(), encoding="utf-8")
    pages = "\n".join(f"   {room.name}" for room in shown)
    head = "Python\n======\n\nRooms of the package that people use and students read, from their docstrings.\n\n"
    (to / "index.rst").write_text(f"{head}.. toctree::\n   :maxdepth: 1\n\n{pages}\n", encoding="utf-8")
