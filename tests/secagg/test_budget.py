"""The planner: what it accepts works, what it refuses says what to change, and its noise model is the real one."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secure_fl.errors import PlanError
from secure_fl.secagg.budget import BfvPlan, CkksPlan, HeParameters, MaskedPlan
from secure_fl.secagg.budget.he import CIPHERTEXT_BYTES, NOISE, SAFETY_COST, _probability
from secure_fl.secagg.graph import default_threshold, most_curious, most_liars, rules
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he.deployment import HeDeployment
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.planning import plan
from secure_fl.secagg.primes import next_prime

SLOTS = 2048

banks_ = st.one_of(st.integers(3, 40), st.integers(3, 10_000))
bits_ = st.integers(4, 24)
parameters_ = st.integers(0, 8).flatmap(lambda digits: st.integers(1, 10**digits))


def ckks_plan(banks: int, parameters: int, bits: int, threshold: int | None = None) -> CkksPlan:
    planned = plan("ckks", banks, parameters, bits, threshold)
    assert isinstance(planned, CkksPlan)
    return planned


@settings(deadline=None, max_examples=500)
@given(banks_, parameters_, bits_)
def test_an_accepted_plan_keeps_every_promise(banks: int, parameters: int, bits: int) -> None:
    try:
        p = ckks_plan(banks, parameters, bits)
    except PlanError:
        assume(False)
    payload_bits = p.fields_per_slot * p.field_bits
    assert banks * (2**bits - 1) < 2**p.field_bits
    assert payload_bits + p.scale_bits + 1 <= p.prime_bits
    sizes = p.parameters_of_context.coeff_mod_bit_sizes
    assert p.prime_bits == sizes[0]
    assert sum(sizes) <= 106
    assert max(sizes) <= 60
    assert p.failure_bits >= 25
    assert p.slots * p.fields_per_slot >= parameters
    assert p.ciphertexts * SLOTS >= p.slots
    assert (p.banks, p.parameters, p.bits, p.threshold) == (banks, parameters, bits, banks // 2 + 1)


@pytest.mark.parametrize("banks", [8193, 10_000])
@pytest.mark.parametrize("parameters", [30_000_000, 100_000_000])
def test_the_advice_of_a_refusal_works_and_is_tight(banks: int, parameters: int) -> None:
    with pytest.raises(PlanError, match="use at most") as refused:
        plan("ckks", banks, parameters, 24)
    advised = re.search(r"use at most (\d+) bits or fewer banks", str(refused.value))
    assert advised is not None
    plan("ckks", banks, parameters, int(advised[1]))
    plan("ckks", banks // 2, parameters, 24)
    with pytest.raises(PlanError):
        plan("ckks", banks, parameters, int(advised[1]) + 1)


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
    ("banks", "parameters", "bits", "fields", "bytes_per_parameter"),
    [
        (16, 1_000_000, 8, 3, 10.3),
        (10, 1_000_000, 8, 3, 10.2),
        (3, 1_000_000, 16, 2, 15.2),
        (100, 1_000_000, 8, 2, 15.1),
        (3, 1_000_000, 8, 4, 7.9),
        (3, 1_000_000, 24, 1, 30.5),
    ],
)
def test_packing_is_as_dense_as_the_design_promises(
    banks: int, parameters: int, bits: int, fields: int, bytes_per_parameter: float
) -> None:
    p = ckks_plan(banks, parameters, bits)
    assert p.fields_per_slot >= fields
    assert p.upload_bytes <= bytes_per_parameter * parameters


def layouts(p: CkksPlan | BfvPlan) -> Iterator[CkksPlan | BfvPlan]:
    """Every layout that the planner could have taken instead."""
    for fields, prime_bits in itertools.product(range(1, 16), CIPHERTEXT_BYTES):
        payload_bits = fields * p.field_bits
        if payload_bits + 1 >= prime_bits:
            continue
        other = replace(p, fields_per_slot=fields, prime_bits=prime_bits)
        if isinstance(other, CkksPlan):
            yield replace(other, scale_bits=prime_bits - 1 - payload_bits)
        else:
            yield replace(other, plain_modulus=next_prime(1 << payload_bits, residue=1, step=2 * 4096))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["ckks", "bfv"]), banks_, parameters_, bits_)
def test_a_plan_is_as_safe_as_a_small_share_of_its_bytes_can_make_it(
    scheme: str, banks: int, parameters: int, bits: int
) -> None:
    try:
        p = plan(scheme, banks, parameters, bits)
    except PlanError:
        assume(False)
    assert isinstance(p, (CkksPlan, BfvPlan))
    exact = [other for other in layouts(p) if other.failure_bits >= 25]
    smallest = min(other.upload_bytes for other in exact)
    within = [other for other in exact if other.upload_bytes < (1 + SAFETY_COST) * smallest]
    assert p in within
    if p.repeated_failure_bits < 40:
        assert max(other.repeated_failure_bits for other in within) < 40
        assert p.failure_bits >= min(40, max(other.failure_bits for other in within))
    as_safe = [
        other
        for other in within
        if other.failure_bits >= min(40, p.failure_bits)
        and (other.repeated_failure_bits >= 40 or p.repeated_failure_bits < 40)
    ]
    assert p.upload_bytes == min(other.upload_bytes for other in as_safe)
    assert p.failure_bits == max(other.failure_bits for other in as_safe if other.upload_bytes == p.upload_bytes)


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
@pytest.mark.parametrize(
    ("banks", "parameters", "repeated"),
    [(3, 10_369, ("ckks", "bfv")), (10, 1_000_000, ("ckks",)), (100, 10_369, ())],
)
def test_the_figures_of_common_plans(scheme: str, banks: int, parameters: int, repeated: tuple[str, ...]) -> None:
    p = plan(scheme, banks, parameters, 8)
    assert isinstance(p, (CkksPlan, BfvPlan))
    figures = p.derived()
    assert p.failure_bits >= 40
    assert figures["failure_probability"] == f"2^-{min(math.floor(p.failure_bits), 128)}"
    if scheme not in repeated:
        assert figures["failure_probability_repeated"] == "no bound"
    else:
        assert p.repeated_failure_bits >= 40
        assert figures["failure_probability_repeated"] == f"2^-{min(math.floor(p.repeated_failure_bits), 128)}"


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
@pytest.mark.parametrize("banks", [3, 10, 1000])
def test_the_life_of_a_key_ends_before_a_failure_is_likely(scheme: str, banks: int) -> None:
    p = plan(scheme, banks, 10_369, 8)
    assert isinstance(p, (CkksPlan, BfvPlan))
    assert p.derived()["sums_of_a_key"] == p.sums_of_a_key
    lives = [other for other in layouts(p) if other.failure_bits >= 20]
    assert scheme == "bfv" or min(other.sums_of_a_key for other in lives) < 2**40
    for other in lives:
        assert math.log2(other.sums_of_a_key) - other.failure_bits <= -20
        if other.sums_of_a_key < 2**40:
            assert math.log2(other.sums_of_a_key + 1) - other.failure_bits > -20


def test_the_fraud_model_uploads_little() -> None:
    assert ckks_plan(3, 10_379, 8).upload_bytes <= 130_000


@pytest.mark.parametrize("prime_bits", CIPHERTEXT_BYTES)
def test_the_estimate_of_an_upload_is_close(prime_bits: int) -> None:
    p = replace(ckks_plan(3, 3 * SLOTS, 16), fields_per_slot=1, prime_bits=prime_bits, scale_bits=prime_bits - 20)
    cohort = Cohort(p, 1, ("a", "b", "c"), ("key-authority",))
    values = np.random.default_rng(0).integers(0, 1 << 16, p.parameters)
    upload = HeDeployment(p).client(cohort, "a", values).respond(seal(cohort, "upload", AGGREGATOR, "a"))
    assert p.upload_bytes == pytest.approx(len(upload), rel=0.03)


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
        updates = [slots().astype(np.int64) for _ in range(1 if repeated else banks)] * (banks if repeated else 1)
        encrypted = [public.encrypt(update) for update in updates[: 1 if repeated else banks]]
        total, *others = [public.load_vector(encrypted[0 if repeated else place]) for place in range(banks)]
        for other in others:
            total.add(other)
        exact: NDArray[np.float64] = np.sum(updates, axis=0)
        return secret.decrypt(total.serialize()) - exact

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
    """The formula that must keep failures below 2**-25, where failures are frequent enough to be counted."""
    p = replace(ckks_plan(3, SLOTS, 16), fields_per_slot=1, prime_bits=54, scale_bits=scale_bits)
    sigma = NOISE * math.sqrt(3) / 2**scale_bits
    wrong = np.mean(np.abs(errors(54, scale_bits, 3, keys=20)) * sigma > 0.5)
    assert wrong == pytest.approx(2**-p.failure_bits / p.slots, rel=0.1)


# Figures, as people and scripts read them

WHOLE: dict[str, dict[str, Any]] = {
    "plaintext": {
        "may_collude_curious": None,
        "may_collude_lying": None,
        "upload_bytes": 256 + 1500,
        "bytes_per_parameter": 1.756,
    },
    "additive": {
        "may_collude_curious": 5,
        "may_collude_lying": None,
        "upload_bytes": 256 + 2000,
        "bytes_per_parameter": 2.256,
        "ring_bits": 16,
        "share_holders": 2,
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
    assert figures["ring_bits"] == 24, "a field of 23 bits"
    assert figures["upload_bytes"] == 5 * 256 + 3 * 1001 + numbers.degree * 120
    assert figures["may_collude_curious"] == most_curious(2000, p.may_vanish, numbers)
    assert figures["may_collude_lying"] == most_liars(2000, numbers)
    assert figures["threshold"] == p.threshold == default_threshold(2000) != 1001


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
@pytest.mark.parametrize(("banks", "parameters"), [(10, 100_000), (100, 10_369), (3, 1)])
def test_every_figure_of_a_plan_with_encryption(scheme: str, banks: int, parameters: int) -> None:
    p = plan(scheme, banks, parameters, 12, threshold=banks - 1)
    assert isinstance(p, (CkksPlan, BfvPlan))
    figures = p.derived()
    slots = math.ceil(parameters / p.fields_per_slot)
    ciphertexts = math.ceil(slots / (2048 if scheme == "ckks" else 4096))
    upload_bytes = 256 + ciphertexts * CIPHERTEXT_BYTES[p.prime_bits]
    own = {"scale_bits": p.scale_bits} if isinstance(p, CkksPlan) else {"plain_modulus": p.plain_modulus}
    assert figures == {
        "scheme": scheme,
        "banks": banks,
        "parameters": parameters,
        "bits": 12,
        "threshold": banks - 1,
        "may_vanish": 1,
        "may_collude_curious": banks - 3,
        "may_collude_lying": None,
        "field_bits": 12 + math.ceil(math.log2(banks)),
        "upload_bytes": upload_bytes,
        "bytes_per_parameter": round(upload_bytes / parameters, 3),
        "poly_modulus_degree": 4096,
        "coeff_mod_bit_sizes": [p.prime_bits, min(60, 106 - p.prime_bits)],
        "fields_per_slot": p.fields_per_slot,
        "ciphertexts": ciphertexts,
        "failure_probability": bound_in_words(p.failure_bits),
        "failure_probability_repeated": bound_in_words(p.repeated_failure_bits),
        "sums_of_a_key": int(2 ** min(p.failure_bits - 20, 40)),
        **own,
    }


def bound_in_words(bits: float) -> str:
    """2**-bits, rounded up to a power of two; nothing that is more than a half is called a bound."""
    return f"2^-{min(int(bits // 1), 128)}" if bits >= 1 else "no bound"


@pytest.mark.parametrize(("bits", "said"), [(0.99, "no bound"), (1.0, "2^-1"), (40.9, "2^-40"), (128.5, "2^-128")])
def test_a_probability_in_words_is_never_smaller_than_it_is(bits: float, said: str) -> None:
    assert _probability(bits) == said == bound_in_words(bits)


def test_a_refusal_of_ckks_states_what_a_slot_would_need() -> None:
    """Checked with numbers of its own: the sum's bits, and the scale at which a slot of so many fails rarely enough."""
    with pytest.raises(PlanError) as refused:
        plan("ckks", 10_000, 100_000_000, 24)
    found = re.search(
        r"needs (\d+) bits, plus (\d+) against the noise, and a CKKS slot holds (\d+)", str(refused.value)
    )
    assert found is not None
    needed, against_noise, held = map(int, found.groups())
    assert needed == 24 + math.ceil(math.log2(10_000))
    assert held == 60 - 1
    assert needed + against_noise > held

    def failure_bits(scale_bits: int) -> float:
        sigma: float = NOISE * math.sqrt(10_000) / 2**scale_bits
        return math.sqrt(2) / 2 / sigma * math.log2(math.e) - math.log2(100_000_000)

    assert failure_bits(against_noise) >= 25 > failure_bits(against_noise - 1)


def test_a_refusal_of_a_ring_states_what_it_would_need() -> None:
    for scheme in ("additive", "masked"):
        with pytest.raises(
            PlanError, match=r"the sum of 300 banks x 24 bits needs 33 bits .* has 32; use at most 23 bits"
        ):
            plan(scheme, 300, 10, 24)
