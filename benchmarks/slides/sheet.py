"""A slide as SVG: 1600 x 900, light, in attributes that office programs read as browsers do (no styles, no markers)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import atan2, cos, sin
from textwrap import wrap

WIDTH, HEIGHT = 1600, 900
MARGIN = 80
INK, SOFT, RULE, PALE, WHITE = "#1a1d21", "#5a626b", "#c9cfd4", "#f3f6f8", "#ffffff"
ACCENT, WARM, GREEN, SKY = "#0072b2", "#c25100", "#00795a", "#56b4e9"
SANS = "system-ui, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"
MONO = "ui-monospace, Consolas, 'DejaVu Sans Mono', monospace"
SMALLEST = 26
"""Pixels; at 900 to a wall of two metres, letters of four centimetres."""


class Sheet:
    """Parts are drawn in the order in which they are given."""

    def __init__(self, title: str, takeaway: str) -> None:
        self.title, self._takeaway = title, takeaway
        self._parts: list[str] = []
        self.text(MARGIN, 100, title, size=50, weight=600)
        self.line(MARGIN, 786, WIDTH - MARGIN, 786, color=RULE, width=2)
        for place, line in enumerate(wrap(takeaway, 88)):
            self.text(MARGIN, 832 + 40 * place, line, size=30, color=SOFT)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: int = 30,
        color: str = INK,
        anchor: str = "start",
        weight: int = 400,
        mono: bool = False,
    ) -> None:
        family = f' font-family="{MONO}"' if mono else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}" text-anchor="{anchor}" '
            f'font-weight="{weight}"{family}>{escape(words, quote=False)}</text>'
        )

    def box(self, x: float, y: float, width: float, height: float, *, fill: str = PALE, color: str = SOFT) -> None:
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="12" fill="{fill}" stroke="{color}" '
            'stroke-width="2"/>'
        )

    def party(self, x: float, y: float, width: float, height: float, name: str, *lines: str) -> None:
        """A box with a name and what it does."""
        self.box(x, y, width, height)
        self.text(x + 24, y + 48, name, size=34, weight=600)
        for place, words in enumerate(lines, start=1):
            self.text(x + 24, y + 52 + 40 * place, words, size=28, color=SOFT)

    def line(
        self, x: float, y: float, to_x: float, to_y: float, *, color: str = SOFT, width: float = 3, dashed: bool = False
    ) -> None:
        dashes = ' stroke-dasharray="12 9"' if dashed else ""
        self._parts.append(
            f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke="{color}" '
            f'stroke-width="{width:g}"{dashes}/>'
        )

    def arrow(self, x: float, y: float, to_x: float, to_y: float, *, color: str = ACCENT, dashed: bool = False) -> None:
        angle = atan2(to_y - y, to_x - x)
        self.line(x, y, to_x - 18 * cos(angle), to_y - 18 * sin(angle), color=color, width=4, dashed=dashed)
        corners = [(to_x, to_y)]
        corners += [(to_x - 24 * cos(angle + turn), to_y - 24 * sin(angle + turn)) for turn in (-0.42, 0.42)]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
        self._parts.append(f'<polygon points="{points}" fill="{color}"/>')

    def dot(self, x: float, y: float, radius: float, *, fill: str, color: str = WHITE) -> None:
        self._parts.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}" stroke="{color}" stroke-width="3"/>'
        )

    def table(self, top: float, edges: Sequence[float], rows: Sequence[Sequence[str]], *, row: float = 76) -> None:
        """The first row is the head, the last one the sum; numbers end at `edges`, the first column begins at one."""
        for place, cells in enumerate(rows):
            y = top + row * place
            last = place == len(rows) - 1
            if place in (0, len(rows) - 2):
                self.line(MARGIN, y + 26, WIDTH - MARGIN, y + 26, color=RULE if place == 0 else SOFT, width=2)
            for column, (edge, words) in enumerate(zip(edges, cells, strict=True)):
                self.text(
                    edge,
                    y,
                    words,
                    size=28 if place == 0 else 36,
                    color=SOFT if place == 0 else INK,
                    anchor="end" if column else "start",
                    weight=600 if last else 400,
                    mono=bool(place and column),
                )

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img" aria-labelledby="t" font-family="{SANS}">'
        )
        about = f'<title id="t">{escape(self.title, quote=False)}. {escape(self._takeaway, quote=False)}</title>'
        ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{WHITE}"/>'
        return "\n  ".join([head, about, ground, *self._parts]) + "\n</svg>\n"
