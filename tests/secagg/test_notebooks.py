"""What plans and transcripts show of themselves."""

from __future__ import annotations

import re

import numpy as np
import pytest

from secure_fl.secagg import SCHEMES, plan, simulate
from secure_fl.secagg.notebooks import html_table
from secure_fl.secagg.transcript import Deliveries, Delivery

LINES = Deliveries(
    [
        Delivery(1, 1, "upload", "bank-1", "aggregator", 1_000, "aa"),
        Delivery(1, 1, "upload", "bank-2", "aggregator", 2_500, "bb"),
        Delivery(1, 1, "sum", "aggregator", "bank-1", 70, "cc"),
    ]
)


def cells(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_no_text_is_markup_in_a_table() -> None:
    page = html_table({"<b>name</b>": "<script>", "two": ("&", '"')})
    assert cells(page) == [["&lt;b&gt;name&lt;/b&gt;", "&lt;script&gt;"], ["two", "&amp;", "&quot;"]]
    assert page.count("<table>") == page.count("</table>") == 1


def test_a_transcript_is_shown_by_stage_and_is_still_its_lines() -> None:
    assert repr(LINES) == "Deliveries(3 messages, 3,570 bytes)"
    assert cells(LINES._repr_html_()) == [
        ["upload", "2 messages", "3,500 bytes"],
        ["sum", "1 messages", "70 bytes"],
        ["all", "3 messages", "3,570 bytes"],
    ]
    assert tuple(LINES) == LINES
    assert [line.recipient for line in LINES] == ["aggregator", "aggregator", "bank-1"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_plan_is_one_line_and_a_table_of_its_figures(scheme: str) -> None:
    planned = plan(scheme, 10, 1_000_000, bits=8)
    assert re.fullmatch(
        rf"\w*Plan\(10 banks, 1,000,000 parameters x 8 bits, \d+ for a sum, {planned.upload_bytes:,} bytes up\)",
        repr(planned),
    )
    shown = dict(cells(planned._repr_html_()))
    assert {name.replace(" ", "_") for name in shown} == set(planned.derived())
    assert shown["parameters"] == "1,000,000"
    assert shown["scheme"] == scheme
    assert "float32" in repr(plan("plaintext", 3, 10, bits="float32"))


def test_a_simulation_has_the_lines_of_all_its_messages() -> None:
    done = simulate("masked", np.ones((3, 4), dtype=np.int64))
    assert isinstance(done.transcript, Deliveries)
    assert sum(done.upload_bytes.values()) == sum(d.nbytes for d in done.transcript if d.recipient == "aggregator")
