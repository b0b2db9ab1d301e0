"""The planner: what it accepts works, what it refuses says what to change, and its noise model is the real one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secure_fl.errors import PlanError
from secure_fl.secagg.budget import BfvPlan, CkksPlan, HeParameters, HePlan, MaskedPlan, RlwePlan, SealPlan
from secure_fl.secagg.budget.ckks import NOISE
from secure_fl.secagg.budget.dropping import deviation_of, most_dropped
from secure_fl.secagg.budget.he import FAILURE_BITS, PRIME_BITS, Dropped, field_base, probability
from secure_fl.secagg.budget.rlwe import EXPERIMENTAL
from secure_fl.secagg.graph import default_threshold, most_curious, most_liars, rules
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.hazmat.he_words import data_moduli
from secure_fl.secagg.he.deployment import HeDeployment
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.planning import plan
from secure_fl.secagg.primes import next_prime

SLOTS, DEGREE = 2048, 4096
HE_SCHEMES = ("ckks", "bfv", "rlwe")
every_he_scheme = pytest.mark.parametrize("scheme", HE_SCHEMES)

banks_ = st.one_of(st.integers(3, 40), st.integers(3, 10_000))
bits_ = st.integers(4, 24)
parameters_ = st.integers(0, 8).flatmap(lambda digits: st.integers(1, 10**digits))


def he_plan(scheme: str, banks: int, parameters: int, bits: int, threshold: int | None = None) -> HePlan:
    planned = plan(scheme, banks, parameters, bits, threshold)
    assert isinstance(planned, HePlan)
    return planned


def ckks_plan(banks: int, parameters: int, bits: int, threshold: int | None = None) -> CkksPlan:
    planned = he_plan("ckks", banks, parameters, bits, threshold)
    assert isinstance(planned, CkksPlan)
    return planned


@settings(deadline=None, max_examples=500)
@given(banks_, parameters_, bits_)
def test_an_accepted_plan_keeps_every_promise(banks: int, parameters: int, bits: int) -> None:
    try:
        p = ckks_plan(banks, parameters, bits)
    except PlanError:
        assume(False)
    payload_bits = (p.field_base**p.fields_per_slot - 1).bit_length()
    assert banks * (2**bits - 1) < p.field_base
    assert payload_bits + p.scale_bits + 1 <= p.prime_bits
    sizes = p.parameters_of_context.coeff_mod_bit_sizes
    assert p.prime_bits == sizes[0] == p.modulus_bits
    assert sum(sizes) <= 106
    assert max(sizes) <= 60
    assert p.failure_bits >= 40
    assert p.slots * p.fields_per_slot >= parameters
    assert p.ciphertexts * SLOTS >= p.slots
    assert p.dropped == (0, 0), "values at roots bear no missing bits"
    assert (p.banks, p.parameters, p.bits, p.threshold) == (banks, parameters, bits, banks // 2 + 1)


@settings(deadline=None, max_examples=200)
@given(banks_, parameters_, bits_)
def test_an_accepted_plan_of_our_own_ring_keeps_every_promise(banks: int, parameters: int, bits: int) -> None:
    try:
        p = he_plan("rlwe", banks, parameters, bits)
    except PlanError:
        assume(False)
    assert isinstance(p, RlwePlan)
    assert banks * (2**bits - 1) < p.field_base
    assert p.field_base**p.fields_per_slot <= 2**p.message_bits < 2**54 / (2 * 2 * banks)
    assert p.failure_bits >= 40
    assert p.slots * p.fields_per_slot >= parameters
    assert 1 <= p.keys <= 15
    assert p.ciphertexts * p.keys * DEGREE >= p.slots, "each polynomial has a key"
    assert (p.ciphertexts - 1) * 15 * DEGREE < p.slots, "with as few u as 15 keys can do with"
    assert (p.banks, p.parameters, p.bits, p.threshold) == (banks, parameters, bits, banks // 2 + 1)


@pytest.mark.parametrize(("banks", "bits"), [(3, 8), (10, 8), (10_000, 24), (3, 4)])
def test_fields_have_room_for_a_256th_more_than_any_sum(banks: int, bits: int) -> None:
    largest = banks * (2**bits - 1)
    assert largest * 257 / 256 < field_base(banks, bits) <= largest * 257 / 256 + 2


@pytest.mark.parametrize("banks", [8193, 10_000])
@pytest.mark.parametrize("parameters", [30_000_000, 100_000_000])
@pytest.mark.parametrize(("scheme", "bits"), [("ckks", 24), ("rlwe", 24), ("rlwe", 23)])
def test_the_advice_of_a_refusal_works_and_is_tight(scheme: str, bits: int, banks: int, parameters: int) -> None:
    with pytest.raises(PlanError, match="use at most") as refused:
        plan(scheme, banks, parameters, bits)
    advised = re.search(r"use at most (\d+) bits or fewer banks", str(refused.value))
    assert advised is not None
    plan(scheme, banks, parameters, int(advised[1]))
    plan(scheme, banks // 10, parameters, bits)
    with pytest.raises(PlanError):
        plan(scheme, banks, parameters, int(advised[1]) + 1)


@pytest.mark.parametrize("banks", [3, 128, 8193, 10_000])
def test_bfv_bears_every_sum_that_can_be_asked_for(banks: int) -> None:
    for bits in (4, 8, 16, 24):
        assert he_plan("bfv", banks, 100_000_000, bits).failure_bits >= 40


@pytest.mark.parametrize("scheme", ["plaintext", "ckks"])
@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ({"banks": 2}, "over 2 banks is refused; use 3 to 10000"),
        ({"banks": 10_001}, "use 3 to 10000 banks"),
        ({"parameters": 0}, "0 parameters"),
        ({"parameters": 100_000_001}, "use 1 to 100000000"),
        ({"bits": 3}, "3 bits cannot be planned; use 4 to 24"),
        ({"bits": 25}, "25 bits"),
        ({"bits": "int8"}, "bits is 'int8', which is not a whole number"),
        ({"threshold": 5}, "threshold of 5 is refused; use 6 to 10 for 10 banks"),
        ({"threshold": 11}, "threshold of 11"),
        ({"threshold": 0}, "threshold of 0"),
    ],
)
def test_a_refusal_names_the_number_to_change(scheme: str, numbers: dict[str, Any], problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        plan(scheme, **{"banks": 10, "parameters": 100, "bits": 8, **numbers})


@pytest.mark.parametrize(
    ("scheme", "banks", "parameters", "bits", "fields", "bytes_per_parameter"),
    [
        ("ckks", 10, 1_000_000, 8, 3, 8.8),
        ("ckks", 3, 1_000_000, 8, 4, 7.3),
        ("ckks", 3, 1_000_000, 16, 2, 13.6),
        ("ckks", 100, 1_000_000, 8, 2, 12.7),
        ("ckks", 3, 1_000_000, 24, 1, 28.6),
        ("bfv", 10, 1_000_000, 8, 4, 3.4),
        ("bfv", 3, 1_000_000, 8, 5, 2.8),
        ("bfv", 3, 10_369, 8, 3, 3.5),
        ("rlwe", 10, 1_000_000, 8, 3, 1.9),
        ("rlwe", 3, 1_000_000, 8, 4, 1.6),
        ("rlwe", 3, 10_369, 8, 1, 2.9),
    ],
)
def test_packing_is_as_dense_as_the_design_promises(
    scheme: str, banks: int, parameters: int, bits: int, fields: int, bytes_per_parameter: float
) -> None:
    p = he_plan(scheme, banks, parameters, bits)
    assert p.fields_per_slot >= fields
    assert p.upload_bytes <= bytes_per_parameter * parameters


def layouts(p: HePlan) -> Iterator[HePlan]:
    """Every layout that the planner could have taken instead, with nothing dropped."""
    for fields in range(1, 16):
        largest = p.field_base**fields - 1
        if isinstance(p, RlwePlan):
            polynomials = math.ceil(math.ceil(p.parameters / fields) / DEGREE)
            keys = math.ceil(polynomials / math.ceil(polynomials / 15))
            yield from [replace(p, fields_per_slot=fields, keys=keys, dropped=Dropped(0, 0))] * (largest < 2**54)
            continue
        assert isinstance(p, SealPlan)
        for prime_bits in PRIME_BITS:
            if largest.bit_length() + 1 >= prime_bits:
                continue
            other = replace(p, fields_per_slot=fields, prime_bits=prime_bits, dropped=Dropped(0, 0))
            if isinstance(other, CkksPlan):
                yield replace(other, scale_bits=prime_bits - 1 - largest.bit_length())
            elif isinstance(other, BfvPlan):
                yield replace(other, plain_modulus=next_prime(largest + 1, residue=1, step=2 * DEGREE))


def with_bits_dropped(p: HePlan) -> Iterator[HePlan]:
    """The same, and every pair of numbers of bits that could be left out as well, as long as the sum is exact."""
    for other in layouts(p):
        if isinstance(other, CkksPlan):
            yield other
            continue
        for second in range(50):
            if replace(other, dropped=Dropped(0, second)).failure_bits < FAILURE_BITS:
                break
            for first in range(50):
                dropped = replace(other, dropped=Dropped(first, second))
                if dropped.failure_bits < FAILURE_BITS:
                    break
                yield dropped


ROWS_BYTES = 2 * 64 * 8
"""What two runs of words hold at most beside values: the planner saves bits, and does not count what fills up rows."""


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.sampled_from(HE_SCHEMES), banks_, parameters_, bits_)
def test_a_plan_is_as_small_as_trying_all_layouts_can_make_it(
    scheme: str, banks: int, parameters: int, bits: int
) -> None:
    try:
        p = he_plan(scheme, banks, parameters, bits)
    except PlanError:
        assume(False)
    exact = [other for other in with_bits_dropped(p) if other.failure_bits >= FAILURE_BITS]
    assert p.failure_bits >= FAILURE_BITS
    assert p.upload_bytes <= min(other.upload_bytes for other in exact) + ROWS_BYTES
    if scheme == "ckks":
        assert p in exact, "where no bits are dropped nothing is left to chance"
        same = [o for o in exact if o.upload_bytes == p.upload_bytes]
        assert p.failure_bits == max(other.failure_bits for other in same)


@pytest.mark.parametrize("failure_bits", [20, 40])
@pytest.mark.parametrize("coefficients", [(4096, 4096), (60_000, 4096), (1, 4096)])
@pytest.mark.parametrize("bound", [0, 400, 10**5, 10**9])
def test_no_way_to_drop_bits_saves_more(bound: float, coefficients: tuple[int, int], failure_bits: int) -> None:
    """By trying all. Where nothing may be dropped that is the way; where not even that is exact there is none.

    The bound is recomputed: 2 n p exp(-B**2 / (2 sigma**2)) for n coefficients and p parts, 333 of B gone where second
    polynomials lose bits.
    """
    noise, fresh = math.sqrt(3), 15.0

    def fails_seldom(dropped: Dropped) -> bool:
        sigma = noise * (fresh + deviation_of(dropped))
        left = bound - 333 if dropped.second else bound
        parts = 1 + (dropped.first > 0) + (dropped.second > 0)
        return left > 0 and 2 * parts * coefficients[0] * math.exp(-(left**2) / 2 / sigma**2) <= 2.0**-failure_bits

    ways = [Dropped(a, b) for a in range(40) for b in range(40) if fails_seldom(Dropped(a, b))]
    found = list(most_dropped(bound, noise, fresh, coefficients, failure_bits))

    def saved(way: Dropped) -> int:
        return way.first * coefficients[0] + way.second * coefficients[1]

    assert len(found) == bool(ways)
    if found:
        assert found[0] in ways
        assert saved(found[0]) == max(map(saved, ways))


def test_the_deviation_of_missing_bits_is_that_of_uniform_numbers_and_of_those_times_a_key() -> None:
    assert deviation_of(Dropped(0, 0)) == 0
    assert deviation_of(Dropped(5, 0)) == pytest.approx(32 / math.sqrt(12))
    key = math.sqrt((2 / 3 + 1 / 8) * 4096)
    assert deviation_of(Dropped(0, 4)) == pytest.approx(16 / math.sqrt(12) * key)
    assert deviation_of(Dropped(5, 4)) == pytest.approx((32 + 16 * key) / math.sqrt(12))


@pytest.mark.parametrize(
    ("scheme", "banks", "parameters", "bits", "safe"),
    [
        ("ckks", 3, 1_000_000, 8, True),
        ("ckks", 10, 1_000_000, 8, False),
        ("bfv", 10, 1_000_000, 8, False),
        ("rlwe", 10, 1_000_000, 8, False),
    ],
)
def test_the_figures_of_common_plans(scheme: str, banks: int, parameters: int, bits: int, safe: bool) -> None:
    p = he_plan(scheme, banks, parameters, bits)
    figures = p.derived()
    assert p.failure_bits >= 40
    assert figures["failure_probability"] == f"2^-{min(math.floor(p.failure_bits), 128)}"
    assert (p.repeated_failure_bits >= 40) == safe
    assert figures["failure_probability_repeated"] == bound_in_words(p.repeated_failure_bits)


@every_he_scheme
@pytest.mark.parametrize("banks", [3, 10, 1000])
def test_the_life_of_a_key_ends_before_a_failure_is_likely(scheme: str, banks: int) -> None:
    p = he_plan(scheme, banks, 10_369, 8)
    assert p.derived()["sums_of_a_key"] == p.sums_of_a_key >= 2**20
    lives = [other for other in layouts(p) if other.failure_bits >= 20]
    assert scheme != "ckks" or min(other.sums_of_a_key for other in lives) < 2**40
    for other in [p, *lives]:
        assert math.log2(other.sums_of_a_key) - other.failure_bits <= -20
        if other.sums_of_a_key < 2**40:
            assert math.log2(other.sums_of_a_key + 1) - other.failure_bits > -20


def test_the_fraud_model_uploads_little() -> None:
    assert ckks_plan(3, 10_379, 8).upload_bytes <= 120_000


def upload_of(p: HePlan) -> bytes:
    """One bank's payload."""
    assert p.bits is not None
    cohort = Cohort(p, 1, tuple(f"bank-{row}" for row in range(p.banks)), ("key-authority",))
    values = np.random.default_rng(0).integers(0, 1 << p.bits, p.parameters)
    answer = HeDeployment(p).client(cohort, "bank-0", values).respond(seal(cohort, "upload", AGGREGATOR, "bank-0"))
    assert len(answer) <= p.upload_bytes
    return bytes(open_message(cohort, answer, recipient=AGGREGATOR, sender="bank-0").payload)


@every_he_scheme
@pytest.mark.parametrize(
    ("banks", "parameters", "bits"), [(3, 1, 4), (3, 10_369, 8), (10, 4096, 12), (10, 200_001, 8), (300, 5000, 16)]
)
def test_an_upload_is_exactly_as_long_as_planned(scheme: str, banks: int, parameters: int, bits: int) -> None:
    p = he_plan(scheme, banks, parameters, bits)
    assert len(upload_of(p)) == p.upload_bytes - 256


@pytest.mark.parametrize("prime_bits", [40, 47, 54, 60])
def test_an_upload_is_exactly_as_long_as_planned_under_every_prime(prime_bits: int) -> None:
    p = replace(ckks_plan(3, 3 * SLOTS, 16), fields_per_slot=1, prime_bits=prime_bits, scale_bits=prime_bits - 20)
    assert len(upload_of(p)) == p.upload_bytes - 256 == 3 * 2 * DEGREE * prime_bits // 8


def test_a_plan_can_be_made_shorter_but_not_longer() -> None:
    p = ckks_plan(3, 1000, 8)
    assert p.resized(10) == replace(p, parameters=10)
    with pytest.raises(PlanError, match="for 1000 parameters, not 1001"):
        p.resized(1001)


def test_a_threshold_is_a_whole_number() -> None:
    with pytest.raises(PlanError):
        plan("plaintext", 3, 10, 8, 2.5)  # type: ignore[arg-type]


def errors(
    prime_bits: int, scale_bits: int, banks: int, keys: int, shape: str = "random", repeated: bool = False
) -> NDArray[np.float64]:
    """Decode errors of the slots of real sums, in units of the standard deviation that the planner claims.

    `repeated`: one ciphertext is added as often as there are banks.
    """
    largest = 2 ** (prime_bits - 1 - scale_bits - 1) // banks
    rng = np.random.default_rng(138)

    def slots() -> NDArray[np.float64]:
        if shape == "random":
            return rng.integers(-largest, largest, SLOTS).astype(np.float64)
        return np.full(SLOTS, {"low": -largest, "high": largest - 1}[shape], dtype=np.float64)

    def one_key() -> NDArray[np.float64]:
        parameters = HeParameters("ckks", prime_bits, scale_bits=scale_bits)
        secret = SecretContext(parameters)
        public = PublicContext.load(secret.public_key(), parameters)
        updates = [slots().astype(np.int64) for _ in range(1 if repeated else banks)]
        encrypted = [public.encrypt(update[None]) for update in updates]
        times, modulus = banks if repeated else 1, np.uint64(data_moduli(parameters)[0])
        halves = zip(*encrypted * times, strict=True)
        first, second = (reduce(lambda total, one: (total + one) % modulus, half) for half in halves)
        return np.asarray(secret.decrypt(first, second) - times * np.sum(updates, axis=0))

    sigma = NOISE * (banks if repeated else math.sqrt(banks)) / 2**scale_bits
    measured: NDArray[np.float64] = np.concatenate([one_key() for _ in range(keys)]) / sigma
    return measured


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prime_bits", "scale_bits", "banks"),
    [(49, 20, 3), (50, 19, 100), (54, 17, 16), (54, 30, 5), (57, 16, 3), (60, 16, 3), (60, 22, 30)],
)
def test_the_noise_has_the_claimed_deviation(prime_bits: int, scale_bits: int, banks: int) -> None:
    assert errors(prime_bits, scale_bits, banks, keys=6).std() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(("prime_bits", "scale_bits", "banks"), [(49, 20, 3), (60, 22, 10)])
def test_one_ciphertext_added_many_times_has_the_claimed_deviation(
    prime_bits: int, scale_bits: int, banks: int
) -> None:
    assert errors(prime_bits, scale_bits, banks, keys=8, repeated=True).std() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("shape", ["low", "high"])
def test_the_largest_payloads_add_no_noise(shape: str) -> None:
    measured = errors(60, 16, 3, keys=8, shape=shape)
    assert measured.std() == pytest.approx(1, rel=0.1)
    assert abs(measured.mean()) < 0.1


@pytest.mark.slow
def test_the_tail_is_laplacian() -> None:
    """A Gaussian tail would be a fifth of this at three deviations and a fiftieth at four."""
    measured = np.abs(errors(54, 17, 3, keys=60))
    for t in (2, 3, 4):
        expected = math.exp(-math.sqrt(2) * t)
        # Six standard errors; twice the binomial variance leaves room for slots that share a key.
        tolerance = 6 * math.sqrt(2 * expected / len(measured))
        assert np.mean(measured > t) == pytest.approx(expected, abs=tolerance), f"beyond {t} deviations"


@pytest.mark.parametrize("scale_bits", [11, 12])
def test_sums_with_too_small_a_scale_fail_as_often_as_predicted(scale_bits: int) -> None:
    """The formula that must keep failures below 2**-40, where failures are frequent enough to be counted."""
    p = replace(ckks_plan(3, SLOTS, 16), fields_per_slot=1, prime_bits=54, scale_bits=scale_bits)
    sigma = NOISE * math.sqrt(3) / 2**scale_bits
    wrong = np.mean(np.abs(errors(54, scale_bits, 3, keys=20)) * sigma > 0.5)
    assert wrong == pytest.approx(2**-p.failure_bits / p.slots, rel=0.1)


# Figures, as people and scripts read them

WHOLE: dict[str, dict[str, Any]] = {
    "plaintext": {
        "may_collude_curious": None,
        "may_collude_lying": None,
        "upload_bytes": 256 + 1512,
        "bytes_per_parameter": 1.768,
    },
    "additive": {
        "may_collude_curious": 5,
        "may_collude_lying": None,
        "upload_bytes": 256 + 2000 + 2 * 32 + 64 + 2 * (48 + 32),
        "bytes_per_parameter": 2.544,
        "ring_bits": 16,
        "share_holders": 2,
        "quorum": 2,
        "parts": 2,
        "holders_may_be_silent": 0,
        "holders_may_collude": 1,
        "holders_may_collude_lying": 1,
    },
    "masked": {
        "may_collude_curious": 5,
        "may_collude_lying": 3,
        "upload_bytes": 5 * 256 + 2000 + 9 * 120,
        "bytes_per_parameter": 4.36,
        "ring_bits": 16,
        "degree": 9,
        "share_threshold": 7,
        "witnesses": 10,
        "witness_threshold": 7,
    },
}
"""Of 1,000 values of 12 bits from 10 banks of whom 7 suffice; what is the same for all schemes is left out."""


@pytest.mark.parametrize("scheme", WHOLE)
def test_every_figure_of_a_plan_without_encryption(scheme: str) -> None:
    assert plan(scheme, 10, 1000, 12, threshold=7).derived() == {
        "scheme": scheme,
        "banks": 10,
        "parameters": 1000,
        "bits": 12,
        "threshold": 7,
        "may_vanish": 3,
        "field_bits": 16,
        **WHOLE[scheme],
    }


def test_every_figure_of_a_plan_for_float32() -> None:
    assert plan("plaintext", 5, 1000, "float32").derived() == {
        "scheme": "plaintext",
        "banks": 5,
        "parameters": 1000,
        "bits": "float32",
        "threshold": 3,
        "may_vanish": 2,
        "may_collude_curious": None,
        "may_collude_lying": None,
        "field_bits": 32,
        "upload_bytes": 256 + 4000,
        "bytes_per_parameter": 4.256,
    }


def test_every_figure_of_a_masked_plan_on_a_sparse_graph() -> None:
    """All numbers of the graph differ, so that none can stand for another."""
    p = plan("masked", 2000, 1001, 12)
    assert isinstance(p, MaskedPlan)
    numbers = rules(2000, p.threshold)
    assert len({*numbers, p.threshold}) == 5
    figures = p.derived()
    names = ("degree", "share_threshold", "witnesses", "witness_threshold")
    assert tuple(figures[name] for name in names) == numbers
    assert figures["ring_bits"] == 23
    assert figures["upload_bytes"] == 5 * 256 + words_bytes(1001, 23) + numbers.degree * 120
    assert figures["may_collude_curious"] == most_curious(2000, p.may_vanish, numbers)
    assert figures["may_collude_lying"] == most_liars(2000, numbers)
    assert figures["threshold"] == p.threshold == default_threshold(2000) != 1001


def own_figures(p: HePlan, parameters: int) -> dict[str, Any]:
    """What the plans of a scheme say besides, with the widths and numbers of words that follow from it."""
    slots = math.ceil(parameters / p.fields_per_slot)
    if isinstance(p, RlwePlan):
        ciphertexts = math.ceil(math.ceil(slots / 4096) / p.keys)
        own: dict[str, Any] = {
            "modulus_bits": 54,
            "keys": p.keys,
            "message_bits": p.message_bits,
            "warning": EXPERIMENTAL,
        }
    else:
        assert isinstance(p, CkksPlan | BfvPlan)
        ciphertexts = math.ceil(slots / (2048 if isinstance(p, CkksPlan) else 4096))
        own = {"scale_bits": p.scale_bits} if isinstance(p, CkksPlan) else {"plain_modulus": p.plain_modulus}
        own |= {"coeff_mod_bit_sizes": [p.prime_bits, min(60, 106 - p.prime_bits)]}
    bits = 54 if isinstance(p, RlwePlan) else p.prime_bits
    first = 4096 * ciphertexts if isinstance(p, CkksPlan) else slots
    widths = [bits - p.dropped.first, bits - p.dropped.second]
    upload_bytes = 256 + words_bytes(first, widths[0]) + words_bytes(4096 * ciphertexts, widths[1])
    return own | {
        "ciphertexts": ciphertexts,
        "word_bits": widths,
        "upload_bytes": upload_bytes,
        "bytes_per_parameter": round(upload_bytes / parameters, 3),
    }


def words_bytes(count: int, bits: int) -> int:
    """Of so many packed values: whole columns of 64-bit words, but for machine words, which follow each other."""
    if bits in (8, 16, 32):
        return count * bits // 8
    whole = math.lcm(bits, 64)
    return math.ceil(count * bits / whole) * whole // 8


@every_he_scheme
@pytest.mark.parametrize(("banks", "parameters"), [(10, 100_000), (100, 10_369), (3, 1)])
def test_every_figure_of_a_plan_with_encryption(scheme: str, banks: int, parameters: int) -> None:
    p = he_plan(scheme, banks, parameters, 12, threshold=banks - 1)
    assert p.derived() == {
        "scheme": scheme,
        "banks": banks,
        "parameters": parameters,
        "bits": 12,
        "threshold": banks - 1,
        "may_vanish": 1,
        "may_collude_curious": banks - 3,
        "may_collude_lying": None,
        "field_bits": 12 + math.ceil(math.log2(banks)),
        "poly_modulus_degree": 4096,
        "fields_per_slot": p.fields_per_slot,
        "dropped_bits": [p.dropped.first, p.dropped.second],
        "failure_probability": bound_in_words(p.failure_bits),
        "failure_probability_repeated": bound_in_words(p.repeated_failure_bits),
        "sums_of_a_key": int(2 ** min(p.failure_bits - 20, 40)),
        **own_figures(p, parameters),
    }


@every_he_scheme
@pytest.mark.parametrize("parameters", [1, 10_369, 1_000_000])
def test_a_sum_travels_whole(scheme: str, parameters: int) -> None:
    """To the key authority: as many words as in an upload, at the width of the modulus."""
    p = he_plan(scheme, 10, parameters, 8)
    assert [run.count for run in p.summed_words] == [run.count for run in p.words]
    assert {run.bits for run in p.summed_words} == {p.modulus_bits}


def bound_in_words(bits: float) -> str:
    """2**-bits, rounded up to a power of two; nothing that is more than a half is called a bound."""
    return f"2^-{min(int(bits // 1), 128)}" if bits >= 1 else "no bound"


@pytest.mark.parametrize(("bits", "said"), [(0.99, "no bound"), (1.0, "2^-1"), (40.9, "2^-40"), (128.5, "2^-128")])
def test_a_probability_in_words_is_never_smaller_than_it_is(bits: float, said: str) -> None:
    assert probability(bits) == said == bound_in_words(bits)


def test_a_refusal_of_ckks_states_what_a_slot_would_need() -> None:
    """Checked with numbers of its own: the sum's bits, and the scale at which a slot of so many fails rarely enough."""
    with pytest.raises(PlanError) as refused:
        plan("ckks", 10_000, 100_000_000, 24)
    found = re.search(
        r"needs (\d+) bits, plus (\d+) against the noise, and a CKKS slot holds (\d+)", str(refused.value)
    )
    assert found is not None
    needed, against_noise, held = map(int, found.groups())
    assert needed == 24 + math.ceil(math.log2(10_000 * 257 / 256))
    assert held == 60 - 1
    assert needed + against_noise > held

    def failure_bits(scale_bits: int) -> float:
        sigma: float = NOISE * math.sqrt(10_000) / 2**scale_bits
        return math.sqrt(2) / 2 / sigma * math.log2(math.e) - math.log2(100_000_000)

    assert failure_bits(against_noise) >= 40 > failure_bits(against_noise - 1)


def test_a_refusal_of_a_ring_states_what_it_would_need() -> None:
    for scheme in ("additive", "masked"):
        with pytest.raises(
            PlanError, match=r"the sum of 300 banks x 24 bits needs 33 bits .* has 32; use at most 23 bits"
        ):
            plan(scheme, 300, 10, 24)


def test_a_refusal_of_our_own_ring_states_what_it_would_need() -> None:
    with pytest.raises(
        PlanError, match=r"the sum of 10000 banks x 24 bits needs 38 bits, .* too few of 54 .*; use at most \d+ bits"
    ):
        plan("rlwe", 10_000, 10, 24)
