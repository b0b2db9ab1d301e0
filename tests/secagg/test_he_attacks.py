"""What the custody report of ckks, bfv and rlwe says would break them does break them; line by line.

And the other way round: what it says nobody can do fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import ProtocolError
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.budget import BfvPlan, CkksPlan, HePlan, RlwePlan
from secure_fl.secagg.he.encoding import decode_slots, encode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.public_keys import SealPublicKey
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY, UPLOAD, pack_sum, unpack_sum, unpack_upload
from secure_fl.secagg.messages import AGGREGATOR, open_message, seal
from secure_fl.secagg.packing import IntVector, Words, pack_bits, pack_fields, unpack_bits, unpack_fields
from tests.secagg.parties import DEGREE, Parties, he_plan, negacyclic, packed

BANKS = ("bank-1", "bank-2", "bank-3", "bank-4")
EVERY_SCHEME = ("ckks", "bfv", "rlwe")


@dataclass
class Scene:
    """A federation of four banks, with every upload and the key authority within reach of whoever attacks."""

    scheme: str
    parameters: int = 6000
    bits: int = 8

    def __post_init__(self) -> None:
        self.plan = he_plan(self.scheme, len(BANKS), self.parameters, self.bits)
        self.updates: IntVector = np.random.default_rng(3).integers(0, 1 << self.bits, (len(BANKS), self.parameters))

    @cached_property
    def parties(self) -> Parties:
        return Parties(self.plan)

    def cohort(self, round_: int = 1, model: bytes = b"model") -> Any:
        return SCHEMES[self.scheme].cohort(self.plan, round_, BANKS, model)

    def upload(self, bank: int, values: IntVector | None = None, cohort: Any = None) -> memoryview:
        """The ciphertexts in one bank's honest answer."""
        cohort = cohort or self.cohort()
        deployment = self.parties.deployment
        client = deployment.client(cohort, BANKS[bank], self.updates[bank] if values is None else values)
        answer = client.respond(seal(cohort, UPLOAD, AGGREGATOR, BANKS[bank]))
        return open_message(cohort, answer, recipient=AGGREGATOR, sender=BANKS[bank]).payload

    def changed(self, *uploads: tuple[int, memoryview]) -> memoryview:
        """An upload made of others, each so many times: words are numbers modulo q."""
        modulus, total = self.parties.modulus, [np.zeros(1, dtype=object)] * 2
        for times, upload in uploads:
            halves = unpack_upload(self.plan, upload)
            total = [(one + times * half.astype(object)) % modulus for one, half in zip(total, halves, strict=True)]
        return packed(self.plan, Halves(*(half.astype(np.uint64) for half in total)))

    def added(self, uploads: Iterable[memoryview]) -> memoryview:
        return self.parties.summed(uploads)

    def made_up(self, first: Words, second: Words, contributors: int) -> memoryview:
        """A sum of any two polynomials: what the key authority will put back for dropped bits is taken off before."""
        back = [contributors * ((1 << dropped) - 1) // 2 for dropped in self.plan.dropped]
        moved = [
            (half.astype(object) - more) % self.parties.modulus
            for half, more in zip((first, second), back, strict=True)
        ]
        return memoryview(b"".join(pack_sum(self.plan, Halves(*(half.astype(np.uint64) for half in moved)))))

    def opened(self, summed: memoryview, contributors: int, round_: int = 1) -> IntVector:
        """What the key authority answers when it is told that these sum so many banks."""
        return unpack_bits(self.answer(summed, contributors, round_), self.plan.field_bits, self.plan.parameters)

    def answer(self, summed: memoryview, contributors: int, round_: int = 1) -> memoryview:
        cohort = self.cohort(round_)
        payload = [contributors.to_bytes(4, "little"), bytes(summed)]
        asked = seal(cohort, DECRYPT, AGGREGATOR, KEY_AUTHORITY, payload)
        answered = self.parties.deployment.trustees(cohort)[KEY_AUTHORITY].respond(asked)
        return open_message(cohort, answered, recipient=AGGREGATOR, sender=KEY_AUTHORITY).payload

    @property
    def zeros(self) -> IntVector:
        return np.zeros(self.parameters, dtype=np.int64)

    @property
    def centre(self) -> int:
        """What is missing in each field where a bank's share of the sum was left out."""
        return 1 << (self.bits - 1) if self.scheme == "ckks" else 0


@pytest.fixture(params=EVERY_SCHEME)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def broken_by(scene: Scene, words: str) -> None:
    """The line of the report that a test belongs to."""
    assert [line for line in SCHEMES[scene.scheme].custody.broken_by if words in line]


def test_whoever_has_the_key_and_an_upload_reads_it(scene: Scene) -> None:
    broken_by(scene, "aggregator and key authority together")
    broken_by(scene, "a bank and the key authority together")
    halves = unpack_sum(scene.plan, scene.added([scene.upload(0)]), 1)
    slots = scene.parties.secret.decrypt(scene.plan, halves)
    assert (decode_slots(scene.plan, slots, 1) == scene.updates[0]).all()


def test_a_single_upload_called_a_sum_is_opened(scene: Scene) -> None:
    broken_by(scene, "gives the key authority a single upload and calls it a sum")
    opened = scene.opened(scene.added([scene.upload(0)]), contributors=3)
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
    # Each encryption of zero puts back what a missing bank would have subtracted to centre the sum.
    zeros = [(1, scene.upload(3, scene.zeros)) for _ in range(3)]
    cancelling = scene.changed(*zeros, *((-1, upload) for upload in honest[1:]))
    assert (scene.opened(scene.added([*honest, cancelling]), 4) == scene.updates[0]).all()


def test_an_upload_that_cancels_another_is_summed_like_any_other(scene: Scene) -> None:
    """Words say nothing of what they were made of: the sum is that of the two others."""
    broken_by(scene, "a bank and a curious aggregator together")
    honest = [scene.upload(bank) for bank in (0, 1, 2)]
    total = scene.opened(scene.added([*honest, scene.changed((-1, honest[0]))]), 4)
    assert (total - 2 * scene.centre == scene.updates[1] + scene.updates[2]).all()


# The key


def plain_modulus(plan: HePlan) -> int:
    if isinstance(plan, RlwePlan):
        return 1 << plan.message_bits
    assert isinstance(plan, BfvPlan)
    return plan.plain_modulus


@pytest.mark.parametrize("scheme", ["bfv", "rlwe"])
def test_one_made_up_request_gives_the_key_and_every_upload(scheme: str) -> None:
    """c0 + c1 s is opened in steps of q / t: where c1 is such a step, and c0 one in each coefficient, that is s + 1."""
    scene = Scene(scheme, parameters=30_000)
    broken_by(scene, "whose decryption is the key")
    captured = unpack_upload(scene.plan, scene.upload(0))
    plan, modulus, t = scene.plan, scene.parties.modulus, plain_modulus(scene.plan)
    first, second = (np.zeros(count, dtype=np.uint64) for count in plan.coefficients)
    first += np.uint64(round(modulus / t))
    second[::DEGREE] = round(modulus / t)
    answer = scene.opened(scene.made_up(first, second, contributors=4), contributors=4, round_=9)

    found = pack_fields(answer, plan.fields_per_slot, plan.field_base) - 1
    assert set(found.tolist()) == {-1, 0, 1}, "keys are ternary"
    key = found[:DEGREE]
    assert np.array_equal(key, scene.parties.keys[0])

    noisy = captured.first[:DEGREE].astype(object) + negacyclic(key, captured.second[:DEGREE], modulus).astype(object)
    plain = np.array([(int(word) * t + modulus // 2) // modulus % t for word in noisy])
    fields = unpack_fields(plain, plan.fields_per_slot, plan.field_base, plan.fields_per_slot * DEGREE)
    for field, row in enumerate(fields.reshape(plan.fields_per_slot, DEGREE)):
        there = scene.updates[0][field * plan.slots :][:DEGREE]
        assert (row[: len(there)] == there).all(), "an upload of another round, without the key authority"


def test_one_made_up_request_gives_the_key_of_ckks_too() -> None:
    """A constant c1 decrypts to the key, scaled: real parts in one ciphertext, imaginary parts in the next.

    Multiplying by X**(N/2) turns a slot by 90 degrees, slots in turn to the left and to the right. In SEAL's transform
    modulo the prime it is a square root of -1 in one half, and the other one in the other half.
    """
    scene = Scene("ckks", parameters=6 * DEGREE)
    planned, prime = scene.plan, scene.parties.modulus
    assert isinstance(planned, CkksPlan)
    root = next(r for a in range(2, 1000) for r in [pow(a, (prime - 1) // 4, prime)] if r * r % prime == prime - 1)
    amplitude = 1 << planned.scale_bits
    first, second = unpack_sum(planned, scene.added([scene.upload(bank) for bank in range(4)]), 4)
    first[: 2 * DEGREE] = 0
    second[:DEGREE] = amplitude
    second[DEGREE : DEGREE + DEGREE // 2] = root * amplitude % prime
    second[DEGREE + DEGREE // 2 : 2 * DEGREE] = prime - root * amplitude % prime
    answer = scene.opened(scene.made_up(first, second, contributors=4), contributors=4, round_=9)

    slots = pack_fields(answer, planned.fields_per_slot, planned.field_base) - 4 * planned.centre
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


def shifted_by_half_a_step(scene: Scene) -> memoryview:
    """An upload of zeros, and a half in each slot."""
    if isinstance(scene.plan, CkksPlan):
        assert isinstance(scene.parties.public, SealPublicKey)
        slots: Any = encode_slots(scene.plan, scene.zeros) + 0.5
        return packed(scene.plan, Halves(*scene.parties.public.context.encrypt(slots)))
    first, second = scene.parties.encrypted(scene.zeros)
    half = np.uint64(scene.parties.modulus // (2 * plain_modulus(scene.plan)))
    return packed(scene.plan, Halves((first + half) % np.uint64(scene.parties.modulus), second))


def test_half_a_step_shows_how_the_noise_fell(scene: Scene) -> None:
    """In the lowest field of every slot: one more where the noise of the sum, all banks' together, was positive."""
    assumed(scene.scheme, "shifts its ciphertext by half a step")
    summed = scene.added([*(scene.upload(bank) for bank in (0, 1, 2)), shifted_by_half_a_step(scene)])
    excess = (scene.opened(summed, 4) - scene.updates[:3].sum(axis=0))[: scene.plan.slots]
    assert set(excess.tolist()) == {0, 1}
    assert 0.3 < excess.mean() < 0.7
    halves = unpack_sum(scene.plan, summed, 4)
    if scene.scheme == "ckks":
        decrypted = scene.parties.secret.decrypt(scene.plan, halves)[: scene.plan.slots]
        fell = decrypted % 1 != 0.5  # a float64 is exactly half way in one of 200 runs, and goes to the even side
        assert (excess == (decrypted % 1 > 0.5))[fell].all(), "a slot was rounded up where the noise was positive"
        return
    t, modulus = plain_modulus(scene.plan), scene.parties.modulus
    past_a_step = [int(phase) * t % modulus for phase in scene.parties.phases(halves)]
    positive = np.array([number > modulus // 2 for number in past_a_step])
    assert (excess == positive).mean() > 0.99, "but for the roundings of q m / t"


def beyond(scene: Scene, value: int) -> memoryview:
    """Ciphertexts of one value throughout, whatever the plan says of it."""
    return scene.parties.upload(scene.zeros + value)


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
    answer = scene.answer(scene.added([scene.upload(bank) for bank in range(4)]), 4)
    assert pack_bits(total, scene.plan.field_bits) == answer
