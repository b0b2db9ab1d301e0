"""What the parties of Multi-Krum on ciphertexts cannot read, and what would read it if the protocol left a step out."""

from __future__ import annotations

from itertools import combinations
from math import prod
from typing import Any

import numpy as np
import pytest
import tenseal as ts
from numpy.typing import NDArray
from scipy.stats import ks_2samp, kstest

from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat.he_layout import residues
from secure_fl.secagg.hazmat.he_public import EncryptedVector, PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.hazmat.he_totals import Total, from_residues, total_bytes, total_of_square
from secure_fl.secagg.hazmat.he_words import data_moduli
from secure_fl.secagg.he.encoding import encode_slots
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY, UPLOAD
from secure_fl.secagg.krum.authority import KrumAuthority, KrumDecryptor
from secure_fl.secagg.krum.wire import SELECT, split_list, split_totals
from secure_fl.secagg.messages import AGGREGATOR, open_message, seal
from secure_fl.secagg.protocol import Stage
from tests.secagg.krum.scene import Ear, Scene, poisoned
from tests.secagg.test_custody_and_schemes import Canary, Wires, reachable

pytestmark = pytest.mark.slow

SLOTS = 2048
ONE = HeParameters("ckks", 60, scale_bits=19)
TWO = HeParameters("ckks", 43, scale_bits=20, data_primes=2)


class Keys:
    def __init__(self, parameters: HeParameters) -> None:
        self.parameters = parameters
        self.secret = SecretContext(parameters)
        self.public = PublicContext.load(self.secret.public_key(), parameters)

    def loaded(self, slots: Any) -> EncryptedVector:
        words = np.stack(self.public.encrypt(np.asarray(slots)[None]))
        return self.public.vector(words.reshape(2, self.parameters.data_primes, POLY_MODULUS_DEGREE))


@pytest.fixture(scope="module", params=[ONE, TWO], ids=["one prime", "two primes"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return Keys(request.param)


def one_slot(value: int) -> NDArray[np.int64]:
    slots = np.zeros(SLOTS, dtype=np.int64)
    slots[7] = value
    return slots


# The key authority


def as_unit(words: NDArray[Any], modulus: int) -> NDArray[np.float64]:
    return words.astype(np.float64) / modulus


def decrypted(keys: Keys, first: Any, others: NDArray[np.uint64]) -> list[int]:
    """The coefficients of c0 + c1 s + c2 s**2, nearest to zero, [N]. `first`: c0 by its values at the roots."""
    moduli = data_moduli(keys.parameters)
    powers = keys.secret._key_and_its_square(moduli)
    coefficients = []
    for place, modulus in enumerate(moduli):
        key, square = (sum(p[place][i].astype(np.uint64).astype(object) << (20 * i) for i in range(3)) for p in powers)
        one, two = (polynomial[place].astype(object) for polynomial in others)
        coefficients.append(from_roots((first[place] + one * key + two * square) % modulus, modulus))
    return [from_residues(list(residues), moduli) for residues in zip(*coefficients, strict=True)]


def from_roots(values: NDArray[Any], modulus: int) -> list[int]:
    """A polynomial's coefficients from its values at psi**(2 r + 1), where SEAL has r with its bits reversed."""
    degree = len(values)
    generator = next(
        g
        for a in range(2, 1000)
        for g in [pow(a, (modulus - 1) // (2 * degree), modulus)]
        if pow(g, degree, modulus) != 1
    )
    psi = min(pow(generator, odd, modulus) for odd in range(1, 2 * degree, 2))
    bits = degree.bit_length() - 1
    order = [int(format(r, f"0{bits}b")[::-1], 2) for r in range(degree)]
    cyclic = transform(values[order], pow(psi, -2, modulus), modulus)
    scale, back = pow(degree, -1, modulus), pow(psi, -1, modulus)
    return [int(value) * scale * pow(back, place, modulus) % modulus for place, value in enumerate(cyclic)]


def transform(values: NDArray[Any], root: int, modulus: int) -> NDArray[Any]:
    """The cyclic Fourier transform modulo a prime, from its definition and halves."""
    if len(values) == 1:
        return values
    even, odd = (transform(values[start::2], root * root % modulus, modulus) for start in (0, 1))
    powers = np.array([pow(root, k, modulus) for k in range(len(odd))], dtype=object)
    return np.concatenate([(even + powers * odd) % modulus, (even - powers * odd) % modulus])


def in_slots(coefficients: list[int]) -> NDArray[np.complex128]:
    """What a polynomial of coefficients below 2**1000 holds in its slots, times the scale."""
    odd = np.array([pow(3, place, 2 * POLY_MODULUS_DEGREE) for place in range(SLOTS)])
    twisted = np.array(coefficients, dtype=np.float64) * np.exp(
        1j * np.pi / POLY_MODULUS_DEGREE * np.arange(POLY_MODULUS_DEGREE)
    )
    slots: NDArray[np.complex128] = (np.fft.ifft(twisted) * POLY_MODULUS_DEGREE)[(odd - 1) // 2]
    return slots


def of_total(keys: Keys, total: Total) -> NDArray[np.float64]:
    """All that a total decrypts to but its constant, over q, [N - 1]: of c0 nobody was told more."""
    first = [np.full(POLY_MODULUS_DEGREE, constant, dtype=object) for constant in total.coefficient]
    modulus = prod(data_moduli(keys.parameters))
    return np.array([value / modulus for value in decrypted(keys, first, total.polynomials)[1:]]) + 0.5


def test_the_decryption_that_these_tests_make_is_that_of_the_scheme(keys: Keys) -> None:
    """Independent of TenSEAL: slots of a square, and the constant coefficient as the total of them."""
    slots = np.random.default_rng(1).integers(-100, 100, SLOTS)
    square = keys.loaded(slots).squared()
    scale = 2.0 ** (2 * keys.parameters.scale_bits)
    first, *others = residues(keys.parameters, square.serialize(), power=2)
    coefficients = decrypted(keys, first.astype(object), np.array(others))
    assert in_slots(coefficients).real / scale == pytest.approx(slots.astype(float) ** 2, abs=5)
    total = keys.secret.open_total(total_of_square(keys.parameters, square, keys.public))
    assert total == pytest.approx(coefficients[0], abs=500)


@pytest.mark.parametrize("shape", ["one slot", "all slots", "nothing"])
def test_of_a_total_all_but_its_constant_is_uniform(keys: Keys, shape: str) -> None:
    """The masked polynomial and all coefficients that it decrypts to, against fresh uniform numbers; four totals."""
    difference = {"one slot": one_slot(200), "all slots": np.full(SLOTS, 200), "nothing": one_slot(0)}[shape]
    masked, opened = [], []
    for _ in range(4):
        a, b = keys.loaded(difference), keys.loaded(one_slot(0))
        total = total_of_square(keys.parameters, a.squared_difference(b), keys.public)
        masked += [as_unit(w, q) for w, q in zip(total.polynomials[0], data_moduli(keys.parameters), strict=True)]
        opened.append(of_total(keys, total))
    fresh = np.random.default_rng(0).random(4 * POLY_MODULUS_DEGREE)
    for sample in (np.concatenate(masked), np.concatenate(opened)):
        assert kstest(sample, "uniform").pvalue > 1e-6
        assert ks_2samp(sample, fresh).pvalue > 1e-6


def test_the_same_test_notices_squares_where_all_of_c0_is_sent(keys: Keys) -> None:
    square = keys.loaded(np.full(SLOTS, 200)).squared_difference(keys.loaded(one_slot(0)))
    square.add(keys.public.encrypt_zero_square())
    first, *others = residues(keys.parameters, square.serialize(), power=2)
    modulus = prod(data_moduli(keys.parameters))
    values = np.array([value / modulus for value in decrypted(keys, first.astype(object), np.array(others))]) + 0.5
    assert kstest(values[1:], "uniform").pvalue < 1e-12


def test_the_same_distance_looks_the_same_whatever_it_is_made_of(keys: Keys) -> None:
    """One slot of 200, or a hundred of 20: the constant decrypts to one distribution, around 40,000."""

    def opened(slots: Any) -> list[float]:
        found = []
        for _ in range(25):
            square = keys.loaded(slots).squared_difference(keys.loaded(one_slot(0)))
            total = total_of_square(keys.parameters, square, keys.public)
            found.append(
                keys.secret.open_total(total) * POLY_MODULUS_DEGREE / 2 ** (2 * keys.parameters.scale_bits + 1)
            )
        return found

    spread = np.where(np.arange(SLOTS) < 100, 20, 0)
    one, many = opened(one_slot(200)), opened(spread)
    assert np.mean(one) == pytest.approx(40_000, abs=5)
    assert np.mean(many) == pytest.approx(40_000, abs=5)
    assert ks_2samp(np.rint(one), np.rint(many), method="asymp").pvalue > 1e-6


def rebuilt_first(keys: Keys, others: NDArray[np.uint64], place: int) -> list[int]:
    """c0 = c1**2 / (4 c2) at each root: what makes a square of a polynomial in s."""
    modulus = data_moduli(keys.parameters)[place]
    first, second = (polynomial[place].tolist() for polynomial in others)
    return [b * b * pow(4 * c, -1, modulus) % modulus for b, c in zip(first, second, strict=True)]


def test_a_square_without_the_fresh_encryption_of_zero_is_rebuilt_and_with_it_is_not(keys: Keys) -> None:
    square = keys.loaded(one_slot(9)).squared_difference(keys.loaded(one_slot(4)))
    whole = residues(keys.parameters, square.serialize(), power=2)
    assert rebuilt_first(keys, whole[1:], 0) == whole[0][0].tolist(), "the mask is needed"
    total = total_of_square(keys.parameters, square, keys.public)
    assert (total.polynomials[1] == whole[2]).all()
    rebuilt = rebuilt_first(keys, total.polynomials, 0)
    assert not set(zip(range(POLY_MODULUS_DEGREE), rebuilt, strict=True)) & set(enumerate(whole[0][0].tolist()))


def test_numbers_that_sum_to_zero_in_the_slots_would_leave_imaginary_parts() -> None:
    """Why one coefficient is sent, and not blinded slots: imaginary parts of 2 (a - b) e tell where banks differ."""
    keys = Keys(TWO)
    rng = np.random.default_rng(4)
    differs = rng.random(SLOTS) < 0.5
    square = keys.loaded(np.where(differs, 100, 0)).squared_difference(keys.loaded(one_slot(0)))
    blinding = rng.integers(-(2**43), 2**43, SLOTS).astype(np.float64)  # 30 bits above the largest square
    blinding -= np.rint(blinding.mean())
    scale = 2.0 ** (2 * TWO.scale_bits)
    square.add(EncryptedVector(ts.ckks_vector(keys.public._context, blinding.tolist(), scale=scale)))

    first, *others = residues(TWO, square.serialize(), power=2)
    slots = in_slots(decrypted(keys, first.astype(object), np.array(others)))
    real, imaginary = np.abs(slots.real), np.abs(slots.imag)
    assert ((real > np.median(real)) == differs).mean() < 0.6, "the blinding itself holds"
    assert ((imaginary > np.median(imaginary)) == differs).mean() > 0.9


def heard_by_authority(scene: Scene, round_: int = 1) -> Ear:
    cohort = scene.cohort(round_)
    ear = Ear(scene.deployment.authority(cohort))
    server, parties = scene.deployment.server(cohort), {**scene.parties(cohort), KEY_AUTHORITY: ear}
    stage = next(server)
    while True:
        try:
            stage = server.send(iter([(n, parties[n].respond(asked)) for n, asked in stage.requests.items()]))
        except StopIteration:
            return ear


def test_all_that_the_authority_receives_is_totals_and_one_sum() -> None:
    scene = Scene(poisoned(5, 3000, 1, seed=3))
    (select, _), (decrypt, _) = heard_by_authority(scene).heard
    cohort, parameters = scene.cohort(), scene.plan.parameters_of_context
    asked = open_message(cohort, select, recipient=KEY_AUTHORITY, sender=AGGREGATOR, stage=SELECT)
    numbers, rest = split_list(asked.payload, 5)
    assert len(rest) == 5 * total_bytes(parameters, 1) + 15 * total_bytes(parameters, 2)
    secret, (parts, squares) = scene.deployment._authority._secret, split_totals(parameters, rest, len(numbers))
    noise = [secret.open_total(total, imaginary=True) * scene.plan.unit for total in parts]
    assert np.abs(noise).max() < 256, "no bank has imaginary parts"
    distances = [secret.open_total(total) * scene.plan.unit for total in squares]
    exact = [float(((scene.updates[i] - scene.updates[j]) ** 2).sum()) for i, j in combinations(range(5), 2)]
    assert distances[5:] == pytest.approx(exact, rel=1e-4)
    assert open_message(cohort, decrypt, recipient=KEY_AUTHORITY, sender=AGGREGATOR).stage == DECRYPT


# The aggregator


def test_what_the_authority_answers_depends_on_the_chosen_banks_only() -> None:
    """Other updates, other distances, the same choice: the same bytes but for the header's digest of the session."""
    answers = []
    for seed in (1, 2, 3):
        updates = poisoned(5, 400, 0, seed=seed)
        updates[4] = 255 - updates[4]
        scene = Scene(updates)
        (_, answer), _ = heard_by_authority(scene).heard
        payload = open_message(scene.cohort(), answer, recipient=AGGREGATOR, sender=KEY_AUTHORITY, stage=SELECT).payload
        answers.append(bytes(payload))
    assert answers[0] == answers[1] == answers[2]
    assert len(answers[0]) == 2 + 2 * 4, "a length, and four numbers of banks"


def test_the_aggregator_never_holds_the_secret_key_nor_what_holds_it() -> None:
    scene = Scene(poisoned(4, 3000, 0, seed=3), byzantine=0)
    cohort = scene.cohort()
    canary = Canary(scene.deployment._authority._secret)
    server, parties = scene.deployment.server(cohort), scene.parties(cohort)
    stages, messages = [], []
    step: Any = next(server)
    while isinstance(step, Stage):
        stages.append(step.name)
        held = reachable((server, step))
        assert not any(map(canary.sings_at, held))
        assert not any(isinstance(thing, KrumAuthority | KrumDecryptor) for thing in held)
        replies = [(name, parties[name].respond(asked)) for name, asked in step.requests.items()]
        messages += [*step.requests.values(), *(data for _, data in replies)]
        wires = Wires(server, canary, replies)
        try:
            step = server.send(wires)
        except StopIteration as finished:
            step = finished.value
        assert wires.looks
    assert stages == [UPLOAD, SELECT, DECRYPT]
    assert not any(map(canary.sings_at, messages))


def test_uploads_of_other_updates_look_alike() -> None:
    """Residues of ciphertexts are uniform, whatever is in them."""
    scene = Scene(poisoned(4, SLOTS, 0, seed=3), byzantine=0)
    q = data_moduli(scene.plan.parameters_of_context)[0]
    samples = []
    for values in (np.zeros(SLOTS, dtype=np.int64), np.full(SLOTS, 255), scene.updates[0]):
        samples.append(as_unit(scene.ciphertexts(values)[0, 0, 0], q))
    for sample in samples:
        assert kstest(sample, "uniform").pvalue > 1e-6


# Custody


def broken_by(scene: Scene, words: str) -> None:
    """The line of the report that a test belongs to."""
    custody = scene.scheme.custody
    assert [line for line in (*custody.broken_by, *custody.assumptions) if words in line], words


def opened_distances(scene: Scene, ear: Ear, round_: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared norms and squared distances, as the key authority has them."""
    payload = open_message(scene.cohort(round_), ear.heard[0][0], recipient=KEY_AUTHORITY, sender=AGGREGATOR).payload
    numbers, rest = split_list(payload, len(scene.banks))
    measured = scene.deployment.authority(scene.cohort(round_)).distances(numbers, rest)
    return measured.squared[:-1, -1], measured.squared[:-1, :-1]


def test_a_key_authority_that_knows_other_updates_finds_the_last_one() -> None:
    """Each distance to a known update is an equation; of four values, five known updates leave nothing open."""
    scene = Scene(np.random.default_rng(2).integers(0, 256, (6, 4)), byzantine=0)
    broken_by(scene, "each distance is an equation")
    norms, squared = opened_distances(scene, heard_by_authority(scene))
    known = (scene.updates[1:] - 128).astype(np.float64)
    products = (norms[0] + norms[1:] - squared[0, 1:]) / 2
    found, *_ = np.linalg.lstsq(known, products, rcond=None)
    assert (np.rint(found) + 128 == scene.updates[0]).all()


def test_a_key_authority_finds_all_updates_of_a_few_numbers_by_trying() -> None:
    """It knows nobody's: of the integer points of a length few have the right product with the sum, and those with each
    other's; what is left is the updates, unless turning all of them leaves the sum as it is.
    """
    scene = Scene(np.random.default_rng(4).integers(108, 148, (5, 3)), byzantine=0)
    broken_by(scene, "of a handful of numbers each")
    ear = heard_by_authority(scene)
    norms, squared = opened_distances(scene, ear)
    products = (norms[:, None] + norms[None, :] - squared) / 2
    total = (scene.updates - 128).sum(axis=0)  # what it opens in the end; all are chosen
    points = np.stack(np.meshgrid(*[np.arange(-20, 20)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths, along = (points**2).sum(axis=1), points @ total
    candidates = [
        points[(lengths == norms[bank]) & (along == products[bank].sum())] for bank in range(len(scene.updates))
    ]

    def consistent(chosen: tuple[NDArray[np.int64], ...]) -> list[tuple[NDArray[np.int64], ...]]:
        place = len(chosen)
        if place == len(candidates):
            return [chosen]
        fitting = [p for p in candidates[place] if all(p @ q == products[place, k] for k, q in enumerate(chosen))]
        return [found for point in fitting for found in consistent((*chosen, point))]

    solutions = consistent(())
    assert 1 <= len(solutions) <= 2, "itself, and mirrored at the sum where that gives integers"
    assert any((np.array(found) + 128 == scene.updates).all() for found in solutions)


def test_a_key_authority_without_known_updates_has_fewer_equations_than_values() -> None:
    """Turning all updates around the middle of the range changes no distance, and every update."""
    scene = Scene(poisoned(5, 2000, 0, seed=3), byzantine=0)
    turned = Scene(256 - np.maximum(scene.updates, 1)[:, ::-1], byzantine=0)
    scene = Scene(np.maximum(scene.updates, 1), byzantine=0)
    here, there = (opened_distances(s, heard_by_authority(s)) for s in (scene, turned))
    for one, other in zip(here, there, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    assert (scene.updates != turned.updates).mean() > 0.9


def test_whoever_has_the_key_and_an_upload_reads_it() -> None:
    scene = Scene(poisoned(4, 300, 0, seed=3), byzantine=0)
    broken_by(scene, "aggregator and key authority together")
    slots = scene.deployment._authority._secret.decrypt(*scene.halves(scene.ciphertexts(scene.updates[0])))
    assert (np.rint(slots) == encode_slots(scene.plan, scene.updates[0])[0]).all()


def test_seals_for_the_authority_are_its_own() -> None:
    """A request that names no stage of the authority is refused before anything is opened."""
    scene = Scene(poisoned(4, 300, 0, seed=3), byzantine=0)
    cohort = scene.cohort()
    with pytest.raises(Exception, match="no stage 'upload'"):
        scene.deployment.authority(cohort).respond(seal(cohort, UPLOAD, AGGREGATOR, KEY_AUTHORITY))
