"""CKKS under a key that nobody has: what slots do to rounding, to noise, and to what is told beside the sum."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenseal import sealapi

from secure_fl.errors import DropoutError, PlanError, ProtocolError
from secure_fl.secagg import plan, simulate
from secure_fl.secagg.budget import Committee
from secure_fl.secagg.budget.slots import FLOAT_ERROR, PRECISION, SlotPlan, plan_slots
from secure_fl.secagg.budget.threshold import KeyRing
from secure_fl.secagg.committed.wire import HASH_BYTES, PROOF_BYTES
from secure_fl.secagg.hazmat import he_words
from secure_fl.secagg.hazmat.collective import Transform, data_moduli
from secure_fl.secagg.hazmat.collective_secret import smudging
from secure_fl.secagg.messages import HEADER_BYTES
from secure_fl.secagg.packing import IntVector, Words, pack_fields
from secure_fl.secagg.protocol import Outcome, Party, run_protocol
from secure_fl.secagg.schemes import scheme_of
from secure_fl.secagg.threshold.embedding import to_coefficients, to_slots
from secure_fl.secagg.threshold.encoding import decode, encode
from secure_fl.secagg.threshold.numbers import as_floats, rebuilt
from secure_fl.secagg.threshold.rounding import restored, rounded
from secure_fl.secagg.threshold.wire import OPEN, in_use
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session
from tests.secagg.altered import Altered

COMMITTEES = [(2, 2), (3, 2), (3, 3), (4, 3), (5, 3)]
LARGE = [pytest.param(*committee, marks=pytest.mark.slow) for committee in COMMITTEES[3:]]
N = 8192


def planned(banks: int, parameters: int, bits: int = 8, committee: tuple[int, int] = (3, 2)) -> SlotPlan:
    return plan_slots("ckks", banks, parameters, bits, banks // 2 + 1, Committee(*committee))


def moduli(ring: KeyRing) -> list[int]:
    return [int(modulus) for modulus in data_moduli(ring).reshape(-1)]


def integers(ring: KeyRing, residues: Words) -> list[int]:
    """In (-q/2, q/2], by Python's integers; residues of shape [numbers, primes]."""
    primes = moduli(ring)
    q = math.prod(primes)
    weights = [q // m * pow(q // m, -1, m) for m in primes]
    found = [sum(r * w for r, w in zip(row, weights, strict=True)) % q for row in residues.tolist()]
    return [number - q if number > q // 2 else number for number in found]


def residues(ring: KeyRing, numbers: Sequence[int]) -> Words:
    return np.array([[number % modulus for modulus in moduli(ring)] for number in numbers], dtype=np.uint64)


def summed(p: SlotPlan, polynomials: Sequence[Words]) -> Words:
    total: Words = np.sum(polynomials, axis=0, dtype=np.uint64) % data_moduli(p.ring).reshape(-1)
    return total


def packed(p: SlotPlan, values: IntVector, banks: int = 1) -> IntVector:
    return pack_fields(values, p.fields, p.field_base) - banks * p.centre


class Scene:
    """Four banks with their numbers, and a committee with its key."""

    def __init__(self, n: int, t: int, parameters: int = 40) -> None:
        self.scheme = scheme_of("ckks", Committee.of(n, t))
        self.plan: Any = plan("ckks", 4, parameters, 8, holders=n, quorum=t)
        self.updates = np.random.default_rng(n).integers(0, 256, (4, parameters))
        self.there: Any = self.scheme.deploy(self.plan)
        self.banks = tuple(f"bank-{k}" for k in range(1, 5))
        cohort = self.scheme.cohort(self.plan, 1, self.banks, session=new_session())
        self.there.setup(cohort, Transcript())
        self.members = cohort.trustees

    def run(
        self,
        silent: Sequence[str] = (),
        lies: tuple[str, str, Callable[[bytes], bytes]] | None = None,
        garbage: str | None = None,
    ) -> Outcome:
        """`garbage`: a bank that commits to any bytes."""
        cohort = self.scheme.cohort(self.plan, 1, self.banks, session=new_session())
        parties: dict[str, Party] = {
            bank: self.there.client(cohort, bank, row) for bank, row in zip(self.banks, self.updates, strict=True)
        }
        parties |= self.there.trustees(cohort)
        if lies is not None:
            name, stage, change = lies
            parties[name] = Altered(parties[name], cohort, name, stage, change)
        if garbage is not None:
            rng, runs = np.random.default_rng(3), (self.plan.first, self.plan.second)
            pieces = tuple(rng.bytes(run.nbytes) for run in runs)
            parties[garbage]._encrypt = lambda: pieces  # type: ignore[attr-defined]
        dropped = dict.fromkeys(silent, OPEN)
        return run_protocol(cohort, self.there.server(cohort), parties, Transcript(), dropped)


# Quorums


@pytest.mark.parametrize(("n", "t"), [(2, 2), (3, 2), (3, 3), *LARGE])
def test_every_quorum_opens_the_same_exact_sum_and_fewer_open_nothing(n: int, t: int) -> None:
    scene = Scene(n, t)
    for silent in itertools.chain.from_iterable(itertools.combinations(scene.members, k) for k in range(n - t + 1)):
        assert scene.run(silent).sum.total.tolist() == scene.updates.sum(axis=0).tolist()
    with pytest.raises(DropoutError, match=f"did not answer, and {t} key holders must"):
        scene.run(scene.members[: n - t + 1])


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(COMMITTEES), st.integers(3, 5), st.sampled_from([4, 8, 16, 24]), st.integers(1, 30_000), st.data()
)
def test_sums_are_exact_whatever_the_committee(
    committee: tuple[int, int], banks: int, bits: int, parameters: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    updates = rng.integers(0, 2**bits, (banks, parameters))
    updates[:, :: data.draw(st.integers(1, 9))] = data.draw(st.sampled_from([0, 2**bits - 1]))
    found = simulate("ckks", updates, bits, holders=committee[0], quorum=committee[1])
    assert (found.total == updates.sum(axis=0)).all()
    assert isinstance(found.plan, SlotPlan)
    sent = found.plan.first.nbytes + found.plan.second.nbytes + HASH_BYTES + PROOF_BYTES
    assert found.upload_bytes[0] - 2 * HEADER_BYTES == sent


def test_what_no_sum_is_opens_to_nothing() -> None:
    scene = Scene(3, 2)

    def noise(payload: bytes) -> bytes:
        return bytes(np.random.default_rng(3).integers(0, 256, len(payload), dtype=np.uint8))

    with pytest.raises(ProtocolError, match="does not open a sum of these banks"):
        scene.run(lies=(scene.members[0], OPEN, noise))
    with pytest.raises(ProtocolError, match="does not open a sum of these banks"):
        scene.run(garbage="bank-1")
    assert set(scene.run(lies=("bank-1", "upload", noise)).refused) == {"bank-1"}, "no longer what it committed to"


def test_a_sum_beyond_what_its_banks_can_have_added_up_is_not_released() -> None:
    p = planned(10, 1000)
    total = summed(p, [encode(p, np.full(1000, 255))] * 9)
    assert decode(p, total, 9).tolist() == [9 * 255] * 1000
    with pytest.raises(ProtocolError, match="does not open a sum of these banks"):
        decode(p, total, 8)
    beside = np.zeros((1, N // 2))
    beside[0, -1] = 1.0
    made = polynomial(p, np.zeros((1, N // 2)), beside)
    with pytest.raises(ProtocolError, match="does not open"):
        decode(p, summed(p, [total, residues(p.ring, made)]), 9)


# The embedding


@cache
def roots() -> list[Any]:
    """exp(i pi k / N) to 75 digits, without anything of ours."""
    with mpmath.workprec(250):
        return [mpmath.expjpi(mpmath.mpf(k) / N) for k in range(2 * N)]


def exact_coefficient(slots: Sequence[complex], place: int) -> Any:
    """N/2 times the coefficient at X**place of the polynomial with these values at z**(4j + 1)."""
    with mpmath.workprec(250):
        terms = (mpmath.mpc(s.real, s.imag) * roots()[-(4 * j + 1) * place % (2 * N)] for j, s in enumerate(slots) if s)
        return mpmath.fsum(term.real for term in terms)


def polynomial(p: SlotPlan, real: Any, imaginary: Any) -> list[int]:
    """2**shift times what these slots are of, rounded, by fractions."""
    found = to_coefficients(real, imaginary)
    scale = Fraction(2**p.shift, N // 2)
    pairs = zip(found.high.reshape(-1).tolist(), found.low.reshape(-1).tolist(), strict=True)
    return [round((Fraction(high) + Fraction(low)) * scale) for high, low in pairs]


@pytest.mark.slow
def test_coefficients_are_as_precise_as_the_plan_takes_them_to_be() -> None:
    """Against 75 digits: random slots, and the largest ones, all of one sign."""
    rng = np.random.default_rng(1)
    largest = 2.0**31
    for slots in (rng.integers(-(2**31), 2**31, (2, 1, N // 2)).astype(float), np.full((2, 1, N // 2), largest)):
        found = to_coefficients(*slots)
        values = (slots[0, 0] + 1j * slots[1, 0]).tolist()
        for place in (0, 1, 77, N // 2 - 1, N // 2, N - 1):
            with mpmath.workprec(250):
                exact = exact_coefficient(values, place)
                error = abs(exact - mpmath.mpf(found.high[0, place]) - mpmath.mpf(found.low[0, place]))
                assert error <= PRECISION * math.sqrt(2) * largest * (N // 2), place
                assert error < 2.0**-100 * largest * N, "and much more precise than that"


def test_encoding_is_the_rounded_polynomial_of_the_slots() -> None:
    p = planned(10, 60_000)
    values = np.random.default_rng(1).integers(0, 256, 60_000)
    slots = np.zeros((p.ciphertexts, 2, N // 2))
    slots.reshape(-1)[: p.slots] = packed(p, values)
    expected = polynomial(p, slots[:, 0], slots[:, 1])
    found = integers(p.ring, encode(p, values))
    assert p.ciphertexts > 2
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 1
    assert p.unwanted >= p.banks, "which the plan counts"


def test_slots_are_what_the_definition_says_and_come_back() -> None:
    rng = np.random.default_rng(2)
    real, imaginary = rng.normal(size=(2, 3, N // 2))
    coefficients = to_coefficients(real, imaginary).high / (N // 2)
    again = to_slots(coefficients)
    assert np.abs(again[0] - real).max() < 1e-13
    assert np.abs(again[1] - imaginary).max() < 1e-13
    places = np.arange(N)
    for slot in (0, 1, 4095):
        value = (coefficients[1] * np.exp(1j * np.pi * (4 * slot + 1) * places / N)).sum()
        assert abs(value - (real[1, slot] + 1j * imaginary[1, slot])) < 1e-10


def test_float64_is_as_precise_as_the_plan_takes_it_to_be() -> None:
    """Slots that are integers come back with what float64 left of them, for random ones and the largest."""
    rng = np.random.default_rng(3)
    for size, slots in (
        (2.0**38, rng.integers(-(2**38), 2**38, (2, 4, N // 2))),
        (2.0**38, np.full((2, 4, N // 2), 2**38)),
    ):
        pair = to_coefficients(*slots.astype(float))
        again = to_slots((pair.high + pair.low) / (N // 2))
        worst = max(np.abs(again[part] - slots[part]).max() for part in range(2))
        assert worst <= FLOAT_ERROR * math.sqrt(N) * size / 8, "typically far less"


def test_seals_own_decoder_reads_the_slots() -> None:
    """What is encoded is CKKS's: SEAL decodes it, at z**(3**k) or the conjugate's place."""
    p = planned(3, 20_000)
    sizes = list(p.ring.coeff_mod_bit_sizes)
    chosen = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS)
    chosen.set_poly_modulus_degree(N)
    chosen.set_coeff_modulus(sealapi.CoeffModulus.Create(N, sizes))
    context = sealapi.SEALContext(chosen, True, sealapi.SEC_LEVEL_TYPE.TC128)
    values = np.random.default_rng(4).integers(0, 256, 20_000)
    coefficients = np.ascontiguousarray(encode(p, values)[:N].T)
    by_values = Transform(p.ring).to_values(np.stack([coefficients] * 2))[0]
    members = he_words._PLAIN_MEMBERS.pack(*context.first_parms_id(), by_values.size, 2.0**p.shift)
    plain = he_words.loaded(sealapi.Plaintext(), context, he_words._written(members, by_values.reshape(-1)))
    found = np.array(sealapi.CKKSEncoder(context).decode_complex(plain))
    slots = np.zeros((p.ciphertexts, 2, N // 2))
    slots.reshape(-1)[: p.slots] = packed(p, values)
    ours = slots[0, 0] + 1j * slots[0, 1]
    powers = np.array([pow(3, k, 2 * N) for k in range(N // 2)])
    expected = np.where(powers % 4 == 1, ours[powers // 4], ours[(2 * N - powers) // 4].conj())
    assert np.abs(found - expected).max() < 2.0**-10


# Exactness


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.sampled_from(COMMITTEES), st.integers(3, 2_000), st.integers(4, 24), st.integers(1, 300), st.data())
def test_slots_come_back_from_under_whatever_stays_below_a_half(
    committee: tuple[int, int], banks: int, bits: int, parameters: int, data: st.DataObject
) -> None:
    """The largest sums there are, moved in each part of a slot by almost as much as the plan allows."""
    p = planned(banks, parameters, bits, committee)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    total = rng.integers(0, banks * (2**bits - 1), parameters, endpoint=True)
    total[: data.draw(st.integers(0, parameters))] = data.draw(st.sampled_from([0, banks * (2**bits - 1)]))
    slots = np.zeros((1, 2, N // 2))
    slots.reshape(-1)[: p.slots] = packed(p, total, banks)
    room = 0.499 - FLOAT_ERROR * math.sqrt(N) * (banks * p.centre + 1)
    moved = slots + room * rng.choice([-1, 1], slots.shape)
    assert decode(p, residues(p.ring, polynomial(p, moved[:, 0], moved[:, 1])), banks).tolist() == total.tolist()


@pytest.mark.parametrize(("banks", "bits"), [(3, 4), (10, 8), (60, 16), (10_000, 24)])
def test_what_is_not_sent_of_a_coefficient_is_less_than_half_a_step(banks: int, bits: int) -> None:
    p = planned(banks, 100, bits)
    q = math.prod(moduli(p.ring))
    half = 1 << (p.dropped - 1)
    edges = [0, 1, q // 2, half - 1, half, 2 * half - 1, q - half - 1, q - half, q - 2, q - 1]
    rng = np.random.default_rng(banks)
    numbers = edges + [int.from_bytes(rng.bytes(32), "little") % q for _ in range(30)]
    sent = rounded(p, residues(p.ring, numbers))
    assert sent.max() < 1 << p.first.bits
    assert (sent.shape[1], sent.shape[1] * p.first.bits) == (p.pieces, sum(p.ring.prime_bits) - p.dropped)
    again = integers(p.ring, restored(p, sent.reshape(-1)))
    moved = integers(p.ring, residues(p.ring, [a - b for a, b in zip(again, numbers, strict=True)]))
    assert all(-half < off <= half for off in moved)
    assert max(map(abs, moved)) > half // 8, "low bits are left out"
    added = integers(p.ring, restored(p, sent.reshape(-1) * np.uint64(banks)))
    assert added == integers(p.ring, residues(p.ring, [banks * number for number in again]))


def test_floats_of_numbers_lose_nothing_near_zero() -> None:
    p = planned(10, 1_000_000)
    numbers = [0, 1, -1, -(1 << 60), (1 << 60) + 1, -(1 << 112), (1 << 112) - 1]
    found = as_floats(rebuilt(p.ring, residues(p.ring, numbers), 0.5), p.shift)
    for number, given_ in zip(numbers, found.tolist(), strict=True):
        exact = Fraction(number, 1 << p.shift)
        assert abs(Fraction(given_) - exact) <= abs(exact) * Fraction(1, 1 << 51)


def test_noise_in_slots_is_what_the_plan_counts() -> None:
    """What opens, less the sum, has the deviation that the bound on failures is made of."""
    scene = Scene(3, 2, parameters=60_000)
    p, joint = scene.plan, scene.there._joint
    parts = {part: key for member in scene.there._members.values() for part, key in member.parts.items()}
    opened = []
    zeros = np.stack([[joint.encrypt_zero() for _ in range(p.ciphertexts)] for _ in scene.updates])
    for row, zero in zip(scene.updates, zeros, strict=True):
        first = summed(p, [in_use(p, zero[:, 0]), encode(p, row)])
        opened.append(restored(p, rounded(p, first).reshape(-1)))
    second = zeros[:, :, 1].sum(axis=0) % data_moduli(p.ring)
    for part, key in parts.items():
        noise = smudging(p.ring, bytes([part]) * 32, p.smudging, p.coefficients)
        answer = summed(p, [in_use(p, key.times(second)), noise])
        opened.append(restored(p, rounded(p, answer).reshape(-1)))
    coefficients = as_floats(rebuilt(p.ring, summed(p, opened), 0.5), p.shift)
    found = np.stack(to_slots(coefficients.reshape(p.ciphertexts, N)), axis=1).reshape(-1)[: p.slots]
    off = found - packed(p, scene.updates.sum(axis=0), 4)
    variance = len(parts) * 4.0**p.smudging / 3 + (p.banks + len(parts)) * 4.0**p.dropped / 12
    assert off.std() == pytest.approx(math.sqrt(N / 2 * variance) / 2**p.shift, rel=0.05)
    assert np.abs(off).max() < 0.5


# What is told beside the sum


def test_what_opens_beside_the_sum_is_as_small_as_the_plan_says() -> None:
    """Banks' encodings add up to that of the sum, but for errors that smudging is wide enough for."""
    p = planned(10, 30_000)
    updates = np.random.default_rng(5).integers(0, 256, (10, 30_000))
    total = integers(p.ring, summed(p, [encode(p, row) for row in updates]))
    slots = np.zeros((p.ciphertexts, 2, N // 2))
    slots.reshape(-1)[: p.slots] = packed(p, updates.sum(axis=0), 10)
    exact = polynomial(p, slots[:, 0], slots[:, 1])
    off = np.array([a - b for a, b in zip(total, exact, strict=True)], dtype=float)
    assert 0 < np.abs(off).mean() <= p.rounding
    rounding = 10 * (1 + math.sqrt(2 / N) * PRECISION * p.centre * 2.0**p.shift)
    assert p.rounding == pytest.approx(rounding)
    told = (3 - 2 + 1) * p.coefficients * (0.8 * p.deviation + rounding) / 2 ** (p.smudging + 1)
    assert told <= 2.0**-40
    assert p.distance_bits == pytest.approx(-math.log2(told))


def test_float64_would_tell_more_than_smudging_hides() -> None:
    """Why banks encode in pairs: without the lower halves, what one bank alone rounds is not hidden."""
    p = planned(10, 1_000_000)
    values = np.random.default_rng(6).integers(0, 256, p.fields * N)
    slots = packed(p, values).reshape(1, 2, N // 2).astype(float)
    lost = np.abs(to_coefficients(slots[:, 0], slots[:, 1]).low).mean() / (N // 2) * 2.0**p.shift
    distance = 2 * p.coefficients * lost / 2 ** (p.smudging + 1)
    assert distance > 0.1


@pytest.mark.slow
def test_one_less_than_a_quorum_guesses_an_update_as_if_blind() -> None:
    """All parts but one are known: what is left in a slot looks the same for the smallest values and the largest."""
    scene = Scene(3, 2, parameters=1)
    p, joint = scene.plan, scene.there._joint
    known = scene.there._members[scene.members[0]].parts
    assert len(known) == len(p.committee.subsets) - 1
    rng, right, runs = np.random.default_rng(), 0, 10_000
    for _ in range(runs // 200):
        first, second = joint.encrypt_zero()
        rest = first + sum(part.times(second[None])[0] for part in known.values())
        secret = rng.integers(0, 2, 200)
        slots = np.zeros((1, 2, N // 2))
        slots.reshape(-1)[:200] = np.where(secret == 1, 1, -1) * float(p.centre)
        opened = summed(p, [rest.T, residues(p.ring, polynomial(p, slots[:, 0], slots[:, 1]))])
        coefficients = as_floats(rebuilt(p.ring, opened, 0.5), p.shift)
        found = np.stack(to_slots(coefficients[None]), axis=1).reshape(-1)[:200]
        right += int(((found > 0) == (secret == 1)).sum())
    assert abs(right - runs / 2) < 5 * math.sqrt(runs / 4)


# Plans


@pytest.mark.parametrize(
    ("banks", "parameters", "bits", "committee", "bytes_per_parameter"),
    [(10, 1_000_000, 8, (3, 2), 6.72), (10, 1_000_000, 8, (5, 3), 8.96), (3, 10_369, 8, (3, 2), 12.31)],
)
def test_plans_are_as_small_as_the_docs_say(
    banks: int, parameters: int, bits: int, committee: tuple[int, int], bytes_per_parameter: float
) -> None:
    p = planned(banks, parameters, bits, committee)
    assert p.upload_bytes <= bytes_per_parameter * parameters
    assert p.derived()["failure_probability"].startswith("2^-")


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(3, 10_000), st.integers(1, 10**8), st.integers(4, 24), st.sampled_from([*COMMITTEES, (7, 4)]))
def test_an_accepted_plan_keeps_every_promise(
    banks: int, parameters: int, bits: int, committee: tuple[int, int]
) -> None:
    try:
        p = planned(banks, parameters, bits, committee)
    except PlanError as error:
        fewer = int(str(error).partition("use at most ")[2].partition(" ")[0])
        assert fewer < bits
        p = planned(banks, parameters, fewer, committee)
        bits = fewer
    n, q, parts = p.coefficients, math.prod(moduli(p.ring)), len(p.committee.subsets)
    largest = sum(2 ** (bits - 1) * p.field_base**place for place in range(p.fields))
    assert p.field_base > banks * (2**bits - 1)
    assert p.centre == largest
    noises = (2 * parts + banks) * 2.0 ** max(p.smudging, p.dropped) + 20 * p.deviation
    assert math.sqrt(2) * banks * largest * 2**p.shift + noises < q / 2, "the largest coefficient of a sum"
    assert n == math.ceil(math.ceil(parameters / p.fields) / N) * N
    rounding = banks * (1 + math.sqrt(2 / N) * PRECISION * largest * 2**p.shift)
    distance = (committee[0] - committee[1] + 1) * n * (0.8 * p.deviation + rounding) / 2 ** (p.smudging + 1)
    assert distance <= 2.0**-40
    assert p.distance_bits == pytest.approx(-math.log2(distance))
    room = 2**p.shift * (0.5 - FLOAT_ERROR * math.sqrt(N) * (banks * largest + 1))
    room -= N * (20 * p.deviation + rounding + banks + parts)
    variance = N / 2 * (parts * (4**p.smudging / 3 + 4**p.dropped / 6) + banks * 4**p.dropped / 12)
    assert p.dropped <= p.smudging + 1
    assert math.log2(2 * n) - room**2 / (2 * variance) / math.log(2) <= -40
    assert p.first.bits * p.pieces + p.dropped == sum(p.ring.prime_bits)
    assert p.first.count == n * p.pieces
    assert sum(p.ring.coeff_mod_bit_sizes) <= 214, "within the guidelines of 2024 at N = 8192"
    assert q * (1 + 2.0**-44) < 2 ** sum(p.ring.prime_bits), "what is sent has room"
    assert banks << p.first.bits < 2**62


def test_what_no_plan_can_hide_says_how_many_bits_it_could() -> None:
    with pytest.raises(PlanError, match="use at most 13 bits, or bfv"):
        planned(10_000, 10**8, 24)
