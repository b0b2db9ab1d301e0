"""What the page of an audit says: the verdict, suppressed groups, and names as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from secure_fl.audit.auditing import Asked, Audit, audit
from secure_fl.audit.gaps import Gap
from secure_fl.audit.opening import Subject
from secure_fl.audit.page import by_group, render, render_bank, verdict

pytest.importorskip("shap")
WORSE = Gap("region", "<south>", "false_positive_rate", 0.08, (0.05, 0.11))
CHANCE = Gap("region", "north", "recall", -0.08, (-0.2, 0.04))


@pytest.fixture(scope="module")
def audited(subject: Subject) -> Audit:
    return audit(subject, Asked(groups=("amount:20,5000",), rows=25))


def _with(audited: Audit, *gaps: Gap, max_gap: float | None = None) -> Audit:
    return replace(audited, fairness=replace(audited.fairness, gaps=gaps, max_gap=max_gap))


def test_the_verdict_names_group_and_interval(audited: Audit) -> None:
    assert "false positive rate of region <south>: +0.080" in verdict(_with(audited, WORSE, CHANCE))
    assert "[+0.050, +0.110]" in verdict(_with(audited, WORSE, CHANCE))
    assert verdict(_with(audited, WORSE, max_gap=0.05)).startswith("The model does not pass: false positive rate")
    assert verdict(_with(audited, WORSE, max_gap=0.1)).endswith("None is beyond the largest gap of 0.1.")
    assert verdict(_with(audited, CHANCE)) == "No group is worse off by more than 0.01 beyond chance."
    assert "No groups were asked for" in verdict(replace(audited, fairness=replace(audited.fairness, columns={})))


def test_a_page_escapes_names_and_says_what_is_suppressed(audited: Audit) -> None:
    found = _with(audited, WORSE)
    page = render(found, found.document())
    assert "&lt;south&gt;" in page
    assert "<south>" not in page
    assert "fewer than 20 rows" in page
    assert "fewer than 20 explained rows" in page


def test_each_group_has_its_own_drivers(audited: Audit) -> None:
    shap = audited.document()["shap"]
    lines = dict(by_group(shap))
    assert list(lines) == ["amount: below 20", "amount: 20 to 5000", "amount: from 5000"]
    means = shap["groups"]["amount"]["20 to 5000"]["mean_abs"]
    first = shap["features"][means.index(max(means))]
    assert lines["amount: 20 to 5000"].startswith(f"{first} {max(means):.3f}; ")


def test_without_groups_a_page_has_no_section_of_them(subject: Subject) -> None:
    found = audit(subject, Asked(rows=5))
    page = render(found, found.document())
    assert 'id="drivers"' in page
    assert 'id="groups"' not in page


def test_names_of_columns_are_drawn_whatever_is_in_them(audited: Audit) -> None:
    names = ("a\x1b[31m", "b\x00", "$c$", "d \\frac{", *audited.summed.features[4:])
    found = replace(audited, summed=replace(audited.summed, features=names))
    shap = found.document()["shap"]
    first = next(name for name in shap["features"] if name in names[:4])
    for page in (render(found, found.document()), render_bank("bank-1", names, found.local[0])):
        assert first.replace("\x1b", "\ufffd").replace("\x00", "\ufffd") in page
