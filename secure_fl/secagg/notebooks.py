"""How results show themselves in a notebook: as a small table, in which no text of a user is markup."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def html_table(rows: Mapping[str, str | tuple[str, ...]]) -> str:
    """Names with one value or several beside them."""

    def line(name: str, values: str | tuple[str, ...]) -> str:
        cells = (values,) if isinstance(values, str) else values
        shown = "".join(f'<td style="text-align:left">{escape(value)}</td>' for value in cells)
        return f'<tr><th style="text-align:left">{escape(name)}</th>{shown}</tr>'

    return f"<table>{''.join(line(name, values) for name, values in rows.items())}</table>"
