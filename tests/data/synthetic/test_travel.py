"""Least times of travel: distances computed another way, groups of countries by brute force, and exact bounds."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import Channel, Gaps, Number
from secure_fl.data.synthetic.travel import MIDDLES, least_hours, least_km
from secure_fl.data.synthetic.validation import objection

CODES = sorted(MIDDLES)
COUNTRY = st.sampled_from(CODES)
RADII = {"BE": 500, "TH": 900, "AU": 2200, "NZ": 900, "PT": 1600, "RU": 4500, "CH": 500, "NL": 500}
BASE = library()[5].pattern
"""One card present, at up to three shops, 3 to 8 payments."""


def great_circle(here: str, there: str) -> float:
    """Kilometres between the middles: the angle between two unit vectors."""
    vectors = []
    for code in (here, there):
        lat, lon = np.radians(MIDDLES[code])
        vectors.append([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    a, b = np.array(vectors)
    return float(6371.0 * np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


@pytest.mark.parametrize("pair", list(combinations(RADII, 2)), ids="-".join)
def test_distances_are_great_circles_between_the_edges(pair: tuple[str, str]) -> None:
    expected = great_circle(*pair) - RADII[pair[0]] - RADII[pair[1]]
    assert least_km(*pair) == pytest.approx(max(0.0, expected), abs=1e-6)
    assert least_km(*pair) == pytest.approx(least_km(*pair[::-1]), abs=1e-6)


NEIGHBOURS = [
    "US-CA", "US-MX", "CA-GL", "BR-AR", "BR-CO", "CL-AR", "BE-NL", "FR-DE", "ES-PT", "CH-IT", "PL-DE", "SE-NO", "FI-RU",
    "RU-CN", "RU-KZ", "CN-IN", "IN-PK", "IR-TR", "TR-GR", "EG-SD", "LY-DZ", "NG-NE", "KE-TZ", "ZA-NA", "AO-CD", "SA-YE",
    "CN-VN", "TH-MM", "MY-ID", "ID-PG", "JP-KR", "CN-MN", "UA-RO", "GB-IE", "GB-FR", "AU-PG",
]  # fmt: skip
"""Countries with a common border, or with nothing but a strait between them."""


@pytest.mark.parametrize("pair", NEIGHBOURS)
def test_neighbours_are_at_no_distance(pair: str) -> None:
    """So that no middle lies on another continent."""
    assert least_km(*pair.split("-")) == 0.0


@pytest.mark.parametrize("pair", ["US-CN", "BR-IN", "AU-GB", "ZA-SE", "JP-BR", "CA-AR", "NZ-ES"])
def test_other_continents_are_far(pair: str) -> None:
    assert least_km(*pair.split("-")) > 3_000


@given(COUNTRY, COUNTRY)
def test_no_distance_is_negative_or_beyond_the_great_circle(here: str, there: str) -> None:
    assert 0.0 <= least_km(here, there) <= great_circle(here, there)


def test_speed_is_a_thousand_kilometres_an_hour() -> None:
    assert least_hours(["BE", "TH"], 1) == pytest.approx(least_km("BE", "TH") / 1000.0)
    assert least_hours(["BE", "TH"], 1) == pytest.approx(7.796, abs=1e-3)


@settings(max_examples=60)
@given(st.lists(COUNTRY, min_size=1, max_size=5, unique=True), st.integers(1, 6))
def test_cards_share_the_countries_as_cheaply_as_can_be(countries: list[str], cards: int) -> None:
    """Of all sets of links that leave no more groups than cards, the cheapest; by trying them all."""
    pairs = list(combinations(countries, 2))
    costs = [
        sum(least_km(*pair) for pair in chosen)
        for size in range(len(pairs) + 1)
        for chosen in combinations(pairs, size)
        if groups(countries, chosen) <= cards
    ]
    assert least_hours(countries, cards) == pytest.approx(min(costs) / cards / 1000.0, abs=1e-9)


def groups(countries: list[str], links: tuple[tuple[str, str], ...]) -> int:
    left = [{country} for country in countries]
    for link in links:
        joined = set.union(*(group for group in left if group & set(link)))
        left = [group for group in left if not group & joined] + [joined]
    return len(left)


def refused(**changes: Any) -> bool:
    reason = objection(
        BASE.model_copy(update={"countries": ("BE", "TH"), "accounts": Number(low=1, high=1), **changes})
    )
    return reason is not None and "travel: " in reason


NEEDED = 3600.0 * least_hours(["BE", "TH"], 1)
"""Seconds from Belgium to Thailand, at least."""


@pytest.mark.parametrize("payments", [2, 3, 9])
def test_a_card_may_take_exactly_the_time_that_it_needs_between_its_payments(payments: int) -> None:
    """From the first payment to the last there is one gap less than there are payments."""
    number = Number(low=2, high=payments)
    gap = NEEDED / (payments - 1)
    while gap * (payments - 1) < NEEDED:
        gap = np.nextafter(gap, np.inf)
    assert not refused(payments=number, gaps=Gaps(low=1.0, high=float(gap)), duration_days=30.0)
    assert refused(payments=number, gaps=Gaps(low=1.0, high=float(gap) * 0.9999), duration_days=30.0)


def test_a_campaign_must_last_as_long_as_the_way() -> None:
    long = {"payments": Number(low=2, high=9), "gaps": Gaps(low=1.0, high=86_400.0)}
    assert not refused(duration_days=NEEDED / 86_400 * 1.0001, **long)
    assert refused(duration_days=NEEDED / 86_400 * 0.9999, **long)


def test_as_many_cards_as_the_pattern_may_use_count() -> None:
    quick = {"gaps": Gaps(low=60.0, high=1500.0), "duration_days": 1.0}
    assert refused(**quick)
    assert not refused(accounts=Number(low=1, high=2), **quick)


@pytest.mark.parametrize(
    ("channel", "travels"),
    [("card present", True), ("contactless", True), ("cash machine", True), ("online", False), ("telephone", False)],
)
def test_only_a_card_that_is_somewhere_travels(channel: Channel, travels: bool) -> None:
    assert refused(channel=channel) == travels
    assert not refused(channel=channel, countries=("TH",))
