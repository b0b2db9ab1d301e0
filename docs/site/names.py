"""Names in signatures and docstrings lead somewhere: to their entry in the reference, else to their code.

Those of other packages stay plain, since the site is read without a network. A name of ours that is nowhere stays a
warning, and so an error of the build.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from docs.site.code_places import PACKAGE, home, imported_from, link_to_code


def to_code(app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement) -> nodes.Node | None:
    """A reference to the code of a name without an entry; the name itself where it is another package's."""
    if node.get("refdomain") != "py":
        return None
    target, module = node["reftarget"], node.get("py:module") or ""
    imported = imported_from(module, target)
    if imported and not imported.startswith(f"{PACKAGE}."):
        return shown
    for full_name in (target, f"{module}.{target}", imported or ""):
        if uri := link_to_code(full_name):
            return nodes.reference("", "", shown, internal=True, refuri=uri)
    return None


def link_names(node: nodes.Element, module: str, page: str, parameters: frozenset[str]) -> None:
    """Make references of what a docstring calls by its name in `code`, as its module sees it; not of parameters."""
    room = module.rpartition(".")[0]
    for literal in list(node.findall(nodes.literal)):
        text = literal.astext().removesuffix("()")
        if text in parameters:
            continue
        found = next(filter(None, map(home, (f"{module}.{text}", f"{room}.{text}", text))), None)
        if found and not isinstance(literal.parent, nodes.reference | pending_xref):
            reference = pending_xref("", refdomain="py", reftype="obj", reftarget=found, refdoc=page, refexplicit=True)
            literal.replace_self(reference)
            reference += literal


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("missing-reference", to_code)
    return {"parallel_read_safe": True}
