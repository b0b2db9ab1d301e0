"""The page: complete, self-contained, deterministic, and safe against hostile names."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from jinja2 import UndefinedError

from secure_fl import Experiment
from secure_fl.federation.results import Exhibit, Result, Seconds
from secure_fl.report import exhibit, render
from secure_fl.report import page as page_module
from secure_fl.report.page import bank_results, bank_shares, flatten, settings_by_section
from secure_fl.report.svg import page_style, to_svg
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.settings import Auditing, Robust, Summing
from secure_fl.settings.catalogue import title
from secure_fl.training import fraud_learner
from tests.page_tables import Tables

MakeResult = Callable[..., Result]
Words = Callable[[Result], str]

SECTIONS = ["headline", "learning", "alarms", "banks", "traffic", "time", "custody", "privacy", "exhibit", "rounds"]
SECTIONS += ["repeat", "words"]
HOSTILE = ["<script>alert(1)</script>", "\"'><img src=x>", "$x^2$ {{ 7*7 }}\n\u202e", "bank & Söhne", "銀行"]


class Outline(HTMLParser):
    """Collects what a browser would act on: tags, ids, headings, and whatever could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.loads: list[str] = []
        self.figures: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "srcset", "data"}]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "svg":
            assert attributes["role"] == "img"
            self.figures.append(attributes["aria-label"])


def drawings(page: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        {"banks": 3, "rounds": 1},
        {"banks": 1, "rounds": 2},
        {"banks": 50, "rounds": 30, "drop": ("bank-3", "bank-4", "bank-9")},
        {"banks": 3, "rounds": 4, "plaintext": True},
        {"names": HOSTILE, "rounds": 2, "drop": tuple(HOSTILE[:2])},
    ],
    ids=["one round", "one bank", "many banks", "plaintext", "hostile names"],
)
def test_page_is_whole_and_loads_nothing(make_result: MakeResult, shape: dict[str, object]) -> None:
    page = render(make_result(**shape))
    outline = Outline(page)
    assert [name for name in outline.ids if name in SECTIONS] == SECTIONS
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    assert outline.tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert all(target.startswith("#") and target[1:] in outline.ids for target in outline.loads)
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", page))
    assert "@import" not in page
    assert all(outline.figures)


def test_drawings_are_well_formed_and_follow_the_colours_of_the_page(page: str) -> None:
    found = drawings(page)
    assert len(found) == 2 * 7 + 2
    for drawing in found:
        ElementTree.fromstring(drawing)
        assert not re.search(r"#[0-9a-f]{6}\b", drawing)
        assert "DejaVu" not in drawing


def test_contents_lead_to_sections_that_are_numbered_in_order(page: str) -> None:
    listed = re.findall(r'<li><a href="#([a-z]+)">([^<]*)</a></li>', page)
    assert [name for name, _ in listed] == SECTIONS[1:]
    titles = re.findall(r'<h2 id="([a-z]+)-title"><span [^>]*>(\d+)</span> ([^<]*)</h2>', page)
    assert titles == [(name, str(place), title) for place, (name, title) in enumerate(listed, start=1)]


def test_sections_are_referred_to_by_the_number_that_they_have(page: str) -> None:
    references = re.findall(r'<a href="#([a-z]+)">section (\d+)</a>', page)
    assert references
    assert all(SECTIONS.index(name) == int(number) for name, number in references)


def test_a_section_that_is_not_in_the_contents_is_an_error(
    make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = {name: title for name, title in page_module.SECTIONS.items() if name != "time"}
    monkeypatch.setattr(page_module, "SECTIONS", rest)
    with pytest.raises(UndefinedError, match="time"):
        render(make_result(rounds=1))


def test_false_alarms_stand_beside_what_they_are_out_of(make_result: MakeResult, words: Words) -> None:
    page = " ".join(words(make_result(rounds=2)).split())
    assert "of 85,335 honest transactions; banks alone" in page
    assert "flags 212 of 85,335 honest transactions" in page
    assert "False alarms are out of 85,335 honest transactions" in page


def test_each_bank_has_a_line_with_its_own_model_and_the_common_one(make_result: MakeResult, words: Words) -> None:
    result = make_result(rounds=2)
    cells = {line.bank: line.cells for line in bank_results(result)}
    assert list(cells) == ["bank-1", "bank-2", "bank-3"]
    own = result.local[0].on_test
    assert own is not None
    assert cells["bank-1"] == (
        "0.780", "198", "27,964", "36", f"{own.auprc_by_bank['bank-1']:.3f}",
        f"{result.on_test.auprc_by_bank['bank-1']:.3f}",
    )  # fmt: skip
    assert cells["bank-3"][-2:] == (None, None)
    page = words(result)
    assert page.count('<td><span class="nothing">unknown</span></td>') == 2
    assert "worse for 2, and is level for 0." in " ".join(page.split())
    assert "No bank has both" in words(replace(result, local=()))
    unknown = replace(result, data={}, local=tuple(replace(baseline, on_test=None) for baseline in result.local))
    assert all(line.cells[2:5] == (None, None, None) for line in bank_results(unknown))


@pytest.mark.slow
def test_same_result_gives_the_same_page(page: str, make_result: MakeResult) -> None:
    assert render(make_result(rounds=3)) == page


@pytest.mark.slow
def test_hostile_names_are_shown_and_not_obeyed(make_result: MakeResult) -> None:
    page = render(make_result(names=HOSTILE, rounds=1))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    for drawing in drawings(page):
        ElementTree.fromstring(drawing)


def test_plaintext_is_called_readable(make_result: MakeResult, words: Words) -> None:
    page = words(make_result(rounds=2, plaintext=True))
    assert "This run was not secret." in page
    assert "can read the update of bank-1 bit for bit" in page
    assert "The update as the aggregator reads it" in page
    assert "no quantization" in page


def test_encrypted_run_does_not_claim_proof(make_result: MakeResult, words: Words) -> None:
    page = words(make_result(rounds=2))
    assert "This run was not secret." not in page
    assert "not a proof of secrecy" in page
    assert "Only this sandbox, which plays every party" in page


def test_an_experimental_scheme_is_called_so(make_result: MakeResult, words: Words) -> None:
    page = words(replace(make_result(rounds=1), custody=SCHEMES["rlwe"].custody))
    assert "rlwe is experimental: the arithmetic is our own, and nobody has audited it." in page
    assert "Ring-LWE of our own (experimental), 8 bits" in page
    assert "is experimental" not in words(make_result(rounds=1))


def test_custody_without_entries_is_not_called_safe(make_result: MakeResult, words: Words) -> None:
    silent = Custody("bfv", "Nothing is known.", {"aggregator": ()}, (), (), ())
    page = words(replace(make_result(rounds=1), custody=silent))
    assert "That is not a proof that none exists." in page


def test_bank_that_never_answered_is_listed(make_result: MakeResult, words: Words) -> None:
    assert "2 of 3" in words(make_result(rounds=1, drop=("bank-2",)))


def test_plain_float32_is_the_reference_for_bytes(make_result: MakeResult, words: Words) -> None:
    page = words(replace(make_result(rounds=1), parameters=10_000))
    assert "four bytes for each of 10,000 parameters" in page


@pytest.mark.slow
def test_sparse_data_and_no_baselines_still_make_a_page(make_result: MakeResult) -> None:
    page = render(replace(make_result(rounds=1), data={}, experiment={}, local=()))
    assert "not named" in page


@pytest.mark.slow
def test_round_in_which_nothing_arrived_and_nothing_took_time(make_result: MakeResult) -> None:
    result = make_result(rounds=1)
    silent = replace(
        result.rounds[0], upload_bytes={}, download_bytes={}, max_abs_error=0.0, seconds=Seconds(0.0, 0.0, 0.0, 0.0)
    )
    page = render(replace(result, rounds=(silent,)))
    assert "nothing arrived" in page
    assert "Upload per bank and round" not in page


@pytest.mark.parametrize("message", [b"", b"abc"], ids=["empty", "short"])
def test_tiny_exhibit_can_be_drawn(make_result: MakeResult, words: Words, message: bytes) -> None:
    values = np.zeros(len(message), dtype=np.float32)
    shown = Exhibit("bank-1", values, message, len(message), values)
    page = words(replace(make_result(rounds=1), exhibit=shown))
    assert (f"The first {len(message)} of {len(message)} bytes" in page) == bool(message)
    with page_style():
        for drawing in (exhibit.value_histogram(values, 340), exhibit.byte_histogram(message, 340)):
            ElementTree.fromstring(to_svg(drawing, "tiny", "a histogram"))


def test_each_setting_stands_once_in_its_section_with_what_it_is(make_result: MakeResult, words: Words) -> None:
    given: dict[str, Any] = {"dataset": "rows.csv", "label": "[b]y", "epsilon": 3.0, "delta": 1e-5, "key_check": "ab"}
    resolved = Experiment(**given).model_dump(mode="json", exclude_none=True)
    made = settings_by_section(resolved)
    titles = ["Transactions", "Banks", "Training", "Synthetic fraud", "Differential privacy"]
    titles += [title(Summing), title(Robust), title(Auditing)]
    assert [heading for heading, _ in made] == titles
    places = {name: heading for heading, rows in made for name, _, _ in rows}
    assert sorted(resolved) == sorted(name for _, rows in made for name, _, _ in rows)
    names = ("label", "banks", "seed", "rounds", "synthetic", "epsilon", "scheme")
    assert [places[name] for name in names] == [*titles[:3], *titles[2:-2]]
    assert places["robust"] == titles[-2]
    assert places["audit_groups"] == titles[-1]
    shown = {name: (value, meaning) for _, rows in made for name, value, meaning in rows}
    assert shown["label"] == ("[b]y", "File: the column that is 1 for fraud and 0 otherwise.")
    assert shown["epsilon"] == ("3.0", "What all rounds together may spend; the noise follows from it.")
    rows = Tables(words(replace(make_result(rounds=1), experiment={**resolved, "gone": {"since": 1}}))).rows
    start = rows.index(["Setting", "Value", "What it is"])
    assert rows[start + 1 : start + 3] == [["Transactions"], ["dataset", *shown["dataset"]]]
    assert ["label", *shown["label"]] in rows
    assert rows[rows.index(["Others"]) + 1] == ["gone.since", "1", ""]


def test_settings_are_spelled_as_in_toml() -> None:
    settings = {"seed": 7, "training": {"weighted": True, "layers": [64, 32]}, "out": None, "drop": []}
    assert dict(flatten(settings)) == {
        "seed": "7",
        "training.weighted": "true",
        "training.layers": "64, 32",
        "out": "not set",
        "drop": "none",
    }


def test_shares_count_training_and_test_rows() -> None:
    first = {"train_rows": 2000, "train_frauds": 3, "test_rows": 1000, "test_frauds": 2}
    second = {"train_rows": 700, "train_frauds": 1, "test_rows": 300, "test_frauds": 1}
    shares = bank_shares({"a": first, "b": second})
    assert [(share.bank, share.share) for share in shares] == [("a", "75 %"), ("b", "25 %")]
    assert shares[0].counts == ("2,000", "3", "1,000", "2")


def test_plaintext_without_a_message_is_still_called_not_secret(make_result: MakeResult, words: Words) -> None:
    result = make_result(rounds=1, plaintext=True)
    silent = replace(result.exhibit, message=b"", message_bytes=0, aggregator_reads=None)
    page = words(replace(result, exhibit=silent))
    assert "This run was not secret." in page
    assert "bank-1 dropped out before it sent its update" in page


def test_importing_the_report_does_not_import_matplotlib() -> None:
    code = "import sys, secure_fl.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_columns_and_warnings_of_the_data_are_shown(make_result: MakeResult) -> None:
    columns = {"used": {"fraud": "label", HOSTILE[0]: "number", "age": "number"}, "ignored": ["note", "memo"]}
    result = make_result()
    data = {**result.data, "columns": columns, "warnings": ["the times span <i>one second</i>"]}
    page = " ".join(render(replace(result, data=data)).split())
    shown = re.findall(r"<dt>Columns ([^<]*)</dt><dd>([^<]*)</dd>", page)
    assert shown == [
        ("used as label", "fraud"),
        ("used as number", "&lt;script&gt;alert(1)&lt;/script&gt;, age"),
        ("not used", "note, memo"),
    ]
    assert '<div class="warning"> <p>the times span &lt;i&gt;one second&lt;/i&gt;</p> </div>' in page


@pytest.mark.slow
def test_no_warning_is_shown_where_there_is_none(make_result: MakeResult) -> None:
    result = make_result()
    page = render(replace(result, data={**result.data, "warnings": []}))
    assert '<dl class="pairs" id="columns">' not in page
    assert "the times span" not in page


@pytest.mark.slow
def test_a_run_on_rows_from_python_says_how_it_is_repeated_and_what_was_compared(make_result: MakeResult) -> None:
    result = make_result()
    learner = fraud_learner(0.0, 128, 4)
    closer = replace(result.on_test, auprc_by_bank={})
    mine = replace(
        result,
        experiment={**result.experiment, "dataset": "in-memory"},
        model=replace(result.model, learner=learner),
        on_test=closer,
    )
    page = " ".join(render(mine).split())
    assert "run_federation(Experiment.from_toml(" in page
    assert "secure-fl run DIR/experiment.toml" not in page
    assert "The test transactions are no bank&#39;s own" in page
    assert "The model tells 4 classes apart: each row is asked 4 times whether it is of a class" in page
    usual = render(result)
    assert "classes apart" not in usual
    assert "secure-fl run DIR/experiment.toml" in usual
