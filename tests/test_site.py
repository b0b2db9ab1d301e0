"""The site is built from the pages that are there, works from disk without a network, and has no dead ends."""

from __future__ import annotations

import json
import posixpath
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from docs.site.code_places import home, link_to_code
from docs.site.links import faults
from tests.browser import WIDTHS, needs_browser, running

ROOT = Path(__file__).parents[1]
STEPS = (
    '<!doctype html><html lang="en"><title>Masks</title><h1 id="x">Masks</h1><script>var steps = 3</script></html>\n'
)
LESSON_TEXT = "# 1. A lesson\n\nFor $3 or $4, see [sums](../../docs/scale.md)."
LESSON = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": LESSON_TEXT},
        {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "print(40 + 2)",
         "outputs": [{"output_type": "stream", "name": "stdout", "text": "42\n"}]},
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4, "nbformat_minor": 4,
}  # fmt: skip


def build(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "docs.site", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, with a lesson of this test."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "lessons").mkdir()
    (folder / "lessons" / "01_a_lesson.ipynb").write_text(json.dumps(LESSON), encoding="utf-8")
    done = build(ROOT, "--to", str(folder / "site"), "--lessons", str(folder / "lessons"))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_pages_lessons_steps_and_the_reference_are_there_and_the_start_page_leads_to_them(site: Path) -> None:
    start = text(site / "docs" / "README.html")
    pages = ("README", "examples/README", "examples/labs/README", "examples/lessons/01_a_lesson", "docs/step-by-step")
    for page in pages:
        assert f'href="{posixpath.relpath(f"{page}.html", "docs")}"' in start
        assert (site / f"{page}.html").is_file()
    assert "url=docs/README.html" in text(site / "index.html")
    steps = text(site / "docs/step-by-step.html")
    for path in (site / "docs/step-by-step").iterdir():
        assert f'href="step-by-step/{path.name}"' in steps
        assert path.stat().st_size < 1_000_000
    lesson = text(site / "examples/lessons/01_a_lesson.html")
    assert "42\n" in lesson
    assert "For $3 or $4" in lesson
    assert 'href="../../docs/scale.html"' in lesson


@pytest.mark.slow
def test_docstrings_are_read_as_markdown_and_names_lead_to_their_entry_and_their_code(site: Path) -> None:
    page = text(site / "reference" / "secure_fl.secagg.html")
    assert 'id="secure_fl.secagg.simulation.simulate"' in page
    assert '<span class="pre">updates</span>' in page, "`code` is code"
    assert 'href="secure_fl.html#secure_fl.errors.PlanError"' in page
    assert 'href="../files/secure_fl/secagg/simulation.py.html#L-' in page
    assert 'href="../files/secure_fl/federation/run.py.html"' in text(site / "README.html").replace(
        '"files', '"../files'
    )
    assert "`" not in page.split("<article")[1].split("</article")[0]


def test_names_are_found_where_they_are_defined_and_nowhere_else() -> None:
    assert home("secure_fl.secagg.plan") == "secure_fl.secagg.planning.plan"
    assert home("secure_fl.secagg.simulation.Simulation.names") == "secure_fl.secagg.simulation.Simulation.names"
    assert home("secure_fl.secagg.simulation.PlanError") is None
    assert home("secure_fl.secagg.nowhere") is None
    assert link_to_code("numpy.array") is None
    link = link_to_code("secure_fl.secagg.plan") or ""
    path, _, line = link.removeprefix("repository:").partition("#L")
    assert text(ROOT / path).splitlines()[int(line) - 1].startswith("def plan(")


@pytest.mark.slow
def test_no_link_is_dead(site: Path) -> None:
    assert list(faults(site)) == []


def test_a_dead_link_and_what_comes_from_elsewhere_would_be_found(tmp_path: Path) -> None:
    links = '<p id="here"><a href="#here"></a><a href="a.html#there"></a><a href="b.html"></a>'
    (tmp_path / "a.html").write_text(links, encoding="utf-8")
    (tmp_path / "c.html").write_text(
        '<img src="https://example.org/x.png"><a href="https://example.org">x</a>', "utf-8"
    )
    assert list(faults(tmp_path)) == [
        "a.html: a.html#there: there is no such anchor",
        "a.html: b.html: there is no such file",
        "c.html: https://example.org/x.png: loaded from elsewhere",
    ]


@pytest.fixture
def complaints() -> list[str]:
    """What a browser reports of the pages that it shows."""
    return []


@pytest.fixture
def page(complaints: list[str]) -> Iterator[Page]:
    """A narrow window."""
    with running() as browser:
        shown = browser.new_page(viewport={"width": min(WIDTHS), "height": 800}, color_scheme="dark")
        shown.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("request", lambda asked: None if _is_local(asked.url) else complaints.append(asked.url))
        yield shown


def _is_local(url: str) -> bool:
    return url.startswith(("file:", "data:"))


class TestInABrowser:
    pytestmark = needs_browser

    def test_every_page_opens_from_disk_without_a_complaint_and_fits_a_phone(
        self, site: Path, page: Page, complaints: list[str]
    ) -> None:
        page.goto((site / "index.html").as_uri())
        page.wait_for_url("**/docs/README.html")
        pages = sorted(set(site.rglob("*.html")) - {site / "index.html"})
        assert len(pages) > 200
        for path in pages:
            page.goto(path.as_uri())
            wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
            name = path.relative_to(site).as_posix()
            assert (name, complaints, wide) == (name, [], False)

    def test_search_works_from_disk(self, site: Path, page: Page, complaints: list[str]) -> None:
        page.goto((site / "search.html").as_uri() + "?q=multi-krum")
        page.wait_for_selector('#search-results li a:has-text("Rules that bear poisoned updates")')
        assert complaints == []


@pytest.mark.slow
def test_a_dead_link_a_dead_anchor_a_page_that_nothing_leads_to_and_a_wrong_name_end_the_build(tmp_path: Path) -> None:
    for name in ("secure_fl", "docs", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    with (tmp_path / "docs" / "scale.md").open("a", encoding="utf-8") as page:
        page.write("\n[a](nowhere.md) [b](../README.md#nowhere) [c](../secure_fl/nowhere.py)\n")
    with (tmp_path / "secure_fl" / "errors.py").open("a", encoding="utf-8") as module:
        module.write(
            '\n\ndef planted() -> None:\n    """As {py:class}`secure_fl.errors.NowhereError`, see [d](nowhere.md)."""\n'
        )
    done = build(tmp_path)
    assert done.returncode == 1
    for found in ("nowhere.md", "nowhere'", "../secure_fl/nowhere.py", "secure_fl.errors.NowhereError"):
        assert found in done.stderr
    assert "secure_fl.errors.planted" in done.stderr
