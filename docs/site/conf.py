"""How Sphinx builds the site; `python -m docs.site` gives it the pages."""

from __future__ import annotations

from pathlib import Path

import secure_fl
from docs.site.code_places import link_to_code

HERE = Path(__file__).parent

project = "secure_fl"
author = "the authors of secure_fl"
project_copyright = "the authors of secure_fl, Apache-2.0"
version = release = secure_fl.__version__
root_doc = "docs/README"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.linkcode",
    "docs.site.docstrings",
    "docs.site.names",
    "docs.site.repository_files",
]

myst_heading_anchors = 4
myst_enable_extensions: list[str] = []
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, str] = {}  # they would come from elsewhere

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
autodoc_default_options = {"no-value": True}
autodoc_typehints = "signature"
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!secure_fl).*\..*")]  # other packages' names

html_theme = "furo"
html_title = f"secure_fl {release}"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # a page that was opened from disk may not fetch the others
html_last_updated_fmt = None
pygments_style, pygments_dark_style = "friendly", "github-dark"


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Where the [source] of an entry leads."""
    return link_to_code(f"{info['module']}.{info['fullname']}") if domain == "py" else None
