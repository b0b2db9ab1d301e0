"""What all pages have in common: the frame, the style, and how numbers are worded.

A page loads nothing: style and pictures are inside it and there is no script. Whatever comes from data (bank names,
file names, settings, what a language model wrote) passes through jinja2's escaping; only pictures that were drawn here
are inserted as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import BaseLoader, Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from secure_fl.report import wording

_SHARED = "secure_fl.report"

FILTERS: Mapping[str, Callable[..., str]] = {
    "bytes": wording.bytes_text,
    "count": wording.count_text,
    "names": wording.names_text,
    "plural": wording.plural,
    "score": wording.score_text,
    "seconds": wording.seconds_text,
    "share": wording.share_text,
    "small": wording.small_text,
}


def fill(
    template: str,
    contents: Mapping[str, str],
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., str]] | None = None,
    package: str = _SHARED,
) -> str:
    """The page of a template, which lies in `package`, as text.

    `contents`: id and title of each section that the page has, in the order in which they are numbered. A section that
    the template makes and that is not among them is an error. A package of its own may have a `style.css` of its own,
    which is added to the shared one.
    """
    return template_of(template, package, filters).render(
        values,
        contents=dict(contents),
        style=Markup(style_of(package)),  # noqa: S704  our own files
    )


def template_of(name: str, package: str, filters: Mapping[str, Callable[..., str]] | None = None) -> Template:
    """A template of a package, or of the shared ones, that escapes what it is given."""
    environment = Environment(
        loader=_loader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({**FILTERS, **(filters or {})})
    return environment.get_template(name)


def style_of(package: str) -> str:
    """What stands between `<style>` and `</style>` in a page of this package, without the line breaks next to them."""
    return "".join(_text(place, "style.css") for place in dict.fromkeys((_SHARED, package)))


def _loader(package: str) -> BaseLoader:
    """Templates of the package, then the shared ones; also from a zip."""

    def load(name: str) -> str | None:
        for place in (package, _SHARED):
            if files(place).joinpath(name).is_file():
                return _text(place, name)
        return None

    return FunctionLoader(load)


def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
