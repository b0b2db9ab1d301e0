"""No value of a row is in any file of a run or of its draft, whatever encoding; and names stay names."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from secure_fl import Experiment, run_federation
from secure_fl.audit.dpia import Facts, draft_of, read_facts, to_markdown
from secure_fl.audit.dpia.command import run_command
from secure_fl.audit.dpia.page import render
from secure_fl.audit.dpia.tree import shown
from tests.report.test_record_of_runs import NUMBERS, TEXTS, canaries_in, table_with_canaries

COLUMNS = {"amount": "amount|<b>x</b>", "customer": "`cust*omer*`", "category": "[kind](http://127.0.0.1:9)"}
"""Names that mean something in Markdown or HTML, in the place of plain ones."""
HOSTILE = (
    *COLUMNS.values(),
    "# heading",
    "- entry",
    "1. entry",
    "> quote",
    "***",
    "<script>alert(1)</script>",
    "&lt;b&gt;",
    "a\\|b",
    "~~gone~~",
    "_x_ and __y__",
    "https://127.0.0.1:9/x",
    "www.example.org",
    "two\nlines\r\n\r\n# three",
    "tab\there",
    "\N{RIGHT-TO-LEFT OVERRIDE}turned",
    "![image](x)",
    "<!-- -->",
    "= = =",
    "\x00",
    " ",
)


def in_any_encoding(content: bytes) -> set[object]:
    """Canaries as text, as numbers, in UTF-16, hexadecimal, Base64, and as JSON or a page escapes them."""
    found = canaries_in(content)
    for text in TEXTS:
        data = text.encode()
        forms = [text.encode("utf-16-le"), text.encode("utf-16-be"), data.hex().encode(), data.hex().upper().encode()]
        forms += [
            data[::-1],
            text.upper().encode(),
            text.replace("-", "\\-").encode(),
            text.replace("-", "&#45;").encode(),
        ]
        forms += [base64.b64encode(bytes(skipped) + data)[4:-4] for skipped in range(3)]
        if any(form in content for form in forms):
            found.add(text)
    return found


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table with canaries and odd names of columns, and its draft."""
    folder = tmp_path_factory.mktemp("own")
    table = table_with_canaries(folder / "table.csv")
    head, _, rows = table.read_text().partition("\n")
    table.write_text(",".join(COLUMNS.get(name, name) for name in head.strip().split(",")) + "\n" + rows)
    experiment = Experiment(
        dataset=str(table),
        scheme="masked",
        rounds=1,
        label="fraud",
        time="time",
        amount=COLUMNS["amount"],
        categorical=(COLUMNS["category"],),
        identifiers=(COLUMNS["customer"], "terminal"),
    )
    run = run_federation(experiment).save(folder / "run")
    run_command(run)
    return run


@pytest.mark.slow
def test_no_value_of_a_row_is_in_any_file_of_a_run_and_its_draft(drafted: Path) -> None:
    files = [path for path in drafted.rglob("*") if path.is_file()]
    names = {path.relative_to(drafted).as_posix() for path in files}
    assert names > {"dpia/dpia.md", "dpia/dpia.html", "dpia/dpia.json", "dpia/model-card.md", "record.jsonl"}
    assert {path.name: found for path in files if (found := in_any_encoding(path.read_bytes()))} == {}
    assert in_any_encoding((drafted.parent / "table.csv").read_bytes()) == {*TEXTS, *NUMBERS}, "the search finds them"
    for form in (
        TEXTS[0].encode("utf-16-le"),
        TEXTS[0].encode().hex().encode(),
        base64.b64encode(b"x" + TEXTS[0].encode()),
    ):
        assert in_any_encoding(form) == {TEXTS[0]}


@pytest.mark.slow
def test_a_draft_names_columns_but_no_path(drafted: Path) -> None:
    document = (drafted / "dpia" / "dpia.md").read_text(encoding="utf-8")
    assert "terminal" in document
    assert "The rows were the user's own" in document
    assert "no row of a real person" not in document
    assert "Federation key of pseudonyms" in document
    for path in (drafted / "dpia").iterdir():
        assert str(drafted.parent) not in path.read_text(encoding="utf-8")


def with_columns(facts: Facts, names: tuple[str, ...]) -> Facts:
    data = facts.metrics["data"] | {"columns": {"used": dict.fromkeys(names, "category"), "ignored": list(names)}}
    return replace(facts, metrics={**facts.metrics, "data": data})


def tokens(markdown: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        yield token
        yield from token.children or ()


def test_names_stay_text_in_markdown(facts: Facts) -> None:
    plain, hostile = (to_markdown(draft_of(with_columns(facts, n)).document) for n in (("x",), HOSTILE))
    kinds = {token.type for token in tokens(plain)}
    assert {"table_open", "blockquote_open", "strong_open", "heading_open", "bullet_list_open"} < kinds
    assert {token.type for token in tokens(hostile)} == kinds, "no link, code, HTML, image or rule came of a name"
    counted = [sum(t.type == kind for t in tokens(plain)) for kind in ("heading_open", "strong_open", "em_open")]
    assert counted == [
        sum(t.type == kind for t in tokens(hostile)) for kind in ("heading_open", "strong_open", "em_open")
    ]
    cells = {token.content for token in tokens(hostile) if token.type == "inline"}
    texts = {"".join(child.content for child in t.children or ()) for t in tokens(hostile) if t.type == "inline"}
    assert cells
    assert [name for name in HOSTILE if shown(name) not in texts] == []
    assert "http://127" not in hostile, "nor one that a reader's program makes a link of by itself"
    assert "https://127" not in hostile
    assert "www.example" not in hostile


def test_names_stay_text_in_the_page(facts: Facts) -> None:
    class Page(HTMLParser):
        def __init__(self, page: str) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.texts: set[str] = set()
            self.feed(page)

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)

        def handle_data(self, data: str) -> None:
            self.texts.add(data)

    plain, hostile = (Page(render(draft_of(with_columns(facts, n)).document)) for n in (("x",), HOSTILE))
    assert set(hostile.tags) == set(plain.tags)
    assert not {"script", "b", "img", "iframe"} & set(hostile.tags)
    assert [name for name in HOSTILE if shown(name) not in hostile.texts] == []


def test_a_name_is_shown_on_one_line_and_in_one_direction() -> None:
    assert shown("two\nlines\r\n# three") == "two lines # three"
    assert shown("\N{RIGHT-TO-LEFT OVERRIDE}x\x00") == "\N{REPLACEMENT CHARACTER}x\N{REPLACEMENT CHARACTER}"
    assert shown(" \t") == "(no name)"


def audited(banks: tuple[str, ...], scheme: str, model: str) -> dict[str, Any]:
    """An audit whose groups are called by a value of a row."""
    gap = {"column": "category", "group": TEXTS[2], "rate": "recall", "gap": -0.25, "interval": [-0.3, -0.2]}
    return {
        "banks": list(banks),
        "scheme": scheme,
        "model_sha256": model,
        "test_rows": 1800,
        "shap": {"features": ["amount: log", "category"], "groups": {"category": {TEXTS[2]: {}}}},
        "fairness": {
            "columns": {"category": {TEXTS[2]: {"rows": 40}}},
            "worse": [gap],
            "failed": [],
            "max_gap": 0.3,
        },
    }


def test_names_of_groups_which_can_be_values_are_in_no_draft(copy: Path) -> None:
    facts = read_facts(copy)
    made = audited(facts.banks, "plaintext", facts.rounds[-1]["model_sha256"])
    (copy / "audit").mkdir()
    (copy / "audit" / "audit.json").write_text(json.dumps(made), encoding="utf-8")
    run_command(copy)
    document = (copy / "dpia" / "dpia.md").read_text(encoding="utf-8")
    assert "Compared by category on 1,800 test rows: groups worse off, beyond chance, in 1 gap, the largest" in document
    assert "0.250; a gap of 0.3 was allowed" in document
    assert "first: amount: log, category" in document
    assert "audit/audit.json: made later, and in no record" in document
    assert {
        path.name: found for path in (copy / "dpia").iterdir() if (found := in_any_encoding(path.read_bytes()))
    } == {}
