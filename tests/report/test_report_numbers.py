"""Every number of a run's page, recomputed from the result; no two figures of that result are alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from secure_fl.data.metrics import Scores
from secure_fl.federation.results import Result, Seconds
from secure_fl.privacy.spent import BankPrivacy, Privacy
from secure_fl.report import exhibit, figures, wording
from secure_fl.report.page import key_figures
from secure_fl.report.pictures import (
    _describe_bytes,
    _describe_curves,
    _describe_quality,
    _describe_seconds,
)
from secure_fl.report.promise import epsilon_text, life_text, promise_of, spending
from secure_fl.report.svg import ACCENT, GREY, WARM
from tests.page_tables import Tables

MakeResult = Callable[..., Result]
Words = Callable[[Result], str]
BANKS = ("bank-1", "bank-2", "bank-3")

PRIVACY = Privacy(
    mechanism="dp-sgd",
    epsilon=2.5,
    delta=2e-6,
    unit="transaction",
    neighbours="one row more",
    accountant="prv",
    banks=tuple(
        BankPrivacy(name, 2.1 + n / 10, 0.9 + n / 100, 0.02 + n / 1000, 1_300 + n) for n, name in enumerate(BANKS)
    ),
    statistics_noise_multiplier=7.5,
    epsilon_by_accountant={"prv": 2.5, "pld": 2.4001, "rdp": 3.2},
    not_covered=("the count",),
    notes=("a note",),
    lifetime_epsilon={"bank-1": 4.1, "bank-2": 9.2, "bank-3": 5.3},
)


@pytest.fixture
def result(make_result: MakeResult) -> Result:
    """Three rounds, whose worst is the second; nothing is the same twice."""
    made = make_result(rounds=3)
    rounds = tuple(
        replace(
            record,
            auprc=0.501 + 0.1 * n,
            roc_auc=0.902 + 0.01 * n,
            upload_bytes={bank: 10_000 + 1_000 * n + 100 * place for place, bank in enumerate(BANKS)},
            download_bytes={bank: 50_000 + 3_000 * n + 70 * place for place, bank in enumerate(BANKS)},
            max_abs_error=(3e-5, 9e-5, 0.0)[n],
            quantization_step=(1e-5, 2e-5, 4e-5)[n],
            clipped_fraction=(0.011, 0.022, 0.033)[n],
            epsilon=0.7 + 0.9 * n,
            seconds=Seconds(train=0.5 + n, client=0.012 + n / 1e3, server=0.003 + n / 1e4, decode=0.0061 + n / 1e5),
        )
        for n, record in enumerate(made.rounds)
    )
    local = tuple(
        replace(baseline, final=Scores(auprc, 0.9, alarms), auprc_by_round=(0.1, 0.2 + n / 10, auprc))
        for n, (baseline, auprc, alarms) in enumerate(zip(made.local, (0.31, 0.29, 0.33), (500, 900, 400), strict=True))
    )
    central = replace(made.central, final=Scores(0.777, 0.95, 111), auprc_by_round=(0.4, 0.6, 0.777))
    return replace(made, rounds=rounds, local=local, central=central, final=Scores(0.701, 0.922, 2_212))


@pytest.fixture
def private(result: Result) -> Result:
    return replace(result, privacy=PRIVACY, experiment={**result.experiment, "epsilon": 3.0, "lifetime_epsilon": 11.0})


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", " ", page, flags=re.DOTALL)).split())


def test_the_headline_compares_each_figure_with_its_own_kind(result: Result, private: Result) -> None:
    float32 = 4 * result.parameters
    shown = {figure.name: (figure.value, figure.beside) for figure in key_figures(result, float32)}
    assert shown == {
        "AUPRC, federated model": ("0.701", "banks alone 0.290 to 0.330; pooled 0.777"),
        "False alarms at 80 % recall": ("2,212", "of 85,335 honest transactions; banks alone 400 to 900; pooled 111"),
        "Fraud among 100 alerts a day": ("31 %", "a perfect ranking: 36 %; mean of 3 days"),
        "Upload per bank and round": ("11.1 kB", f"{11_100 / float32:.2f} × plain float32; download 53.1 kB"),
        "Largest error of the mean": ("9.0 × 10⁻⁵", "4.5 × the quantization step, in round 2"),
    }
    shown = {figure.name: (figure.value, figure.beside) for figure in key_figures(private, float32)}
    assert shown["AUPRC, federated model"][1] == "without privacy: banks alone 0.290 to 0.330; pooled 0.777"
    assert shown["False alarms at 80 % recall"][1].startswith("of 85,335 honest transactions; without privacy: ")
    assert shown["Epsilon of each transaction"] == ("2.500", "at delta 2e-6; this run may spend 3")


def test_what_alerts_are_worth_is_said_with_what_it_is_out_of(result: Result, words: Words) -> None:
    sentences = [
        "Of the 100 test transactions of a day that score highest, 31 % are fraud, the mean of 3 days; a perfect "
        "ranking reaches 36 %.",
        "To find 80 % of the fraud, 1.2 % of the transactions are flagged, among them 2,212 of 85,335 honest ones.",
        "The frauds among these are worth 9,870.50 of 12,340.00, in the unit of the amounts.",
    ]
    assert wording.worth_of_alerts(result) == sentences
    assert " ".join(sentences) in text_of(words(result))
    assert result.on_test.alerts is not None
    alerts = replace(result.on_test.alerts, alert_days=1, amount_saved=None, amount_of_fraud=None)
    one_day = replace(result, on_test=replace(result.on_test, alerts=alerts))
    said = wording.worth_of_alerts(one_day)
    assert len(said) == 2
    assert said[0].startswith("Of the 100 test transactions that score highest, 31 % are fraud; a perfect")
    shown = {figure.name: figure.beside for figure in key_figures(one_day, 1)}
    assert shown["Fraud among 100 alerts"] == "a perfect ranking: 36 %"
    assert "all test transactions count as one day" in text_of(words(one_day))
    unknown = replace(result, on_test=replace(result.on_test, alerts=None))
    assert wording.worth_of_alerts(unknown) == []
    assert not any("alerts" in figure.name for figure in key_figures(unknown, 1))
    assert "100 alerts" not in text_of(words(unknown))
    assert "alert_rate" not in unknown.metrics()["final"]


def test_a_model_that_is_worse_than_guessing_is_named(result: Result, words: Words) -> None:
    assert wording.worse_than_guessing(result) is None
    assert "worse than guessing" not in words(result)
    guessing = result.on_test.curve.guessing
    local = (replace(result.local[0], final=Scores(guessing, 0.5, 1)), *result.local[1:])
    assert wording.worse_than_guessing(replace(result, local=local)) is None, "guessing is no worse than guessing"
    bad = Scores(guessing / 2, 0.4, 70_000)
    local = (local[0], replace(result.local[1], final=bad), local[2])
    line = "worse than guessing, whose AUPRC is the share of fraud, 0.0013: bank-2 alone (0.00063)"
    assert line in str(wording.worse_than_guessing(replace(result, local=local)))
    assert line in text_of(words(replace(result, local=local)))
    all_bad = replace(result, final=bad, central=replace(result.central, final=bad))
    assert "federated (0.00063), all banks pooled (0.00063)" in str(wording.worse_than_guessing(all_bad))


def test_an_error_of_zero_is_an_error_that_is_known(result: Result) -> None:
    exact = replace(result, rounds=tuple(replace(record, max_abs_error=0.0) for record in result.rounds))
    assert key_figures(exact, 1)[-1].value == "0"
    withheld = replace(result, rounds=tuple(replace(record, max_abs_error=None) for record in result.rounds))
    assert key_figures(withheld, 1)[-1].name == "Upload per bank and round"


def test_each_round_and_bank_has_its_own_figures_in_its_row(private: Result, words: Words) -> None:
    page = words(private)
    rows = Tables(page).rows
    place = rows.index(
        ["Round", "Banks in the sum", "Dropped", "AUPRC", "ROC AUC", "Upload, all banks", "Clipped values",
         "Largest error", "Quantization step", "Epsilon so far"]
    )  # fmt: skip
    assert rows[place + 1 : place + 4] == [
        ["1", "3 of 3", "none", "0.501", "0.902", "30.3 kB", "1.1 %", "3.0 × 10⁻⁵", "1.0 × 10⁻⁵", "0.700"],
        ["2", "3 of 3", "none", "0.601", "0.912", "33.3 kB", "2.2 %", "9.0 × 10⁻⁵", "2.0 × 10⁻⁵", "1.600"],
        ["3", "3 of 3", "none", "0.701", "0.922", "36.3 kB", "3.3 %", "0", "4.0 × 10⁻⁵", "2.500"],
    ]
    place = rows.index(["Bank", "Noise multiplier", "Sample rate", "Steps", "Epsilon", "For life"])
    assert rows[place + 1 : place + 4] == [
        ["bank-1", "0.9", "0.02", "1,300", "2.100", "4.100"],
        ["bank-2", "0.91", "0.021", "1,301", "2.200", "9.200"],
        ["bank-3", "0.92", "0.022", "1,302", "2.300", "5.300"],
    ]
    place = rows.index(["Accountant", "What it adds up", "Epsilon"])
    assert [(row[0], row[2]) for row in rows[place + 1 : place + 4]] == [
        ("prv", "2.500"),
        ("pld", "2.401"),
        ("rdp", "3.200"),
    ]
    place = rows.index(["Bank", "Share of all", "To train on", "Frauds", "To test on", "Frauds"])
    total = sum(66_900 - 900 + 900 * n + 28_000 for n in range(3))
    assert rows[place + 1 : place + 4] == [
        [bank, wording.share_text((66_000 + 900 * n + 28_000) / total), f"{66_000 + 900 * n:,}", "128", "28,000",
         str(36 + n)]
        for n, bank in enumerate(BANKS)
    ]  # fmt: skip
    text = text_of(page)
    assert "284,807 transactions, of which 492 are fraud (0.17 %)" in text
    assert "one in the number of rows." in text
    assert "noise multiplier 7.5; their cost is part of epsilon" in text
    assert "have spent epsilon 9.200 together, this one included; 11 is allowed for life" in text
    assert "All runs on the rows of bank-2" in text
    assert f"{4 * private.parameters / 1000:.1f} kB: four bytes for each of 10,369 parameters" in text
    assert "Only the federated model was trained under differential privacy." in text
    assert "Who was missing, and why" not in text


def test_noise_in_a_sum_counts_rounds_and_banks(private: Result, words: Words) -> None:
    noisy = replace(private, privacy=replace(PRIVACY, mechanism="distributed", unit="bank"))
    assert ["Bank", "Noise multiplier", "Sample rate", "Rounds", "Epsilon", "For life"] in Tables(words(noisy)).rows
    assert "one in the number of banks." in text_of(words(noisy))


def test_a_bank_without_a_ledger_is_unknown_for_life(private: Result, words: Words) -> None:
    partly = replace(private, privacy=replace(PRIVACY, lifetime_epsilon={"bank-3": 5.3}))
    rows = [row for row in Tables(words(partly)).rows if row[0] in BANKS and len(row) == 6 and "0.9" in row[1]]
    assert [row[-1] for row in rows] == ["unknown", "unknown", "5.300"]


def test_what_is_custodys_stands_under_its_own_heading(result: Result, words: Words) -> None:
    text, custody = text_of(words(result)), result.custody
    broken, rests = text.index("Broken by"), text.index("Rests on")
    for entry in custody.broken_by:
        assert broken < text.index(entry) < rests
    for entry in custody.assumptions:
        assert rests < text.index(entry)
    for party, reads in custody.can_decrypt.items():
        assert [party, "; ".join(reads) or "nothing"] in Tables(words(result)).rows


@pytest.mark.parametrize(
    ("review", "said"),
    [("approved", "each approved by review"), ("unreviewed", "some of which nobody has reviewed")],
)
def test_synthetic_rows_are_counted_over_all_banks(result: Result, words: Words, review: str, said: str) -> None:
    synthetic = {"rows": {"bank-1": 20, "bank-2": 30}, "patterns": ["a", "b", "c"], "review": review}
    text = text_of(words(replace(result, synthetic=synthetic)))
    assert f"50 training rows of 3 patterns, {said}" in text.replace(" ,", ",")


def test_missing_and_refused_banks_are_listed_with_their_reasons(result: Result, words: Words) -> None:
    rounds = list(result.rounds)
    rounds[0] = replace(
        rounds[0], contributors=("bank-1", "bank-3"), dropped=("bank-2",), refused={"bank-2": "a bad word"}, attempts=2
    )
    rounds[1] = replace(
        rounds[1],
        contributors=("bank-1", "bank-2"),
        dropped=("bank-3",),
        refused={"bank-1": "it lied", "share-holder-2": "it did not answer"},
    )
    troubled = replace(result, rounds=tuple(rounds))
    lines = wording.troubles(troubled)
    assert lines == [
        "round 1: bank-2 was refused: a bad word; attempted 2 times",
        "round 2: bank-1 is in the sum, but it lied; bank-3 dropped out; opened without share-holder-2: it did not "
        "answer",
    ]
    text = text_of(words(troubled))
    assert "Who was missing, and why" in text
    assert all(line in text for line in lines)
    assert ["2", "2 of 3", "bank-3"] in [row[:3] for row in Tables(words(troubled)).rows]


def ruled(result: Result, rule: str, attack: str = "sign-flip") -> Result:
    """The result of three banks, of which the last attacks in the first two rounds, and is left out of one."""
    settings = {**result.experiment, "robust": rule, "attack": attack}
    attacks = attack != "none"
    marks: list[tuple[tuple[str, ...], tuple[str, ...]]] = [(("bank-3",), ("bank-3",)), (("bank-1",), ("bank-3",))]
    rounds = [
        replace(record, contributors=("bank-1", "bank-2", "bank-3"), excluded=out, byzantine=bad if attacks else ())
        for record, (out, bad) in zip(result.rounds, marks, strict=False)
    ]
    return replace(result, experiment=settings, rounds=tuple(rounds))


def test_who_attacked_and_who_was_left_out_is_told_and_whether_rightly(result: Result, words: Words) -> None:
    told = ruled(result, "multi-krum")
    lines = wording.poisoning(told)
    assert lines == [
        "poisoned by sign-flip: bank-3; 2 of 6 uploads",
        "multi-krum left out 1 of 2 poisoned uploads and 1 of 4 honest ones",
    ]
    text = text_of(words(told))
    assert all(line in text for line in lines)
    starts = [row[:2] for row in Tables(words(told)).rows]
    assert ["1", "2 of 3"] in starts
    assert ["2", "2 of 3"] in starts
    assert wording.poisoning(ruled(result, "krum", "none")) == ["krum left out 2 of 6 honest uploads"]


def test_a_rule_that_leaves_nobody_out_says_so_and_without_either_nothing_is_said(result: Result, words: Words) -> None:
    assert wording.poisoning(ruled(result, "median"))[1] == "median leaves no bank out: it bounds what each can move"
    assert wording.poisoning(ruled(result, "none")) == ["poisoned by sign-flip: bank-3; 2 of 6 uploads"]
    assert wording.poisoning(result) == []
    assert "left out" not in text_of(words(result)).lower()
    assert "Banks in the sum" in text_of(words(ruled(result, "median")))
    assert "Banks in the mean" in text_of(words(ruled(result, "krum")))


def test_many_banks_of_a_line_are_counted(result: Result) -> None:
    names = tuple(f"bank-{n}" for n in range(8))
    for missing, end in ((5, "bank-4 dropped out"), (6, "1 more banks"), (8, "3 more banks")):
        (line,) = wording.troubles(replace(result, rounds=(replace(result.rounds[0], dropped=names[:missing]),)))
        assert line.endswith(end)
        assert line.count("dropped out") == 5


def test_what_a_screen_reader_says_is_what_is_drawn(result: Result, private: Result, words: Words) -> None:
    uploads, downloads = (
        [size for record in result.rounds for size in getattr(record, name).values()]
        for name in ("upload_bytes", "download_bytes")
    )
    assert _describe_bytes(result) == (
        f"Chart of bytes per bank and round: median upload {wording.bytes_text(median(uploads))}, "
        f"median download {wording.bytes_text(median(downloads))}"
    )
    assert _describe_curves(result) == (
        "Line chart of AUPRC: the federated model goes from 0.501 after round 1 to 0.701 after round 3; "
        "the model on pooled data ends at 0.777"
    )
    assert "pooled data, trained without privacy, ends" in _describe_curves(private)
    assert "from 0.501 after the first round to 0.701 after the last" in _describe_quality(result)
    assert _describe_seconds(result).endswith("train 1.5 s, client 13 ms, server 3.1 ms, decode 6.11 ms")
    page = words(private)
    update = result.exhibit.update
    assert f"from {wording.small_text(float(update.min()))} to {wording.small_text(float(update.max()))}" in page
    assert "Grid of the first 1,024 values of the update of bank-1" in page
    assert "Grid of the first 1,024 bytes of the message" in page
    assert "Histogram of 4,096 bytes of the message" in page
    assert "Line chart of epsilon: 0.700 after round 1, 2.500 after round 3, below the dashed line at 3" in page
    assert "The first 256 of 39,712 bytes" in text_of(page)


def test_one_round_that_knows_its_epsilon_is_drawn(private: Result, words: Words) -> None:
    one = replace(private, rounds=(private.rounds[0], *(replace(r, epsilon=None) for r in private.rounds[1:])))
    assert "Line chart of epsilon: 0.700 after round 1, 0.700 after round 1" in words(one)
    free = replace(private, rounds=tuple(replace(record, epsilon=0.0) for record in private.rounds))
    assert len(spending(free)) == 3


def test_lifes_words_are_of_the_bank_that_has_spent_most() -> None:
    assert "rows of bank-2 that its ledgers know of have spent epsilon 9.200" in life_text(PRIVACY, None)
    assert life_text(PRIVACY, None).endswith("no limit for life was set.")
    assert life_text(PRIVACY, 12.0).endswith("12 is allowed for life.")


def test_every_accountants_epsilon_is_rounded_up(private: Result) -> None:
    promise = promise_of(private)
    assert promise is not None
    assert [bound.epsilon for bound in promise.bounds] == [epsilon_text(e) for e in (2.5, 2.4001, 3.2)]
    alone = promise_of(replace(private, privacy=replace(PRIVACY, epsilon_by_accountant={}, accountant="rdp")))
    assert alone is not None
    assert [(bound.accountant, bound.epsilon) for bound in alone.bounds] == [("rdp", "2.500")]


# Drawings.


def axes_of(figure: Figure) -> Any:
    """The only axes of a drawing."""
    (axes,) = figure.axes
    return axes


def test_quality_is_drawn_against_all_that_one_bank_has_sent(result: Result) -> None:
    axes = axes_of(figures.auprc_for_bytes(result, 40_000, figures.WIDE))
    clear, sent = axes.lines
    auprc = [record.auprc for record in result.rounds]
    assert (clear.get_color(), sent.get_color()) == (WARM, ACCENT)
    assert np.asarray(clear.get_xydata()).tolist() == [[40_000 * (n + 1), a] for n, a in enumerate(auprc)]
    assert list(sent.get_xdata()) == [10_100, 21_200, 33_300]
    assert list(sent.get_ydata()) == auprc


def test_bytes_of_each_bank_are_medians_with_their_range(result: Result) -> None:
    axes = axes_of(figures.bytes_per_bank(result, 40_000, figures.WIDE))
    bars = [(bar.get_width(), bar.get_facecolor()) for bar in axes.patches]
    assert [width for width, _ in bars] == [11_000, 11_100, 11_200, 53_000, 53_070, 53_140]
    assert len({color for _, color in bars[:3]}) == len({color for _, color in bars[3:]}) == 1
    ranges = [list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 1.3][:6]
    assert ranges[:3] == [[10_000 + n, 12_000 + n] for n in (0, 100, 200)]
    assert axes.get_xlim()[1] == pytest.approx(1.04 * 56_140)


def test_many_banks_are_ranges_in_each_round(make_result: MakeResult) -> None:
    made = make_result(banks=13, rounds=2)
    axes = axes_of(figures.bytes_per_bank(made, 40_000, figures.WIDE))
    assert len(axes.collections) == 2
    for collection, name in zip(axes.collections, ("upload_bytes", "download_bytes"), strict=True):
        ends = [[segment[0][1], segment[1][1]] for segment in collection.get_segments()]
        sizes = [list(getattr(record, name).values()) for record in made.rounds]
        assert ends == [[min(s), max(s)] for s in sizes]
    middles = [list(line.get_ydata()) for line in axes.lines[:2]]
    assert middles[0] == [median(record.upload_bytes.values()) for record in made.rounds]
    twelve = axes_of(figures.bytes_per_bank(make_result(banks=12, rounds=1), 40_000, figures.WIDE))
    assert len(twelve.patches) == 24


def test_curves_are_named_by_their_last_scores(result: Result, make_result: MakeResult) -> None:
    axes = axes_of(figures.learning_curves(result, figures.WIDE))
    assert [text.get_text() for text in axes.texts] == [
        "Federated", "All data pooled", "bank-1 alone", "bank-2 alone", "bank-3 alone",
    ]  # fmt: skip
    at = {text.get_text(): text.xy[1] for text in axes.texts}
    assert at["Federated"] == pytest.approx(0.701, abs=0.01)
    assert at["All data pooled"] == pytest.approx(0.777, abs=0.01)
    many = make_result(banks=9, rounds=3)
    axes = axes_of(figures.learning_curves(many, figures.WIDE))
    assert [text.get_text() for text in axes.texts][-1] == "Banks alone, median"
    band = axes.collections[0].get_paths()[0].vertices
    last = [baseline.auprc_by_round[-1] for baseline in many.local]
    heights = [y for x, y in band if x == 3]
    assert (min(heights), max(heights)) == pytest.approx((min(last), max(last)))
    (middle,) = (line for line in axes.lines if line.get_color() == GREY)
    assert list(middle.get_ydata())[-1] == pytest.approx(median(last))
    assert not figures.learning_curves(make_result(banks=8, rounds=1), figures.WIDE).axes[0].collections


def test_seconds_have_the_unit_of_the_slowest_round(result: Result) -> None:
    rounds = [
        replace(record, seconds=Seconds(0.2, 0.1, 0.1, s))
        for record, s in zip(result.rounds, (0.1, 0.7, 0.1), strict=True)
    ]
    whole, _ = figures.seconds_per_round(replace(result, rounds=tuple(rounds)), figures.WIDE).axes
    assert "(seconds)" in whole.get_title(loc="left")
    assert figures.marker(result.rounds * 4) == "o"
    assert figures.marker(result.rounds * 5) == ""


def test_all_banks_of_a_run_are_named_once_and_in_order(result: Result) -> None:
    rounds = [replace(record, dropped=("bank-9",)) for record in result.rounds]
    assert figures.bank_names(replace(result, rounds=tuple(rounds))) == (*BANKS, "bank-9")
    assert figures.short_name("x" * 16) == "x" * 16
    assert figures.short_name("x" * 17) == "x" * 15 + "…"


def test_cells_have_the_colour_of_their_sign_and_the_shade_of_their_size() -> None:
    rises, falls = (
        exhibit.update_grid(np.array([0.5], np.float32), 0.5, ""),
        exhibit.update_grid(np.array([-0.25], np.float32), 0.5, ""),
    )
    assert 'fill:var(--accent)" fill-opacity="1"' in rises
    assert 'fill:var(--warm)" fill-opacity="0.5"' in falls
    assert exhibit.full_shade(np.array([-3.0] * 50 + [0.5] * 50, np.float32)) == 3.0
    assert 'fill:var(--ink)" fill-opacity="1"' in exhibit.byte_grid(b"\xff", "")


def test_histograms_are_of_all_values_beside_what_noise_would_have() -> None:
    message = bytes(range(256)) * 4 + b"\xff" * 32
    axes = axes_of(exhibit.byte_histogram(message, 300))
    (stairs,) = axes.patches
    values, edges, _ = stairs.get_data()
    assert values.tolist() == [32] * 31 + [64]
    assert (edges[0], edges[-1]) == (0, 256)
    assert list(axes.lines[0].get_ydata()) == [len(message) / 32] * 2


def test_a_dump_is_of_what_can_be_printed() -> None:
    assert exhibit.hex_dump(b"\x1f ~\x7f").endswith(". ~.")
    assert exhibit.hex_dump(bytes(257)).count("\n") == 15
    update = np.array([0.0, 0.0], np.float32)
    assert exhibit.reading_error(update, np.array([0.5, 0.25], np.float32)) == "to within 0.5"
    assert exhibit.reading_error(update, np.array([-0.5, 0.25], np.float32)) == "to within 0.5"
