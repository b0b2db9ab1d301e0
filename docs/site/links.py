"""Checks a built site: every link and anchor inside leads somewhere, and no page asks for anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("image", "href")}
"""What a browser fetches by itself."""


@dataclass
class Page(HTMLParser):
    """What a page refers to, and what can be referred to on it."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=lambda: {"", "top"})

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if (tag, name) in _LOADED:
                self.loaded.append(value)
            elif (tag, name) == ("a", "href"):
                self.links.append(value)
            if name == "id" or (tag, name) == ("a", "name"):
                self.anchors.add(value)


def faults(site: Path) -> Iterator[str]:
    """`PAGE: LINK: what is wrong`, for all of them."""
    read = cache(_read)
    for path in sorted(site.rglob("*.html")):
        where = path.relative_to(site).as_posix()
        page = read(path)
        yield from (f"{where}: {link}: loaded from elsewhere" for link in page.loaded if _is_outside(link))
        for link in dict.fromkeys((*page.links, *page.loaded)):
            if not _is_outside(link) and not link.startswith(("mailto:", "data:")):
                parts = urlsplit(link)
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                if not target.is_file():
                    yield f"{where}: {link}: there is no such file"
                elif target.suffix == ".html" and unquote(parts.fragment) not in read(target).anchors:
                    yield f"{where}: {link}: there is no such anchor"


def _is_outside(link: str) -> bool:
    return link.startswith(("http:", "https:", "//"))


def _read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page
