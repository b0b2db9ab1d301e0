"""What the custody report of ckks and bfv says would break them does break them; line by line.

And the other way round: what it says nobody can do fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tenseal as ts
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.errors import ProtocolError
from secure_fl.secagg import SCHEMES, plan
from secure_fl.secagg.budget import CkksPlan, HePlan
from secure_fl.secagg.hazmat.he_layout import expanded
from secure_fl.secagg.hazmat.he_public import EncryptedVector
from secure_fl.secagg.he.deployment import HeDeployment
from secure_fl.secagg.he.encoding import (
    DECRYPT,
    KEY_AUTHORITY,
    UPLOAD,
    decode_slots,
    encode_slots,
    join_ciphertexts,
    split_ciphertexts,
)
from secure_fl.secagg.messages import AGGREGATOR, open_message, seal
from secure_fl.secagg.packing import IntVector, pack_bits, unpack_bits

BANKS = ("bank-1", "bank-2", "bank-3", "bank-4")
DEGREE = 4096
Polynomial = NDArray[np.int64]


@dataclass
class Scene:
    """A federation of four banks, with every upload and the key authority within reach of whoever attacks."""

    scheme: str
    parameters: int = 6000
    bits: int = 8

    def __post_init__(self) -> None:
        planned = plan(self.scheme, len(BANKS), self.parameters, self.bits)
        assert isinstance(planned, HePlan)
        self.plan, self.deployment = planned, HeDeployment(planned)
        self.updates: IntVector = np.random.default_rng(3).integers(0, 1 << self.bits, (len(BANKS), self.parameters))

    def cohort(self, round_: int = 1, model: bytes = b"model") -> Any:
        return SCHEMES[self.scheme].cohort(self.plan, round_, BANKS, model)

    def upload(self, bank: int, values: IntVector | None = None, cohort: Any = None) -> list[bytes]:
        """The ciphertexts in one bank's honest answer."""
        cohort = cohort or self.cohort()
        client = self.deployment.client(cohort, BANKS[bank], self.updates[bank] if values is None else values)
        answer = client.respond(seal(cohort, UPLOAD, AGGREGATOR, BANKS[bank]))
        payload = open_message(cohort, answer, recipient=AGGREGATOR, sender=BANKS[bank]).payload
        return split_ciphertexts(payload, self.plan.ciphertexts)

    def loaded(self, ciphertexts: Iterable[bytes]) -> list[EncryptedVector]:
        return [self.deployment._public.load_vector(ciphertext) for ciphertext in ciphertexts]

    def added(self, uploads: Sequence[Iterable[bytes]]) -> list[bytes]:
        total, *others = (self.loaded(upload) for upload in uploads)
        for other in others:
            for one, more in zip(total, other, strict=True):
                one.add(more)
        return [one.serialize() for one in total]

    def opened(self, ciphertexts: Sequence[bytes], contributors: int, round_: int = 1) -> IntVector:
        """What the key authority answers when it is told that these sum so many banks."""
        cohort = self.cohort(round_)
        payload = [contributors.to_bytes(4, "little"), *join_ciphertexts(ciphertexts)]
        asked = seal(cohort, DECRYPT, AGGREGATOR, KEY_AUTHORITY, payload)
        answer = self.deployment.trustees(cohort)[KEY_AUTHORITY].respond(asked)
        payload_ = open_message(cohort, answer, recipient=AGGREGATOR, sender=KEY_AUTHORITY).payload
        return unpack_bits(payload_, self.plan.field_bits, self.plan.parameters)

    @property
    def zeros(self) -> IntVector:
        return np.zeros(self.parameters, dtype=np.int64)

    @property
    def centre(self) -> int:
        """What is missing in each field where a bank's share of the sum was left out."""
        return 1 << (self.bits - 1) if self.scheme == "ckks" else 0


@pytest.fixture(params=["ckks", "bfv"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def broken_by(scene: Scene, words: str) -> None:
    """The line of the report that a test belongs to."""
    assert [line for line in SCHEMES[scene.scheme].custody.broken_by if words in line]


def test_whoever_has_the_key_and_an_upload_reads_it(scene: Scene) -> None:
    broken_by(scene, "aggregator and key authority together")
    broken_by(scene, "a bank and the key authority together")
    slots = np.concatenate([scene.deployment._authority._secret.decrypt(c) for c in scene.upload(0)])
    assert (decode_slots(scene.plan, slots, 1) == scene.updates[0]).all()


def test_a_single_upload_called_a_sum_is_opened(scene: Scene) -> None:
    broken_by(scene, "gives the key authority a single upload and calls it a sum")
    opened = scene.opened(scene.upload(0), contributors=3)
    assert (opened - 2 * scene.centre == scene.updates[0]).all()


def test_made_up_updates_are_subtracted(scene: Scene) -> None:
    broken_by(scene, "made-up updates in the place of all banks but one")
    made_up = [scene.upload(bank, scene.zeros + 7) for bank in (1, 2, 3)]
    assert (scene.opened(scene.added([scene.upload(0), *made_up]), 4) - 21 == scene.updates[0]).all()


def test_uploads_of_banks_that_saw_another_model_are_summed(scene: Scene) -> None:
    broken_by(scene, "a model that cannot learn")
    dead = scene.cohort(model=b"a model without gradients")
    others = [scene.upload(bank, scene.zeros, dead) for bank in (1, 2, 3)]
    assert (scene.opened(scene.added([scene.upload(0), *others]), 4) == scene.updates[0]).all()


def test_two_sums_of_the_same_uploads_are_subtracted(scene: Scene) -> None:
    broken_by(scene, "two sums of the same uploads")
    uploads = [scene.upload(bank) for bank in range(4)]
    everybody = scene.opened(scene.added(uploads), 4, round_=1)
    others = scene.opened(scene.added(uploads[1:]), 3, round_=2)
    assert (everybody - others == scene.updates[0]).all()


def test_a_repeated_round_without_one_bank_is_subtracted(scene: Scene) -> None:
    broken_by(scene, "a round repeated without one bank")
    everybody = scene.opened(scene.added([scene.upload(bank) for bank in range(4)]), 4, round_=1)
    others = scene.opened(scene.added([scene.upload(bank) for bank in (1, 2, 3)]), 3, round_=2)
    assert (everybody - others == scene.updates[0]).all()


def test_all_banks_but_one_subtract_their_own(scene: Scene) -> None:
    broken_by(scene, "all banks but one together")
    total = scene.opened(scene.added([scene.upload(bank) for bank in range(4)]), 4)
    assert (total - scene.updates[1:].sum(axis=0) == scene.updates[0]).all()


def test_a_bank_that_sees_uploads_takes_them_out_of_the_sum(scene: Scene) -> None:
    """The aggregator only shows it what arrived; sum and opening are as the protocol has them."""
    broken_by(scene, "a bank and a curious aggregator together")
    honest = [scene.upload(bank) for bank in (0, 1, 2)]
    cancelling = scene.loaded(scene.upload(3, scene.zeros))
    for zero, *seen in zip(cancelling, *(scene.loaded(upload) for upload in honest[1:]), strict=True):
        for ciphertext in seen:
            # Each encryption of zero puts back what a missing bank would have subtracted to centre the sum.
            zero.add(scene.loaded(scene.upload(3, scene.zeros))[cancelling.index(zero)])
            zero._vector -= ciphertext._vector
    total = scene.opened(scene.added([*honest, [c.serialize() for c in cancelling]]), 4)
    assert (total == scene.updates[0]).all()


def test_an_upload_that_cancels_another_costs_its_bank_its_place() -> None:
    """SEAL adds no ciphertexts up to one of nothing: without a sum, but with an error that says who."""
    scene = Scene("ckks", parameters=40)
    cohort = scene.cohort()
    seen = scene.upload(0, cohort=cohort)
    negative = [bytes(ciphertext._vector.neg().serialize()) for ciphertext in scene.loaded(seen)]
    server = scene.deployment.server(cohort)
    next(server)
    answers = [
        (bank, seal(cohort, UPLOAD, bank, AGGREGATOR, list(join_ciphertexts(upload))))
        for bank, upload in zip(BANKS, (seen, negative), strict=False)
    ]
    with pytest.raises(ProtocolError, match="cancel those of other banks") as caught:
        server.send(iter(answers))
    assert set(caught.value.refused) == {BANKS[1]}


# The key


class Ring:
    """Polynomials modulo X**N + 1 and a prime below 2**42: by their coefficients, or by their values at roots."""

    def __init__(self, prime: int, roots: Sequence[int]) -> None:
        """`roots`: the exponents of the primitive root, in the order of the values."""
        self.prime = prime
        generator = next(
            g
            for a in range(2, 1000)
            for g in [pow(a, (prime - 1) // (2 * DEGREE), prime)]
            if pow(g, DEGREE, prime) != 1
        )
        smallest = min(pow(generator, odd, prime) for odd in range(1, 2 * DEGREE, 2))
        powers = [1]
        for _ in range(2 * DEGREE - 1):
            powers.append(powers[-1] * smallest % prime)
        self._powers, self._roots = np.array(powers), np.array(roots)

    def times(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        high, low = a >> 21, a & ((1 << 21) - 1)
        return ((high * b % self.prime << 21) + low * b) % self.prime

    def coefficients(self, values: NDArray[np.int64]) -> Polynomial:
        """The inverse discrete transform, from its definition."""
        inverse = pow(DEGREE, -1, self.prime)
        sums = [
            int(self.times(values, self._powers[-self._roots * place % (2 * DEGREE)]).sum()) * inverse % self.prime
            for place in range(DEGREE)
        ]
        return np.array(sums)

    def values(self, coefficients: Polynomial, count: int) -> NDArray[np.int64]:
        """At the first so many roots."""
        places = np.arange(DEGREE)
        rows = (self.times(coefficients, self._powers[root * places % (2 * DEGREE)]) for root in self._roots[:count])
        return np.array([int(row.sum()) % self.prime for row in rows])


def slots_of_seal() -> list[int]:
    """The exponent of the root at which SEAL's batch encoder puts each slot."""
    first = [pow(3, place, 2 * DEGREE) for place in range(DEGREE // 2)]
    return first + [2 * DEGREE - exponent for exponent in first]


def crafted(scene: Scene, like: bytes, first: Polynomial, second: Polynomial) -> bytes:
    """A ciphertext of any two polynomials; everything around them is that of an honest one."""
    whole = expanded(scene.plan.parameters_of_context, like)
    words = np.array([first, second], dtype="<u8").tobytes()
    trailer = 9 if scene.scheme == "ckks" else 0
    start = len(whole) - trailer - len(words)
    return whole[:start] + words + whole[len(whole) - trailer :]


def polynomials(scene: Scene, ciphertext: bytes) -> NDArray[np.int64]:
    whole = expanded(scene.plan.parameters_of_context, ciphertext)
    return np.frombuffer(whole[len(whole) - 16 * DEGREE :], dtype="<u8").reshape(2, DEGREE).astype(np.int64)


def data_prime(scene: Scene) -> int:
    sizes = list(scene.plan.parameters_of_context.coeff_mod_bit_sizes)
    return int(sealapi.CoeffModulus.Create(DEGREE, sizes)[0].value())


def negacyclic(small: Polynomial, large: Polynomial, prime: int) -> Polynomial:
    """The product with a polynomial of coefficients -1, 0, 1."""
    total = np.zeros(2 * DEGREE, dtype=np.int64)
    for place in np.flatnonzero(small):
        total[place : place + DEGREE] += small[place] * large
    return (total[:DEGREE] - total[DEGREE:]) % prime


def test_one_made_up_request_gives_the_key_and_every_upload() -> None:
    """BFV decrypts c0 + c1 s in steps of q / t: of c0 = 0 and c1 = q / t that is s itself.

    Four banks fill their fields, so that hardly any of the key's slots is no possible sum.
    """
    scene = Scene("bfv", parameters=2 * DEGREE, bits=16)
    broken_by(scene, "whose decryption is the key")
    modulus, prime = scene.plan.parameters_of_context.plain_modulus, data_prime(scene)
    captured = scene.upload(0)[0]
    for factor in range(
        1, 20
    ):  # for one in ten, some slot happens to be no possible sum: then twice the key, and so on
        step = np.zeros(DEGREE, dtype=np.int64)
        step[0] = round(factor * prime / modulus)
        try:
            answer = scene.opened([crafted(scene, captured, 0 * step, step)], contributors=4, round_=factor)
            break
        except ProtocolError:
            continue

    fields, width = scene.plan.fields_per_slot, scene.plan.field_bits
    slots = sum(answer.reshape(fields, -1)[field] << (field * width) for field in range(fields))
    ring = Ring(modulus, slots_of_seal())
    key = ring.coefficients(np.asarray(slots))
    key = np.where(key > modulus // 2, key - modulus, key) // factor
    assert set(key.tolist()) == {-1, 0, 1}, "SEAL's keys are ternary"

    first, second = polynomials(scene, captured)
    noisy = (first + negacyclic(key, second, prime)) % prime
    plain = np.array([(int(word) * modulus + prime // 2) // prime % modulus for word in noisy])
    expected = encode_slots(scene.plan, scene.updates[0])[0]
    assert (ring.values(plain, 200) == expected[:200]).all(), "an upload of another round, without the key authority"


def test_one_made_up_request_gives_the_key_of_ckks_too() -> None:
    """A constant c1 decrypts to the key, scaled: real parts in one ciphertext, imaginary parts in the next.

    Multiplying by X**(N/2) turns a slot by 90 degrees, slots in turn to the left and to the right. In SEAL's transform
    modulo the prime it is a square root of -1 in one half, and the other one in the other half.
    """
    scene = Scene("ckks", parameters=6 * DEGREE, bits=8)
    planned = scene.plan
    assert isinstance(planned, CkksPlan)
    prime, like = data_prime(scene), scene.upload(0)[0]
    root = next(r for a in range(2, 1000) for r in [pow(a, (prime - 1) // 4, prime)] if r * r % prime == prime - 1)
    amplitude = 1 << planned.scale_bits
    flat = np.full(DEGREE, amplitude, dtype=np.int64)
    turned = np.full(DEGREE, root * amplitude % prime, dtype=np.int64)
    turned[DEGREE // 2 :] = prime - turned[DEGREE // 2 :]
    zero = np.zeros(DEGREE, dtype=np.int64)
    asked = [crafted(scene, like, zero, second) for second in (flat, turned)]
    rest = scene.added([scene.upload(bank) for bank in range(4)])[len(asked) :]
    answer = scene.opened(asked + rest, contributors=4, round_=9)

    fields, width = planned.fields_per_slot, planned.field_bits
    padded = np.resize(answer, fields * planned.slots).reshape(fields, planned.slots)
    slots = sum(padded[field] << (field * width) for field in range(fields)) - 4 * planned.centre
    real, imaginary = slots[:2048], slots[2048:4096] * np.resize([1, -1], 2048)
    angles = np.outer([pow(3, place, 2 * DEGREE) for place in range(2048)], np.arange(DEGREE)) % (2 * DEGREE)
    at_roots = np.exp(-1j * np.pi / DEGREE * np.arange(2 * DEGREE))[angles]
    guesses = [((real + sign * 1j * imaginary) @ at_roots).real / 2048 for sign in (1, -1)]
    key = min((guess for guess in guesses), key=lambda guess: np.abs(guess - np.rint(guess)).max())
    assert np.abs(key - np.rint(key)).max() < 0.2, "every coefficient stands out"
    assert set(np.rint(key).astype(int).tolist()) == {-1, 0, 1}


# What only a proof about each ciphertext could stop


def assumed(scheme: str, words: str) -> None:
    assert [line for line in SCHEMES[scheme].custody.assumptions if words in line]


def test_half_a_step_shows_how_the_noise_fell() -> None:
    """In the lowest field of every slot: one more where the noise of the sum, all banks' together, was positive."""
    scene = Scene("ckks")
    assumed("ckks", "shifts its ciphertext by half a step")
    context = scene.deployment._public._context
    scale = 2.0**scene.plan.parameters_of_context.scale_bits
    slots = encode_slots(scene.plan, scene.zeros) + 0.5
    shifted = [bytes(ts.ckks_vector(context, row.tolist(), scale=scale).serialize()) for row in slots]
    summed = scene.added([*(scene.upload(bank) for bank in (0, 1, 2)), shifted])
    excess = (scene.opened(summed, 4) - scene.updates[:3].sum(axis=0))[: scene.plan.slots]
    decrypted = np.concatenate([scene.deployment._authority._secret.decrypt(c) for c in summed])[: scene.plan.slots]
    fell = decrypted % 1 != 0.5  # a float64 is exactly half way in one of 200 runs, and goes to the even side
    assert (excess == (decrypted % 1 > 0.5))[fell].all(), "a slot was rounded up where the noise was positive"
    assert 0.3 < excess.mean() < 0.7
    assert set(excess.tolist()) == {0, 1}


def test_half_a_step_spoils_a_sum_under_bfv_and_is_noticed() -> None:
    """A coefficient that falls the other way changes every slot at random; no sum looks like that."""
    scene = Scene("bfv")
    first, second = polynomials(scene, scene.upload(3, scene.zeros)[0])
    prime, modulus = data_prime(scene), scene.plan.parameters_of_context.plain_modulus
    shifted = crafted(scene, scene.upload(3)[0], (first + prime // (2 * modulus)) % prime, second)
    rest = scene.upload(3, scene.zeros)[1:]
    summed = scene.added([*(scene.upload(bank) for bank in (0, 1, 2)), [shifted, *rest]])
    with pytest.raises(ProtocolError, match="outside its range"):
        scene.opened(summed, 4)


def beyond(scene: Scene, value: int) -> list[bytes]:
    """Ciphertexts of one value throughout, whatever the plan says of it."""
    return [scene.deployment._public.encrypt(slots) for slots in encode_slots(scene.plan, scene.zeros + value)]


def test_values_beyond_the_plan_steer_the_sum_and_show_only_where_a_field_leaves_its_range(scene: Scene) -> None:
    assumed(scene.scheme, "a bank can claim a large weight")
    modest = [scene.upload(bank, scene.zeros + 200) for bank in (0, 1, 2)]
    most = 4 * 255
    assert (scene.opened(scene.added([*modest, beyond(scene, most - 600)]), 4, round_=1) == most).all()
    with pytest.raises(ProtocolError, match="outside its range; some bank encrypted values beyond the plan"):
        scene.opened(scene.added([*modest, beyond(scene, most - 599)]), 4, round_=2)


def test_an_observer_of_an_unencrypted_wire_reads_the_sum(scene: Scene) -> None:
    assert "unless the transport encrypts" in SCHEMES[scene.scheme].custody.can_decrypt["observer"][0]
    total = scene.updates.sum(axis=0)
    cohort = scene.cohort()
    summed = scene.added([scene.upload(bank) for bank in range(4)])
    payload = [(4).to_bytes(4, "little"), *join_ciphertexts(summed)]
    asked = seal(cohort, DECRYPT, AGGREGATOR, KEY_AUTHORITY, payload)
    answer = scene.deployment.trustees(cohort)[KEY_AUTHORITY].respond(asked)
    assert pack_bits(total, scene.plan.field_bits) in answer
