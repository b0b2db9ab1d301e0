"""Ring-LWE sums: what SEAL opens with our keys, known answers, and failures where they are predicted."""

from __future__ import annotations

import copy
import hashlib
import math
import pickle
import secrets
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.budget import RlwePlan
from secure_fl.secagg.budget.dropping import left_of
from secure_fl.secagg.budget.he import FAILURE_BITS, Dropped
from secure_fl.secagg.budget.rlwe import FRESH_NOISE, _bound, plan_rlwe
from secure_fl.secagg.he.encoding import decode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.words import Adder, pack_sum, pack_upload, unpack_sum
from secure_fl.secagg.packing import IntVector, pack_fields
from secure_fl.secagg.rlwe.encryption import RlwePublicKey, scaled
from secure_fl.secagg.rlwe.opening import RlweSecretKey
from secure_fl.secagg.rlwe.ring import DEGREE, MODULUS
from tests.secagg.rlwe.seal import Seal


def planned(banks: int, parameters: int, bits: int = 8) -> RlwePlan:
    return plan_rlwe(banks, parameters, bits, banks // 2 + 1)


class Parties:
    """All of them."""

    def __init__(self, plan: RlwePlan) -> None:
        self.plan = plan
        self.secret = RlweSecretKey.generate(plan.parameters_of_context)
        self.public = RlwePublicKey.load(self.secret.public_key(), plan.parameters_of_context)

    def upload(self, values: IntVector) -> memoryview:
        return memoryview(b"".join(pack_upload(self.plan, self.public.encrypt(self.plan, values))))

    def summed(self, uploads: list[memoryview]) -> Halves:
        adder = Adder(self.plan)
        for upload in uploads:
            adder.add(upload)
        sent = memoryview(b"".join(pack_sum(self.plan, adder.total())))
        return unpack_sum(self.plan, sent, len(uploads))

    def opened(self, values: IntVector) -> IntVector:
        """The sum of the rows."""
        halves = self.summed([self.upload(row) for row in values])
        return decode_slots(self.plan, self.secret.decrypt(self.plan, halves), len(values))


@pytest.mark.parametrize(
    ("banks", "parameters", "bits"), [(3, 1, 4), (3, 200_000, 8), (10, 70_000, 8), (40, 9_000, 24)]
)
@pytest.mark.parametrize("fill", ["random", "largest", "zero"])
def test_sums_are_exact(banks: int, parameters: int, bits: int, fill: str) -> None:
    largest = (1 << bits) - 1
    values = np.random.default_rng(bits).integers(0, largest + 1, (banks, parameters))
    values = {"random": values, "largest": np.full_like(values, largest), "zero": 0 * values}[fill]
    assert np.array_equal(Parties(planned(banks, parameters, bits)).opened(values), values.sum(axis=0))


def test_seal_opens_our_ciphertexts_with_our_keys() -> None:
    """With every key, each message polynomial, bit for bit, and a noise as small as is said."""
    plan = replace(planned(3, 200_000), dropped=Dropped(0, 0))
    there, seal = Parties(plan), Seal(1 << plan.message_bits)
    values = np.random.default_rng(1).integers(0, 256, plan.parameters)
    messages = pack_fields(values, plan.fields_per_slot, plan.field_base)
    first, second = there.public.encrypt(plan, values)
    assert plan.keys > 2
    for place, start in enumerate(range(0, plan.slots, DEGREE)):
        d = np.zeros(DEGREE, dtype=np.uint64)
        part = first[start : start + DEGREE]
        d[: len(part)] = part
        ciphertext, key = divmod(place, plan.keys)
        c = second[ciphertext * DEGREE : (ciphertext + 1) * DEGREE]
        opened, spare = seal.decrypt(there.secret._s[key], d, c)
        assert np.array_equal(opened[: len(part)], messages[start : start + DEGREE])
        if len(part) == DEGREE:
            assert 2 ** (54 - 1 - plan.message_bits - spare) < 12 * FRESH_NOISE


def test_another_key_opens_garbage_and_that_is_noticed() -> None:
    there, other = Parties(planned(3, 10_000)), Parties(planned(3, 10_000))
    halves = there.summed([there.upload(np.full(10_000, 7)) for _ in range(3)])
    with pytest.raises(ProtocolError, match="outside its range"):
        decode_slots(there.plan, other.secret.decrypt(other.plan, halves), 3)


def test_the_same_numbers_never_give_the_same_ciphertext() -> None:
    there = Parties(planned(3, 5_000))
    first, second = (there.public.encrypt(there.plan, np.zeros(5_000, dtype=np.int64)) for _ in range(2))
    assert not np.isin(first.first, second.first).any()
    assert not np.isin(first.second, second.second).any()


def test_every_polynomial_has_a_u_and_errors_of_its_own() -> None:
    """Two messages under one u and one key would open their difference; so would errors that repeat."""
    plan = replace(planned(3, 400_000), dropped=Dropped(0, 0))
    assert plan.ciphertexts > 1
    there = Parties(plan)
    _, second = there.public.encrypt(plan, np.zeros(plan.parameters, dtype=np.int64))
    rows = second.reshape(-1, DEGREE)
    assert len(np.unique(rows, axis=0)) == plan.ciphertexts


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is always the same in the place of the operating system's randomness."""
    stream = Cipher(algorithms.AES256(bytes(32)), modes.CTR(bytes(16))).encryptor()
    monkeypatch.setattr(secrets, "token_bytes", lambda count: stream.update(bytes(count)))


@pytest.mark.usefixtures("numbered")
def test_known_answers() -> None:
    """What these keys and this upload have always been: whoever changes it breaks keys that are kept."""
    there = Parties(planned(3, 20_000))
    upload = there.upload(np.arange(20_000) % 256)
    assert hashlib.sha256(there.secret.public_key()).hexdigest() == PUBLIC_KEY
    assert hashlib.sha256(there.secret.keep()).hexdigest() == KEPT
    assert hashlib.sha256(upload).hexdigest() == UPLOADED


PUBLIC_KEY = "c9e345d2c8a1c395d1c3f1bbff64a6822c8b6f5988025017e6ebc8123313d270"
KEPT = "ca3ac17330d4eb84a881149e1fd9c461e8838c2e45628d9dc37678d6063d970b"
UPLOADED = "f46b116ccf2a0da69c6187cbc455ee0332aa1d01621cd2b04123af940f1e2470"


def test_a_kept_key_opens_what_was_encrypted_before() -> None:
    there = Parties(planned(3, 10))
    halves = there.summed([there.upload(np.arange(10)) for _ in range(3)])
    again = RlweSecretKey.again(there.plan.parameters_of_context, there.secret.keep())
    assert decode_slots(there.plan, again.decrypt(there.plan, halves), 3).tolist() == (3 * np.arange(10)).tolist()
    assert "RlweSecretKey(...)" in repr(again)


def test_a_secret_key_cannot_be_pickled() -> None:
    secret = RlweSecretKey.generate(planned(3, 10).parameters_of_context)
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            copying(secret)


def test_bad_public_keys_are_refused() -> None:
    parameters = planned(3, 10).parameters_of_context
    key = Parties(planned(3, 10)).secret.public_key()
    for bad in (b"", key[:-1], key + b"\0"):
        with pytest.raises(MessageError, match="other parameters"):
            RlwePublicKey.load(bad, parameters)
    with pytest.raises(MessageError, match="beyond its modulus"):
        RlwePublicKey.load(key[:32] + b"\xff" * (len(key) - 32), parameters)


@pytest.mark.parametrize("bits", [1, 12, 30, 41])
def test_messages_are_scaled_as_exact_fractions_are(bits: int) -> None:
    messages = [0, 1, (1 << bits) - 1, (1 << bits) // 3]
    exact = [(2 * MODULUS * message + (1 << bits)) // (2 << bits) for message in messages]
    found = scaled(np.array(messages, dtype=np.int64), bits).tolist()
    assert all(abs(a - b) <= 1 for a, b in zip(found, exact, strict=True))
    assert all(abs(a * (1 << bits) - MODULUS * m) <= (1 << bits) for a, m in zip(found, messages, strict=True))


def test_the_bound_has_room_for_the_half_step_that_the_key_multiplies() -> None:
    """Of three banks the mean of a dropped bit is 3/2; put back as 1, c lacks 1/2 everywhere, and d + c s much more."""
    plan = replace(planned(3, 200_000), dropped=Dropped(0, 1))
    secret = RlweSecretKey.generate(plan.parameters_of_context)
    nothing = memoryview(bytes(sum(run.nbytes for run in plan.summed_words)))
    put_back = unpack_sum(plan, nothing, plan.banks)
    assert (put_back.second == 1).all()
    phases = secret.phases(plan, put_back).astype(np.int64)  # (1 + ... + X**(N - 1)) s, twice what half steps move
    moved = np.where(phases > MODULUS // 2, phases - MODULUS, phases) / 2
    bound = _bound(plan.message_bits, plan.banks)
    assert left_of(bound, Dropped(5, 0)) == bound
    assert plan.banks < np.abs(moved).max() < bound - left_of(bound, plan.dropped) == 333
    assert MODULUS / (2 << plan.message_bits) - bound >= plan.banks / 2 + 0.5 + 4
    union = 1 + math.log2(15 * DEGREE)
    assert 333**2 / (2 * DEGREE / 6 * math.log(2)) - union > 100, "bits of the tail, over all coefficients and keys"


@pytest.mark.parametrize("dropped", [(0, 0), (9, 0), (0, 3), (14, 8)])
def test_each_part_of_the_noise_may_leave_its_share_of_the_bound(dropped: tuple[int, int]) -> None:
    """Ring-LWE says nothing of how parts go together: their probabilities add up."""
    plan = replace(planned(10, 120_000), dropped=Dropped(*dropped))
    h = (2 / 3 + 1 / 8) * DEGREE
    first, second = (4**bits / 12 if bits else 0.0 for bits in dropped)
    parts = [math.sqrt(plan.banks * part) for part in (FRESH_NOISE**2, first, second * h) if part]
    bound = left_of(_bound(plan.message_bits, plan.banks), plan.dropped)
    shares = [bound * part / sum(parts) for part in parts]
    exponents = [-(share**2) / (2 * part**2) / math.log(2) for share, part in zip(shares, parts, strict=True)]
    largest = max(exponents)
    total = largest + math.log2(2 * plan.slots * sum(2 ** (exponent - largest) for exponent in exponents))
    assert plan.failure_bits == pytest.approx(-total)


def failing_share(plan: RlwePlan) -> float:
    """The bound on the share of coefficients that are wrong."""
    return min(1.0, float(2 ** (-plan.failure_bits - math.log2(plan.slots))))


def over_dropped(plan: RlwePlan, at_least: float, first: int, second: int) -> RlwePlan:
    """So many more bits dropped, again and again, until the bound says that at least that share may fail."""
    while failing_share(plan) < at_least:
        plan = replace(plan, dropped=Dropped(plan.dropped.first + first, plan.dropped.second + second))
    return plan


def wrong_coefficients(plan: RlwePlan, sums: int) -> int:
    there, rng, wrong = Parties(plan), np.random.default_rng(3), 0
    for _ in range(sums):
        values = rng.integers(0, 256, (plan.banks, plan.parameters))
        halves = there.summed([there.upload(row) for row in values])
        found = np.rint(there.secret.decrypt(plan, halves)).astype(np.int64)
        expected = np.sum([pack_fields(row, plan.fields_per_slot, plan.field_base) for row in values], axis=0)
        wrong += int((found != expected).sum())
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("banks", [3, 10])
@pytest.mark.parametrize(("first", "second"), [(1, 0), (0, 1)])
def test_coefficients_fail_where_the_bound_says_and_not_before(banks: int, first: int, second: int) -> None:
    """Bits are over-dropped on purpose: never more failures than the bound says, and some where it says many."""
    plan = planned(banks, 120_000)
    assert plan.failure_bits >= FAILURE_BITS
    assert wrong_coefficients(plan, 2) == 0
    for share in (1e-4, 0.2):
        failing = over_dropped(plan, share, first, second)
        assert wrong_coefficients(failing, 4) <= 4 * failing.slots * failing_share(failing)
    assert wrong_coefficients(failing, 4) > 10
