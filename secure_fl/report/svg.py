"""From a matplotlib figure to SVG that can stand inside an HTML page.

matplotlib knows fixed colours only. Figures are therefore drawn in sentinel colours, each of which becomes a CSS
variable here, so that one drawing follows the page into dark mode. Text stays text, in the font of the page. Ids
get the figure's own prefix, for they share one document. The same figure always gives the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

INK, SOFT, RULE, PAPER = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
ACCENT, WARM, GREEN, SKY, GREY = "#0a0b05", "#0a0b06", "#0a0b07", "#0a0b08", "#0a0b09"

_VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    ACCENT: "var(--accent)",
    WARM: "var(--warm)",
    GREEN: "var(--green)",
    SKY: "var(--sky)",
    GREY: "var(--grey)",
}
_SENTINEL = re.compile("|".join(_VARIABLES))
_FONT = re.compile(r"\s*font-family:[^;]*;")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.labelcolor": SOFT,
    "axes.linewidth": 1.0,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 11.5,
    "grid.color": RULE,
    "grid.linewidth": 1.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "secure-fl",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": RULE,
    "xtick.labelcolor": SOFT,
    "xtick.major.size": 4.0,
    "ytick.color": RULE,
    "ytick.labelcolor": SOFT,
    "ytick.major.size": 0.0,
}


@contextmanager
def page_style() -> Iterator[None]:
    """The look of every figure. Draw and export inside it; matplotlib's own settings return afterwards."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's browser has its own fonts
        yield


def blank(width: int, height: int) -> Figure:
    """An empty figure of `width` x `height` CSS pixels; font sizes are CSS pixels too."""
    return Figure(figsize=(width / 72, height / 72), layout="constrained")


def to_svg(figure: Figure, prefix: str, label: str) -> Markup:
    """The figure as an `<svg>` element; `label` is what a screen reader says in its place."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314  written by matplotlib just now
    _drop_namespaces(root)
    _drop_parts_for_whole_documents(root)
    _point_into_page(root, prefix)
    view_box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": view_box, "role": "img", "aria-label": label})
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704  ElementTree escapes


def _drop_namespaces(root: ElementTree.Element) -> None:
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}


def _drop_parts_for_whole_documents(root: ElementTree.Element) -> None:
    """Metadata and the `* {...}` style rule belong to a file of their own, not to a page."""
    for child in list(root):
        if child.tag == "metadata" or child.find("style") is not None:
            root.remove(child)


def _point_into_page(root: ElementTree.Element, prefix: str) -> None:
    """Give ids the figure's prefix, drop those that nothing refers to, turn sentinels into CSS variables."""
    targets = set(_referenced(root))
    for element in root.iter():
        attributes = element.attrib
        if attributes.get("id") in targets:
            attributes["id"] = f"{prefix}-{attributes['id']}"
        else:
            attributes.pop("id", None)
        if "href" in attributes:
            attributes["href"] = f"#{prefix}-{attributes['href'][1:]}"
        if "clip-path" in attributes:
            attributes["clip-path"] = _REFERENCE.sub(rf"url(#{prefix}-\1)", attributes["clip-path"])
        if attributes.get("transform", "").startswith("rotate(-0 "):
            del attributes["transform"]
        if "style" in attributes:
            style = _FONT.sub("", attributes["style"])
            attributes["style"] = _SENTINEL.sub(lambda match: _VARIABLES[match[0]], style)
        if "d" in attributes:
            attributes["d"] = " ".join(attributes["d"].split())


def _referenced(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        if "href" in element.attrib:
            yield element.attrib["href"][1:]
        yield from _REFERENCE.findall(element.attrib.get("clip-path", ""))
