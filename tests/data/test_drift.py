"""Streams in which patterns come and go, and detectors that notice."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secure_fl.data import Simulation, Transactions, simulate, split_among_banks
from secure_fl.data.drift import DETECTORS, Course, Stream, make_stream, watch
from secure_fl.data.simulator import DAY
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.sampler import sample
from secure_fl.errors import ConfigurationError

SIMULATION = Simulation(transactions=6_000, days=70, fraud_share=0.05, seed=3)
PATTERN = next(p.pattern for p in library() if p.pattern.name == "Night-time orders")
NEW = Course(number=4, arrivals=(14, None, 28), weeks=4, fading_weeks=2, frauds=40, source=partial(sample, PATTERN))
TERMINALS = Course(number=2, arrivals=(35, None, 0), weeks=5)


@pytest.fixture(scope="module")
def stream() -> Stream:
    return make_stream(SIMULATION, 3, [NEW, TERMINALS], np.random.default_rng(1))


def days_of(bank: Transactions, number: int) -> NDArray[np.float64]:
    days: NDArray[np.float64] = bank.when[bank.pattern == number] / DAY
    return days


def test_a_pattern_is_where_and_when_its_course_says(stream: Stream) -> None:
    for course in (NEW, TERMINALS):
        for bank, arrival in zip(stream.banks, course.arrivals, strict=True):
            days = days_of(bank, course.number)
            if arrival is None:
                assert days.size == 0
            else:
                assert days.size > 0
                assert arrival <= days.min()
                assert days.max() < arrival + 7 * course.weeks


def test_a_source_gives_as_many_frauds_as_were_asked_for_fewer_in_its_fading_weeks(stream: Stream) -> None:
    days = days_of(stream.banks[0], 4)
    by_week = np.bincount(((days - 14) // 7).astype(int), minlength=4)
    # Strengths 1, 1, 2/3, 1/3 of 40 frauds: 13.3, 13.3, 8.9, 4.4, with rounded running sums 13, 27, 36, 40.
    assert by_week.tolist() == [13, 14, 9, 4]


def test_simulated_fraud_without_a_course_and_honest_rows_stay_as_they_are(stream: Stream) -> None:
    untouched = split_among_banks(simulate(SIMULATION), 3, "even", seed=SIMULATION.seed)
    for before, after in zip(untouched, stream.banks, strict=True):
        for number in (0, 1, 3):
            assert np.array_equal(before.when[before.pattern == number], after.when[after.pattern == number])


def test_simulated_fraud_is_thinned_where_it_fades() -> None:
    fading = Course(number=2, arrivals=(0,), weeks=10, fading_weeks=9)
    steady = Course(number=2, arrivals=(0,), weeks=10)
    counts = [
        days_of(make_stream(SIMULATION, 1, [course], np.random.default_rng(0)).banks[0], 2).size
        for course in (fading, steady)
    ]
    everything = simulate(SIMULATION)
    assert counts[1] == np.count_nonzero(everything.pattern == 2)
    assert counts[0] < 0.75 * counts[1]  # the mean strength is 0.55


def test_each_bank_is_in_order_of_time_and_fraud_is_of_its_own_customers(stream: Stream) -> None:
    for bank in stream.banks:
        assert np.all(np.diff(bank.when) >= 0)
        known = set(bank.text["customer"][bank.pattern != 4])
        assert set(bank.text["customer"][bank.pattern == 4]) <= known
    share = sum(b.fraud.sum() for b in stream.banks) / sum(map(len, stream.banks))
    assert stream.fraud_share == pytest.approx(share)


def test_the_same_generator_state_gives_the_same_rows(stream: Stream) -> None:
    again = make_stream(SIMULATION, 3, [NEW, TERMINALS], np.random.default_rng(1))
    for one, other in zip(stream.banks, again.banks, strict=True):
        assert np.array_equal(one.when, other.when)
        assert np.array_equal(one.numeric["amount"], other.numeric["amount"])
        assert np.array_equal(one.text["terminal"], other.text["terminal"])


@given(weeks=st.integers(1, 12), fading=st.integers(0, 11), arrival=st.integers(0, 50), day=st.floats(0, 200))
def test_strength_never_grows_and_is_zero_outside(weeks: int, fading: int, arrival: int, day: float) -> None:
    course = Course(number=1, arrivals=(arrival, None), weeks=weeks, fading_weeks=min(fading, weeks - 1))
    now, later = course.strength(np.array([day, day + 1.0]), 0).tolist()
    assert (now > 0) == (arrival <= day < arrival + 7 * weeks)
    assert now >= later or day < arrival
    assert not course.strength(np.array([day]), 1).any()


@pytest.mark.parametrize(
    "settings",
    [
        {"number": 0},
        {"number": 4},  # a number of a source, without one
        {"number": 1, "source": NEW.source, "frauds": 5},
        {"number": 5, "source": NEW.source},  # a source without a number of frauds
        {"number": 1, "frauds": 5},
        {"number": 1, "fading_weeks": 2},
        {"number": 1, "arrivals": (None, None)},
        {"number": 1, "arrivals": (-1, 3)},
    ],
)
def test_a_course_that_cannot_be_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="; "):
        Course(**{"arrivals": (0, 7), "weeks": 2, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "courses",
    [
        [Course(number=1, arrivals=(0, 0), weeks=2)],  # two arrivals, three banks
        [Course(number=1, arrivals=(0, 0, 63), weeks=2)],  # outlasts 70 days
        [TERMINALS, TERMINALS],
    ],
)
def test_courses_that_do_not_fit_the_stream_are_refused(courses: list[Course]) -> None:
    with pytest.raises(ConfigurationError, match="; "):
        make_stream(SIMULATION, 3, courses, np.random.default_rng(0))


# A change from 10 % to 70 % misses is noticed soon after it happens, and no change is not noticed. Page-Hinkley's
# threshold is a sum of deviations: river's default of 50 would need over a hundred values.
SETTINGS = {"adwin": {}, "kswin": {}, "page-hinkley": {"threshold": 10.0}}


@pytest.mark.parametrize("detector", ["adwin", "page-hinkley"])
def test_a_planted_change_of_the_error_rate_is_noticed(detector: str) -> None:
    rng = np.random.default_rng(5)
    errors = np.concatenate([rng.random(300) < 0.1, rng.random(200) < 0.7]).astype(float)
    places = watch(errors, detector, **SETTINGS[detector]).places  # type: ignore[arg-type]
    assert places
    assert 300 <= places[0] < 400


def test_a_planted_change_of_scores_is_noticed_by_kswin() -> None:
    rng = np.random.default_rng(5)
    places = watch(np.concatenate([rng.normal(0, 1, 300), rng.normal(3, 1, 200)]), "kswin", seed=1, alpha=1e-4).places
    assert places
    assert 300 <= places[0] < 400


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_stationary_sequence_raises_no_alarm(detector: str) -> None:
    settings = SETTINGS[detector] | ({"alpha": 1e-6} if detector == "kswin" else {})
    alarms = watch(np.random.default_rng(6).normal(0.5, 0.1, 500), detector, seed=1, **settings)  # type: ignore[arg-type]
    assert alarms.places == ()
    assert alarms.length == 500


def test_a_detector_never_sees_a_later_value() -> None:
    rng = np.random.default_rng(7)
    errors = np.concatenate([rng.random(200) < 0.1, rng.random(200) < 0.8]).astype(float)
    whole, half = watch(errors).places, watch(errors[:300]).places
    assert half == tuple(place for place in whole if place < 300)


def test_an_empty_sequence_is_no_alarm() -> None:
    assert watch([]) == watch(iter(()))
    assert watch([]).length == 0


def test_unknown_detectors_and_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="choose one of adwin"):
        watch([0.0], "cusum")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no such setting"):
        watch([0.0], "adwin", sharpness=1)
