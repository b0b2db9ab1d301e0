"""The page of poisoning, and its maps: what they say of made-up findings."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from secure_fl.report.heat_map import PALEST, STRONGEST, HeatMap, draw_map, draw_maps
from secure_fl.report.poisoning_maps import auprc_maps, backdoor_maps
from secure_fl.report.poisoning_page import choices, costs, reasons, render, verdict
from secure_fl.report.svg import ACCENT, page_style, to_svg
from tests.page_tables import Tables
from tests.report.made_up_poisoning import PAGES, REASON, RESULTS, poisoning_page, row


def test_there_is_a_map_for_each_attack_with_rules_down_and_attackers_across() -> None:
    sign_flip, backdoor = auprc_maps(RESULTS, 10)
    assert (sign_flip.title, backdoor.title) == ("sign-flip", "backdoor@3")
    assert sign_flip.rows == backdoor.rows == ("mean", "median", "bulyan")
    assert sign_flip.columns == ("0", "1", "2")
    assert sign_flip.axis == "Attackers among 10 banks"
    assert sign_flip.values == ((0.8, 0.5, 0.01), (0.79, 0.77, 0.7), (0.8, 0.78, None))
    assert sign_flip.top == backdoor.top == 0.8
    (passing,) = backdoor_maps(RESULTS, 10)
    assert passing.values == ((0.3, 0.9, 1.0), (0.31, 0.5, 0.6), (0.3, 0.2, None))
    assert passing.top == 1.0
    assert backdoor_maps([r for r in RESULTS if not r["attack"].startswith("backdoor")], 10) == ()


def test_a_map_says_in_words_what_it_shows() -> None:
    assert auprc_maps(RESULTS, 10)[0].label == (
        "sign-flip, by attackers among 10 banks (0, 1, 2). mean: 0.80, 0.50, 0.01; median: 0.79, 0.77, 0.70; "
        "bulyan: 0.80, 0.78, –"
    )


def test_each_number_stands_on_its_shade_and_the_shades_are_in_the_order_of_the_numbers() -> None:
    values = ((0.0, 0.25), (0.5, None), (1.0, 2.0))
    heat_map = HeatMap("a", ("x", "y", "z"), ("0", "1"), "b", values, ACCENT, top=1.0)
    with page_style():
        drawn = ElementTree.fromstring(to_svg(draw_map(heat_map, 340), "a", "b"))
    shades = [
        float(found[1])
        for path in drawn.iter("path")
        if (found := re.search(r"fill: var\(--accent\); opacity: ([\d.]+)", path.get("style", "")))
    ]
    wide = STRONGEST - PALEST
    assert shades == pytest.approx([PALEST, PALEST + wide / 4, PALEST + wide / 2, STRONGEST, STRONGEST])
    texts = [text.text for text in drawn.iter("text")]
    for number in ("0.00", "0.25", "0.50", "–", "1.00", "2.00"):
        assert texts.count(number) == 1


def test_several_maps_are_one_drawing() -> None:
    maps = auprc_maps(RESULTS, 10)
    with page_style():
        drawn = to_svg(draw_maps((*maps, maps[0]), 2, 400), "a", "b")
    assert drawn.count("sign-flip</text>") == 2
    assert drawn.count("0.77</text>") == 2


def test_the_verdict_compares_the_mean_with_the_rule_that_keeps_most() -> None:
    assert verdict(RESULTS, 10) == (
        "Where nobody attacks, the mean reaches an AUPRC of 0.80. With 2 of 10 banks attacking, the worst of the "
        "attacks leaves 0.01 to the mean (sign-flip), and 0.69 to median (backdoor@3), the rule that keeps most."
    )
    for auprc, praised in ((0.65, "0.69 to median (backdoor@3)"), (0.75, "0.75 to krum (sign-flip)")):
        assert f", and {praised}, the rule that keeps most." in verdict(
            [*RESULTS, row("krum", "sign-flip", 2, auprc)], 10
        )
    assert verdict(RESULTS[:1], 10) == "Where nobody attacks, the mean reaches an AUPRC of 0.80."
    assert verdict([row("none", "none", 0, None)], 10).startswith("Not even honest banks came to a model: bulyan needs")


def test_the_cost_is_that_of_expecting_most_attackers_where_there_is_none() -> None:
    found = {line["rule"]: line for line in costs(RESULTS)}
    assert {rule: line["byzantine"] for rule, line in found.items()} == {"median": 2, "bulyan": 1}
    assert found["bulyan"]["auprc_more"] == pytest.approx(-0.025)
    assert found["median"]["seconds_more"] == pytest.approx(0.0025)
    cells = [line for line in Tables(render(PAGES["poisoning"])).rows if line[:3] == ["bulyan", "1", "0.775"]]
    assert cells == [["bulyan", "1", "0.775", "−0.025", "1 ms", "−1.0 ms"]]


@pytest.mark.slow
def test_who_was_left_out_stands_beside_leaving_out_at_random() -> None:
    by_attack = {line["attack"]: line for line in choices(RESULTS, 10)}
    assert by_attack.keys() == {"sign-flip", "backdoor@3"}
    assert by_attack["sign-flip"]["random"] == pytest.approx(0.2)
    assert by_attack["backdoor@3"]["random"] == pytest.approx(0.2)
    lines = Tables(render(PAGES["poisoning"])).rows
    assert ["bulyan", "sign-flip", "1", "100 %", "11 %", "20 %"] in lines
    assert ["bulyan", "backdoor@3", "1", "50 %", "17 %", "20 %"] in lines


def test_what_could_not_be_tried_is_listed_with_the_reason_and_not_dropped() -> None:
    assert reasons(RESULTS) == {
        REASON: ["bulyan, nobody attacks, 2", "bulyan, sign-flip, 2", "bulyan, backdoor@3, 2"],
    }
    page = render(PAGES["poisoning"])
    assert ["bulyan, nobody attacks, 2; bulyan, sign-flip, 2; bulyan, backdoor@3, 2", REASON] in Tables(page).rows
    assert ["bulyan", "sign-flip", "2", "none", "none", "none"] in Tables(page).rows
    assert "use &lt;fewer&gt;" in page
    assert "made &lt;up&gt;" in page


@pytest.mark.parametrize("name", list(PAGES))
def test_sections_are_numbered_without_gaps_and_only_those_with_something_to_say(name: str) -> None:
    page = render(PAGES[name])
    listed = re.findall(r'<li><a href="#([a-z]+)">([^<]*)</a></li>', page)
    titles = re.findall(r'<h2 id="([a-z]+)-title"><span [^>]*>(\d+)</span> ([^<]*)</h2>', page)
    assert titles == [(section, str(place), title) for place, (section, title) in enumerate(listed, start=1)]
    attacked = name != "poisoning, nobody attacks"
    assert ("auprc" in dict(listed)) == attacked
    assert ("excluded" in dict(listed)) == ("backdoor" in dict(listed)) == (name == "poisoning")
    assert {"figures", "meaning", "cost"} - {*dict(listed)} <= ({"cost"} if name.endswith("many attackers") else set())


@pytest.mark.slow
def test_several_seeds_have_intervals_and_one_has_a_warning() -> None:
    many, one = render(PAGES["poisoning, many attackers"]), render(PAGES["poisoning"])
    assert "0.700 to 0.900" in many
    assert "mean of 3 seeds" in many
    assert "one federation with one seed" in one
    assert "95 % interval" not in one
    assert render(poisoning_page(*RESULTS)) == one
