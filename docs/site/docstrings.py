"""Docstrings of this package are plain text with `code`, which is Markdown and no reST: they are read as such."""

from __future__ import annotations

import inspect
import re
from typing import Any

from docutils import nodes
from myst_parser.config.main import MdParserConfig
from myst_parser.mdit_to_docutils.sphinx_ import SphinxRenderer
from myst_parser.parsers.mdit import create_md_parser
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, new_document

from docs.site.names import link_names

_POWERS = re.compile(r"\*\*(?=[^`]*(?:`[^`]*`[^`]*)*$)")
"""2**k outside of `code` is a power and no bold type."""
FOREIGN = ("pydantic", "sklearn")
"""Packages whose classes ours are made of."""


class MarkdownDocstring(SphinxDirective):
    """Its content, read as Markdown. Names that it is given are parameters, and no names of the package."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        source, _ = self.get_source_info()
        document = new_document(source, self.state.document.settings)
        document.reporter = self.state.document.reporter
        parser = create_md_parser(MdParserConfig(), SphinxRenderer).disable(["html_inline", "html_block"])
        parser.options["document"] = document
        parser.render(_POWERS.sub(r"\\*\\*", "\n".join(self.content)))
        parameters = frozenset(" ".join(self.arguments).split())
        link_names(document, self.env.ref_context.get("py:module", ""), self.env.docname, parameters)
        return list(document.children)


def as_markdown(app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    """Hand the docstring that autodoc found to the directive."""
    if any(lines):
        first = f".. markdown-docstring:: {' '.join(_parameters(documented))}".rstrip()
        lines[:] = [first, "", *(f"   {line}".rstrip() for line in lines), ""]


def _parameters(documented: Any) -> list[str]:
    try:
        return list(inspect.signature(documented).parameters)
    except (TypeError, ValueError):  # no function, and no class that tells
        return []


def is_foreign(app: Sphinx, what: str, name: str, documented: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a class has from another package."""
    home = getattr(documented, "__module__", None)
    return True if isinstance(home, str) and home.partition(".")[0] in FOREIGN else None


def as_settings(
    app: Sphinx, what: str, name: str, documented: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    """The fields of a section of settings are many, and stand on a page of their own."""
    return ("(**settings)", None) if isinstance(documented, type) and issubclass(documented, BaseModel) else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("markdown-docstring", MarkdownDocstring)
    app.connect("autodoc-process-docstring", as_markdown)
    app.connect("autodoc-process-signature", as_settings)
    app.connect("autodoc-skip-member", is_foreign)
    return {"parallel_read_safe": True}
