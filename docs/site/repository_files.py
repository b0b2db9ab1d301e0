"""Links to files and folders of the repository work in the site too: code is shown on a page, all else is copied.

A link such as `../secure_fl/files.py#L12` in a document stands for the file beside the document in the repository. One
to a file that does not exist stays what Sphinx makes of it: a warning, and so an error of the build.
"""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.util.osutil import relative_uri

from docs.site.code_places import ROOT

SCHEME = "repository:"
LEXERS = {".py": "python", ".toml": "toml", "": "text", ".txt": "text"}
"""What is shown on a page."""
_wanted: set[str] = set()


def name_files(app: Sphinx, doctree: nodes.document) -> None:
    """Mark the links of a document to files that are no documents."""
    folder = posixpath.dirname(app.env.docname)
    for node in list(doctree.findall(pending_xref)):
        if node.get("reftype") != "myst" or node.get("refdomain") == "doc":
            continue
        path, _, anchor = node["reftarget"].partition("#")
        inside = posixpath.normpath(posixpath.join(folder, path))
        if path and not inside.startswith("..") and (ROOT / inside).exists():
            uri = f"{SCHEME}{inside}{'#' if anchor else ''}{anchor}"
            node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=uri))


def lead_there(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn the marks into relative addresses, and note what has to be shown or copied."""
    for node in doctree.findall(nodes.reference):
        uri = node.get("refuri", "")
        if uri.startswith(SCHEME):
            path, _, anchor = uri.removeprefix(SCHEME).partition("#")
            node["refuri"] = relative_uri(app.builder.get_target_uri(docname), _address(app, path)) + _line(anchor)


def shown_files(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each file and folder that was linked, and for what linked folders hold."""
    done: set[str] = set()
    while missing := sorted(_wanted - done):
        for path in missing:
            done.add(path)
            if (ROOT / path).is_dir():
                yield _page(path), _context(app, path, _listing(app, path)), "page.html"
            elif _is_shown(path):
                yield _page(path), _context(app, path, _code(app, path)), "page.html"
            else:
                target = Path(app.outdir) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, target)


def _context(app: Sphinx, path: str, body: str) -> dict[str, Any]:
    return {"title": path, "body": f"<h1>{escape(path)}</h1>\n{body}"}


def lean_sidebar(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Beside a file stand the folders around it: the whole table of contents takes longer than the rest of the page."""
    if page.startswith(_page("")):
        context["toctree"] = lambda **_: _folders(app, page)


def _folders(app: Sphinx, page: str) -> str:
    parts = page.removeprefix(_page("")).split("/")[:-1]
    folders = ["/".join(parts[: cut + 1]) for cut in range(len(parts))]
    places = [
        (app.config.html_title, app.config.root_doc),
        *((each, _page(each)) for each in folders if each in _wanted),
    ]
    entry = '<li class="toctree-l1"><a class="reference internal" href="{}">{}</a></li>'
    entries = (entry.format(relative_uri(f"{page}.html", f"{to}.html"), escape(name)) for name, to in places)
    return f"<ul>{''.join(entries)}</ul>"


def _address(app: Sphinx, path: str) -> str:
    """From the root of the site; a notebook stands for the source that it was made of."""
    document = posixpath.splitext(path)[0]
    if path.endswith((".md", ".py", ".ipynb")) and document in app.env.found_docs:
        return app.builder.get_target_uri(document)
    _wanted.add(path)
    return f"{_page(path)}.html" if (ROOT / path).is_dir() or _is_shown(path) else path


def _is_shown(path: str) -> bool:
    return posixpath.splitext(path)[1] in LEXERS


def _page(path: str) -> str:
    return f"files/{path}"


def _line(anchor: str) -> str:
    """GitHub's #L12-L20 is #L-12 here."""
    return f"#L-{anchor[1:].partition('-')[0]}" if anchor else ""


def _code(app: Sphinx, path: str) -> str:
    assert isinstance(app.builder, StandaloneHTMLBuilder)
    shown = app.builder.highlighter.highlight_block(
        (ROOT / path).read_text(encoding="utf-8"), LEXERS[posixpath.splitext(path)[1]], linenos="inline",
        lineanchors="L", anchorlinenos=True,
    )  # fmt: skip
    return f'<div class="file">{shown}</div>'


def _listing(app: Sphinx, path: str) -> str:
    names = sorted(
        each.name
        for each in (ROOT / path).iterdir()
        if not each.name.startswith((".", "__pycache__")) and each.suffix != ".json"
    )
    here = f"{_page(path)}.html"
    rows = [
        f'<li><a href="{relative_uri(here, _address(app, f"{path}/{name}"))}">{escape(name)}</a></li>' for name in names
    ]
    return f"<ul>\n{''.join(rows)}\n</ul>"


def setup(app: Sphinx) -> dict[str, bool]:
    _wanted.clear()
    app.connect("doctree-read", name_files)
    app.connect("doctree-resolved", lead_there)
    app.connect("html-collect-pages", shown_files)
    app.connect("html-page-context", lean_sidebar, priority=100)  # before the theme asks for it
    return {"parallel_read_safe": False, "parallel_write_safe": False}
