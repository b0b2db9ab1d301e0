"""Ciphertexts as words: what travels, what the aggregator adds, and what TenSEAL makes of the same coefficients."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenseal as ts
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HeParameters, HePlan
from secure_fl.secagg.budget.he import Dropped
from secure_fl.secagg.budget.krum import plan_krum
from secure_fl.secagg.hazmat.he_layout import residues
from secure_fl.secagg.hazmat.he_words import coefficients_of, data_moduli, plaintext_of, vector_of
from secure_fl.secagg.he.encoding import encode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.public_keys import SealPublicKey, moduli_of
from secure_fl.secagg.he.secret_keys import SealSecretKey
from secure_fl.secagg.he.server import he_server
from secure_fl.secagg.he.words import Adder, pack_sum, pack_upload, unpack_sum, unpack_upload
from secure_fl.secagg.packing import Words
from tests.secagg.parties import DEGREE, Parties, he_plan, packed

SCHEMES = ("ckks", "bfv", "rlwe")
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


def some_plan(scheme: str) -> HePlan:
    """Of two ciphertexts or so; the last one is not full."""
    if scheme == "krum":
        return plan_krum(5, 3000, 16, 3)
    return he_plan(scheme, 3, 30_000)


def random_halves(plan: HePlan, rng: np.random.Generator, largest: bool = False) -> Halves:
    """As fresh ciphertexts have them: each word below its prime."""
    primes = np.repeat(np.array(moduli_of(plan.parameters_of_context), dtype=np.uint64), DEGREE)

    def words(count: int) -> Words:
        below = np.resize(primes, count)
        return below - np.uint64(1) if largest else rng.integers(0, below, dtype=np.uint64)

    return Halves(*map(words, plan.coefficients))


def cut(words: Words, bits: int) -> Words:
    return words >> np.uint64(bits) << np.uint64(bits)


# The wire


@pytest.mark.parametrize("scheme", [*SCHEMES, "krum"])
@pytest.mark.parametrize("dropped", [(0, 0), (11, 0), (0, 11), (7, 12)])
def test_an_upload_comes_back_but_for_the_bits_that_are_dropped(scheme: str, dropped: tuple[int, int]) -> None:
    plan = replace(some_plan(scheme), dropped=Dropped(*dropped))
    halves = random_halves(plan, np.random.default_rng(1))
    payload = packed(plan, halves)
    assert len(payload) == sum(run.nbytes for run in plan.words)
    for back, sent, bits in zip(unpack_upload(plan, payload), halves, dropped, strict=True):
        assert np.array_equal(back, cut(sent, bits))


@every_scheme
def test_first_coefficients_behind_those_in_use_are_left_out(scheme: str) -> None:
    plan = some_plan(scheme)
    first, second = random_halves(plan, np.random.default_rng(1))
    longer = Halves(np.append(first, np.ones(100, dtype=np.uint64)), second)
    assert packed(plan, longer) == packed(plan, Halves(first, second))


@pytest.mark.parametrize("scheme", [*SCHEMES, "krum"])
@pytest.mark.parametrize("dropped", [(0, 0), (11, 0), (7, 12)])
@pytest.mark.parametrize("contributors", [2, 3])
def test_a_sum_comes_back_with_the_mean_of_what_was_dropped(
    scheme: str, dropped: tuple[int, int], contributors: int
) -> None:
    plan = replace(some_plan(scheme), dropped=Dropped(*dropped))
    halves = random_halves(plan, np.random.default_rng(1))
    back = unpack_sum(plan, memoryview(b"".join(pack_sum(plan, halves))), contributors)
    for opened, sent, bits in zip(back, halves, dropped, strict=True):
        assert set((opened - sent).tolist()) == {contributors * (2**bits - 1) // 2}


LENGTHS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda payload: b"",
    "a byte less": lambda payload: payload[:-1],
    "a byte more": lambda payload: payload + b"\0",
    "a word less": lambda payload: payload[:-8],
    "half": lambda payload: payload[: len(payload) // 2],
    "twice": lambda payload: payload * 2,
}


@every_scheme
@pytest.mark.parametrize("change", LENGTHS.values(), ids=LENGTHS)
def test_another_length_is_refused_wherever_words_are_read(scheme: str, change: Callable[[bytes], bytes]) -> None:
    plan = some_plan(scheme)
    halves = random_halves(plan, np.random.default_rng(1))
    upload, total = (change(b"".join(pack(plan, halves))) for pack in (pack_upload, pack_sum))
    adder = Adder(plan)
    adder.add(packed(plan, halves))
    for read in (
        lambda: unpack_upload(plan, memoryview(upload)),
        lambda: adder.add(memoryview(upload)),
        lambda: unpack_sum(plan, memoryview(total), 3),
    ):
        with pytest.raises(MessageError, match="does not hold the ciphertexts of the plan; send it again"):
            read()
    for left, one, bits in zip(adder.total(), halves, plan.dropped, strict=True):
        assert np.array_equal(left, cut(one, bits)), "the sum is as it was"


# The aggregator


def sums(plan: HePlan, uploads: list[Halves]) -> list[list[int]]:
    """Modulo q, in Python's integers."""
    moduli = np.resize(np.repeat(np.array(moduli_of(plan.parameters_of_context), dtype=object), DEGREE), 10**6)
    rows = [
        np.sum([cut(upload[half], plan.dropped[half]).astype(object) for upload in uploads], axis=0) for half in (0, 1)
    ]
    return [(row % moduli[: len(row)]).tolist() for row in rows]


@pytest.mark.parametrize("scheme", [*SCHEMES, "krum"])
@pytest.mark.parametrize("largest", [False, True])
def test_words_are_added_modulo_the_primes_however_many(scheme: str, largest: bool) -> None:
    """More than fit into 64 bits before they are reduced."""
    plan = some_plan(scheme)
    rng, adder = np.random.default_rng(2), Adder(plan)
    room = 1 << (64 - plan.modulus_bits)
    uploads = [random_halves(plan, rng, largest) for _ in range(5)]
    times = 2 * room // len(uploads) + 1 if plan.modulus_bits > 55 else 3
    for upload in uploads * times:
        adder.add(packed(plan, upload))
    found = [half.tolist() for half in adder.total()]
    assert found == sums(plan, uploads * times)
    assert [half.tolist() for half in adder.total()] == found, "reducing changes nothing"
    adder.add(packed(plan, uploads[0]))
    assert [half.tolist() for half in adder.total()] == sums(plan, [*uploads * times, uploads[0]])


def test_a_plan_of_the_largest_primes_is_among_those_that_are_added() -> None:
    assert some_plan("krum").data_primes == 2  # type: ignore[attr-defined]
    assert max(he_plan("ckks", banks, n).modulus_bits for banks in (3, 10, 100) for n in (10_000, 10**6)) > 56


@every_scheme
def test_words_beyond_the_modulus_count_as_what_they_leave(scheme: str) -> None:
    """The largest that fit into their width, from more banks than there is room for before words are reduced."""
    plan = some_plan(scheme)
    adder, largest = Adder(plan), memoryview(b"\xff" * sum(run.nbytes for run in plan.words))
    (modulus,) = moduli_of(plan.parameters_of_context)
    times = 3 << (64 - plan.modulus_bits) if plan.modulus_bits > 55 else 100
    for _ in range(times):
        adder.add(largest)
    for half, run, dropped in zip(adder.total(), plan.words, plan.dropped, strict=True):
        assert len(half) == run.count
        assert set(half.tolist()) == {times * (((1 << run.bits) - 1) << dropped) % modulus}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_ten_thousand_of_the_largest_do_not_overflow(scheme: str) -> None:
    plan = he_plan(scheme, 10_000, 10)
    adder, largest = Adder(plan), memoryview(b"\xff" * sum(run.nbytes for run in plan.words))
    (modulus,) = moduli_of(plan.parameters_of_context)
    for _ in range(10_000):
        adder.add(largest)
    for half, run, dropped in zip(adder.total(), plan.words, plan.dropped, strict=True):
        assert set(half.tolist()) == {10_000 * (((1 << run.bits) - 1) << dropped) % modulus}


@every_scheme
def test_a_key_authority_opens_any_words_or_says_that_they_are_no_sum(scheme: str) -> None:
    """Words of a sum need not be reduced: w and w + q are the same."""
    there = Parties(some_plan(scheme))
    values = np.random.default_rng(3).integers(0, 256, (3, there.plan.parameters))
    total = there.summed(map(there.upload, values))
    spare, modulus = np.uint64((1 << there.plan.modulus_bits) - there.modulus), np.uint64(there.modulus)
    halves = unpack_upload(replace(there.plan, dropped=Dropped(0, 0)), total)
    beyond = Halves(*(np.where(half < spare, half + modulus, half) for half in halves))
    moved = sum(int((a != b).sum()) for a, b in zip(beyond, halves, strict=True))
    assert moved or spare < 2**40, "there are words below the spare ones"
    sent = memoryview(b"".join(pack_sum(there.plan, beyond)))
    assert np.array_equal(there.opened(sent, 3), values.sum(axis=0))


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_a_word_equal_to_the_modulus_is_zero(scheme: str) -> None:
    """SEAL takes no words beyond its modulus."""
    there = Parties(some_plan(scheme))
    zero, modulus = (
        Halves(*(np.full(n, word, dtype=np.uint64) for n in there.plan.coefficients)) for word in (0, there.modulus)
    )
    of_zero, of_modulus = (there.secret.decrypt(there.plan, halves) for halves in (zero, modulus))
    assert np.array_equal(of_zero, of_modulus)


def test_the_aggregator_needs_a_cohort_and_no_key() -> None:
    assert list(inspect.signature(he_server).parameters) == ["cohort"]
    assert list(inspect.signature(Adder).parameters) == ["plan"]


# SEAL's objects, and TenSEAL as the oracle


class Seal:
    """The parties of a scheme of SEAL's, and what TenSEAL has of them."""

    def __init__(self, scheme: str, banks: int = 3, parameters: int = 25_000) -> None:
        self.there = Parties(he_plan(scheme, banks, parameters))
        assert isinstance(self.there.secret, SealSecretKey)
        assert isinstance(self.there.public, SealPublicKey)
        context = self.there.plan.parameters_of_context
        assert isinstance(context, HeParameters)
        self.parameters = context
        self.tenseal = self.there.secret.context._context
        self.within = self.tenseal.seal_context().data
        self.public = self.there.public.context

    def vectors(self, halves: Halves) -> list[Any]:
        """TenSEAL's, of each ciphertext, from whole and reduced words."""
        load = ts.ckks_vector_from if self.parameters.scheme == "ckks" else ts.bfv_vector_from
        first, second = (half.reshape(-1, 1, DEGREE) for half in halves)
        words = np.stack([first, second], axis=1) % np.uint64(self.there.modulus)
        return [load(self.tenseal, vector_of(self.parameters, self.within, one)) for one in words]

    def coefficients(self, slots: list[int]) -> NDArray[np.int64]:
        """Of the polynomial that holds these values at its roots: TenSEAL's BFV has values there, ours does not."""
        plain = sealapi.Plaintext()
        sealapi.BatchEncoder(self.within).encode([value % self.parameters.plain_modulus for value in slots], plain)
        found = np.zeros(DEGREE, dtype=np.int64)
        found[: plain.coeff_count()] = coefficients_of(plain)
        return found


def whole(plan: HePlan, halves: Halves) -> Halves:
    """With zeros in the place of first coefficients that were not sent."""
    first = np.zeros_like(halves.second)
    first[: len(halves.first)] = halves.first
    return Halves(first, halves.second)


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
@pytest.mark.parametrize("fill", ["random", "largest", "zero"])
def test_tenseal_decrypts_our_sums_to_what_we_decrypt_bit_for_bit(scheme: str, fill: str) -> None:
    seal = Seal(scheme)
    there = seal.there
    values = np.random.default_rng(4).integers(0, 256, (3, there.plan.parameters))
    values = {"random": values, "largest": np.full_like(values, 255), "zero": 0 * values}[fill]
    halves = unpack_sum(there.plan, there.summed(map(there.upload, values)), 3)
    assert there.plan.words[1].count > DEGREE, "more than one ciphertext"
    ours = there.secret.decrypt(there.plan, halves)
    theirs = [vector.decrypt() for vector in seal.vectors(whole(there.plan, halves))]
    if scheme == "ckks":
        assert np.array_equal(ours, np.concatenate(theirs)), "the same floats"
    else:
        assert np.array_equal(ours, np.concatenate([seal.coefficients(slots) for slots in theirs]))
    assert np.array_equal(there.opened(there.summed(map(there.upload, values)), 3), values.sum(axis=0))


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_tenseal_adds_what_we_add(scheme: str) -> None:
    """Ciphertexts by TenSEAL's own addition, and by words: the same coefficients."""
    seal = Seal(scheme)
    plan = replace(seal.there.plan, dropped=Dropped(0, 0))
    values = np.random.default_rng(5).integers(0, 256, (3, plan.parameters))
    uploads = [seal.public.encrypt(encode_slots(plan, row)) for row in values]  # type: ignore[arg-type]
    first, *others = (seal.vectors(Halves(*upload)) for upload in uploads)
    for other in others:
        for one, more in zip(first, other, strict=True):
            one.add_(more)
    adder = Adder(plan)
    for upload in uploads:
        adder.add(packed(plan, Halves(*upload)))
    theirs = np.concatenate([residues(seal.parameters, one.serialize()) for one in first], axis=1)
    for ours, half in zip(adder.total(), theirs, strict=True):
        assert np.array_equal(ours, half.reshape(-1)[: len(ours)])


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_we_decrypt_what_tenseal_encrypts(scheme: str) -> None:
    seal = Seal(scheme)
    context = seal.public._context
    if scheme == "ckks":
        slots = np.random.default_rng(6).integers(-1000, 1000, DEGREE // 2)
        vector = ts.ckks_vector(context, slots.tolist(), scale=2.0**seal.parameters.scale_bits)
        expected = slots
    else:
        slots = np.random.default_rng(6).integers(0, 1000, DEGREE)
        vector = ts.bfv_vector(context, slots.tolist())
        expected = seal.coefficients(slots.tolist())
    first, second = residues(seal.parameters, vector.serialize()).reshape(2, DEGREE)
    assert np.array_equal(np.rint(seal.there.secret.decrypt(seal.there.plan, Halves(first, second))), expected)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 65_536), max_size=60), st.integers(0, 4096))
def test_plaintexts_keep_their_coefficients(numbers: list[int], zeros: int) -> None:
    coefficients = np.zeros(DEGREE, dtype=np.int64)
    placed = numbers[: DEGREE - zeros]
    coefficients[zeros : zeros + len(placed)] = placed
    back = coefficients_of(plaintext_of(BFV_CONTEXT, coefficients))
    assert np.array_equal(np.trim_zeros(back, "b"), np.trim_zeros(coefficients, "b"))
    assert len(back) in {len(np.trim_zeros(coefficients, "b")), DEGREE}


BFV_CONTEXT = ts.context(ts.SCHEME_TYPE.BFV, DEGREE, 114_689, [54, 52], n_threads=1).seal_context().data


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_a_vector_is_written_as_tenseal_writes_it(scheme: str) -> None:
    """Loaded and serialized by TenSEAL, which compresses, it has the same coefficients."""
    seal = Seal(scheme)
    words = np.random.default_rng(7).integers(0, seal.there.modulus, (2, 1, DEGREE), dtype=np.uint64)
    written = vector_of(seal.parameters, seal.within, words)
    (vector,) = seal.vectors(Halves(*words.reshape(2, -1)))
    assert np.array_equal(residues(seal.parameters, written), words)
    assert np.array_equal(residues(seal.parameters, vector.serialize()), words)


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_sums_need_no_file_in_memory(scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only Linux has them. Nothing is left behind."""
    monkeypatch.delattr("os.memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    there = Parties(he_plan(scheme, 3, 10_000))
    values = np.random.default_rng(8).integers(0, 256, (3, 10_000))
    assert np.array_equal(there.opened(there.summed(map(there.upload, values)), 3), values.sum(axis=0))
    assert list(tmp_path.iterdir()) == []


def test_the_moduli_are_seals() -> None:
    for parameters in (HeParameters("ckks", 60), HeParameters("ckks", 43, data_primes=2), HeParameters("bfv", 54)):
        sizes = list(parameters.coeff_mod_bit_sizes)
        primes = [int(prime.value()) for prime in sealapi.CoeffModulus.Create(DEGREE, sizes)]
        assert data_moduli(parameters) == tuple(primes[: parameters.data_primes])
        assert all(prime.bit_length() == size for prime, size in zip(primes, sizes, strict=True))
