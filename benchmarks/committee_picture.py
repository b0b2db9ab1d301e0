"""docs/committees.svg: what a scheme costs a bank, beside whom one must trust. A row each, narrow enough for a phone.

`python -m benchmarks.committees` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.committee_trust import NOBODY, Trust

WIDTH, TOP, ROW, FOOT = 440, 74, 52, 22
SIZE = 14
MIDDLES = (274, 338, 402)
_DECADE, _LABELLED = 28, 3
"""The middles of the columns of trust."""
_STYLE = """
    .text { fill: #1f2328; } .name { fill: #1f2328; font-weight: 600; } .small { fill: #57606a; font-size: 13px; }
    .alarm { fill: #a83d00; font-weight: 600; } .line { stroke: #d0d7de; } .ours { fill: #0969da; }
    .theirs { fill: #57606a; }
    @media (prefers-color-scheme: dark) {
      .text, .name { fill: #e6edf3; } .small { fill: #9da7b1; } .alarm { fill: #f0914a; }
      .line { stroke: #3d444d; } .ours { fill: #58a6ff; } .theirs { fill: #9da7b1; }
    }
"""


@dataclass(frozen=True)
class Line:
    name: str
    milliseconds: float
    bytes_each: float
    trust: Trust
    ours: bool = True


@dataclass(frozen=True)
class Scale:
    """Powers of ten from `left` on, and the number itself that ends at `right`."""

    title: tuple[str, str]
    left: int
    right: int
    decades: int

    def x(self, value: float) -> float:
        return self.left + _DECADE * min(max(math.log10(value), 0), self.decades)


MILLISECONDS = Scale(("a bank,", "ms"), 6, 128, 3)
BYTES = Scale(("upload, bytes", "a parameter"), 148, 240, 2)
HEADS = (("may be", "silent"), ("must", "collude"), ("must help", "a liar"))


def draw(lines: Sequence[Line], described: str) -> str:
    """The text of an SVG file; `described` is for whoever has it read to them."""
    bottom = TOP + ROW * len(lines)
    parts = [_text("text", 0, 16, "Cost"), _text("text", MIDDLES[0] - 24, 16, "Trust: how many holders")]
    for scale in (MILLISECONDS, BYTES):
        parts += _scale(scale, bottom)
    for middle, head in zip(MIDDLES, HEADS, strict=True):
        parts += [_text("small", middle, 40 + 17 * place, words, "middle") for place, words in enumerate(head)]
    for place, line in enumerate(lines):
        parts += _row(line, TOP + ROW * place)
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + FOOT}" width="{WIDTH}" role="img" '
        f'aria-labelledby="t" font-family="system-ui, sans-serif" font-size="{SIZE}">\n'
        f'  <title id="t">{escape(described)}</title>\n  <style>{_STYLE}  </style>\n  {body}\n</svg>\n'
    )


def describe(lines: Sequence[Line], what: str) -> str:
    """All that the picture shows of sums of `what`."""
    return f"{what}. {'; '.join(map(_said, lines))}."


def _scale(scale: Scale, bottom: int) -> list[str]:
    parts = [_text("small", scale.left - 6, 40 + 17 * place, words) for place, words in enumerate(scale.title)]
    return parts + [
        _text("small", scale.x(10**power), bottom + 12, f"{10**power:,}", "middle" if power else "start")
        for power in range(_LABELLED)
    ]


def _row(line: Line, y: int) -> list[str]:
    parts = [_line(0, y - 6, WIDTH, y - 6), _text("name", 0, y + 11, line.name)]
    if not line.trust.of_holders:
        parts.append(_text("small", MIDDLES[0] - 24, y + 11, "of banks; it has no holders"))
    kind, trust = ("ours" if line.ours else "theirs"), line.trust
    for scale, value in ((MILLISECONDS, line.milliseconds), (BYTES, line.bytes_each)):
        x = scale.x(value)
        parts += [_line(scale.x(10**power), y + 18, scale.x(10**power), y + 38) for power in range(scale.decades + 1)]
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y + 28}" r="5"/>')
        parts.append(_text("text", scale.right, y + 33, _number(value), "end"))
    for middle, words in zip(MIDDLES, (trust.silent, trust.colluding, trust.helping), strict=True):
        parts.append(_text("alarm" if words == NOBODY else "text", middle, y + 33, words, "middle"))
    return parts


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<line class="line" x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}"/>'


def _text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def _said(line: Line) -> str:
    trust = line.trust
    return (
        f"{line.name}: {_number(line.milliseconds)} ms, {_number(line.bytes_each)} bytes a parameter; of "
        f"{'holders' if trust.of_holders else 'banks'}, {trust.silent} may be silent, {trust.colluding} must collude, "
        f"{trust.helping} must help a liar"
    )
