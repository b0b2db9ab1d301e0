"""CKKS sums: exact wherever the planner accepts, and deaf to everything that is no upload, no sum or no public key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tenseal as ts
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import ConfigurationError, DropoutError, MessageError, ProtocolError, SecretExposureError
from secure_fl.secagg import plan, simulate
from secure_fl.secagg.budget import CkksPlan, HeParameters
from secure_fl.secagg.hazmat.he_public import PublicContext, fingerprint
from secure_fl.secagg.he.client import HeClient
from secure_fl.secagg.he.deployment import HeDeployment
from secure_fl.secagg.he.encoding import decode_slots, encode_slots
from secure_fl.secagg.he.public_keys import accept_public_key
from secure_fl.secagg.he.words import Adder, pack_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import SecureSum, Stage

AUTHORITY = "key-authority"
SLOTS = 2048
PARAMETERS = HeParameters("ckks", 48, scale_bits=17)
BANKS = ("bank-1", "bank-2", "bank-3")
CohortFactory = Callable[..., Cohort[Any]]
Send = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8, 12, 16, 24])
@pytest.mark.parametrize("banks", [3, 4, 10, 33])
def test_random_sums_are_exact(banks: int, bits: int, random_updates: Callable[..., IntVector]) -> None:
    updates = random_updates(banks, 5000, bits)
    assert (simulate("ckks", updates, bits=bits).total == updates.sum(axis=0)).all()


@pytest.mark.parametrize(("banks", "bits"), [(3, 8), (3, 24), (4, 8), (8, 16), (9, 4), (64, 4)])
@pytest.mark.parametrize("share", [0, 1])
def test_sums_of_the_extremes_are_exact(banks: int, bits: int, share: int) -> None:
    value = share * (2**bits - 1)
    assert set(simulate("ckks", np.full((banks, 7000), value), bits=bits).total.tolist()) == {banks * value}


@pytest.mark.parametrize("bits", [8, 16, 24])
@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_vectors_around_whole_ciphertexts_are_exact(
    bits: int, extra: int, random_updates: Callable[..., IntVector]
) -> None:
    planned = plan("ckks", 3, 4 * SLOTS, bits)
    assert isinstance(planned, CkksPlan)
    updates = random_updates(3, planned.fields_per_slot * SLOTS + extra, bits)
    assert (simulate("ckks", updates, bits=bits).total == updates.sum(axis=0)).all()


@pytest.mark.parametrize("bits", [4, 8, 24])
def test_one_parameter_is_enough(bits: int) -> None:
    assert simulate("ckks", np.array([[1], [0], [2**bits - 1]]), bits=bits).total.tolist() == [2**bits]


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.integers(3, 100), st.integers(4, 16), st.integers(1, 3000), st.integers(0, 2**32), st.data())
def test_any_sum_that_can_be_planned_is_exact(
    banks: int, bits: int, parameters: int, seed: int, data: st.DataObject
) -> None:
    updates = np.random.default_rng(seed).integers(0, 2**bits, (banks, parameters))
    lost = data.draw(st.sets(st.integers(0, banks - 1), max_size=(banks - 1) // 2))
    kept = sorted(set(range(banks)) - lost)
    result = simulate("ckks", updates, bits=bits, drop=dict.fromkeys(lost, "upload"))
    assert (result.total == updates[kept].sum(axis=0)).all()
    assert result.contributors == set(kept)


@pytest.mark.slow
@pytest.mark.parametrize(("banks", "bits", "parameters"), [(100, 8, 40_000), (10, 8, 1_000_000), (500, 4, 9000)])
def test_large_sums_are_exact(banks: int, bits: int, parameters: int, random_updates: Callable[..., IntVector]) -> None:
    updates = random_updates(banks, parameters, bits)
    assert (simulate("ckks", updates, bits=bits).total == updates.sum(axis=0)).all()


@pytest.mark.parametrize(("fields", "bits", "banks"), [(1, 24, 3), (4, 8, 3), (4, 8, 4), (7, 4, 3), (3, 8, 16)])
def test_encoded_slots_are_centred_and_come_back(fields: int, bits: int, banks: int) -> None:
    planned = plan("ckks", banks, 2 * SLOTS, bits)
    assert isinstance(planned, CkksPlan)
    largest = planned.field_base**planned.fields_per_slot / 2
    for value in (0, 2**bits - 1):
        slots = banks * encode_slots(planned, np.full(planned.parameters, value))
        assert np.abs(slots).max() <= largest * (1 + 4 / planned.field_base)
        assert set(decode_slots(planned, slots.reshape(-1), banks).tolist()) == {banks * value}


def test_two_encryptions_of_one_update_differ(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("ckks")
    client = HeDeployment(cohort.plan).client(cohort, "bank-1", np.ones(10, dtype=np.int64))
    request = seal(cohort, "upload", AGGREGATOR, "bank-1")
    assert client.respond(request) != client.respond(request)


# The round in the hands of a test: every message can be replaced on its way.


@dataclass
class Round:
    cohort: Cohort[Any]
    deployment: HeDeployment
    updates: IntVector
    send: Send

    def upload(self, bank: str) -> bytes:
        client = self.deployment.client(self.cohort, bank, self.updates[BANKS.index(bank)])
        answer = client.respond(seal(self.cohort, "upload", AGGREGATOR, bank))
        return bytes(open_message(self.cohort, answer, recipient=AGGREGATOR, sender=bank).payload)

    def summed(self, *uploads: bytes) -> bytes:
        """As it travels to the key authority, without the number of contributors."""
        adder = Adder(self.cohort.plan)
        for upload in uploads:
            adder.add(memoryview(upload))
        return b"".join(pack_sum(self.cohort.plan, adder.total()))

    def sealed(self, bank: str, payload: bytes) -> bytes:
        return seal(self.cohort, "upload", bank, AGGREGATOR, payload)

    def refusal(self, bank: str, message: bytes) -> str:
        """Why a bank's message was refused; the sum is exact over the other banks."""
        finished = self.finished(**{bank.replace("-", "_"): message})
        others = [row for row, name in enumerate(BANKS) if name != bank]
        assert finished.contributors == {BANKS[row] for row in others}
        assert (finished.total == self.updates[others].sum(axis=0)).all()
        return finished.refused[bank]

    def total(self, **replaced: bytes) -> IntVector:
        return self.finished(**replaced).total

    def finished(self, **replaced: bytes) -> SecureSum:
        """The sum, with some banks' messages replaced: finished(bank_1=...)."""
        messages = {bank: replaced.get(bank.replace("-", "_")) for bank in BANKS}
        uploads = [(bank, data or self.sealed(bank, self.upload(bank))) for bank, data in messages.items()]
        server = self.deployment.server(self.cohort)
        next(server)
        stage = self.send(server, iter(uploads))
        assert isinstance(stage, Stage)
        answer = self.decrypt(stage.requests[AUTHORITY])
        result = self.send(server, iter([(AUTHORITY, answer)]))
        assert isinstance(result, SecureSum)
        return result

    def decrypt(self, request: bytes) -> bytes:
        return self.deployment.trustees(self.cohort)[AUTHORITY].respond(request)


@pytest.fixture
def round_(make_cohort: CohortFactory, send: Send, random_updates: Callable[..., IntVector]) -> Round:
    """Three banks, two ciphertexts each, the second one half full."""
    cohort = make_cohort("ckks", 9000)
    assert cohort.plan.ciphertexts == 2
    return Round(cohort, HeDeployment(cohort.plan), random_updates(3, 9000, 8), send)


def test_an_untouched_round_is_exact(round_: Round) -> None:
    assert (round_.total() == round_.updates.sum(axis=0)).all()


@pytest.mark.parametrize("contributors", [0, 1, 4, 2**32 - 1])
def test_the_key_authority_opens_only_sums_of_enough_banks(round_: Round, contributors: int) -> None:
    payload = [contributors.to_bytes(4, "little"), round_.summed(round_.upload("bank-1"))]
    with pytest.raises(DropoutError, match=f"sum of {contributors} banks and opens sums of 2 to 3"):
        round_.decrypt(seal(round_.cohort, "decrypt", AGGREGATOR, AUTHORITY, payload))


def test_the_key_authority_answers_only_the_aggregator(round_: Round) -> None:
    payload = [(3).to_bytes(4, "little"), round_.summed(round_.upload("bank-1"))]
    with pytest.raises(MessageError):
        round_.decrypt(seal(round_.cohort, "decrypt", "bank-1", AUTHORITY, payload))


def test_nobody_answers_what_belongs_to_another_stage(round_: Round) -> None:
    payload = [(3).to_bytes(4, "little"), round_.summed(round_.upload("bank-1"))]
    with pytest.raises(MessageError, match="belongs to stage 'upload' instead of 'decrypt'"):
        round_.decrypt(seal(round_.cohort, "upload", AGGREGATOR, AUTHORITY, payload))
    client = round_.deployment.client(round_.cohort, "bank-1", round_.updates[0])
    with pytest.raises(MessageError, match="belongs to stage 'decrypt' instead of 'upload'"):
        client.respond(seal(round_.cohort, "decrypt", AGGREGATOR, "bank-1"))


@pytest.mark.parametrize("payload", [b"", b"\3", b"\3\0\0\0", b"\3\0\0\0" + bytes(50)])
def test_the_key_authority_refuses_what_holds_no_sum(round_: Round, payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        round_.decrypt(seal(round_.cohort, "decrypt", AGGREGATOR, AUTHORITY, payload))


def test_the_key_authority_opens_one_sum_a_round(round_: Round) -> None:
    authority = round_.deployment.trustees(round_.cohort)[AUTHORITY]

    def ask(contributors: int) -> None:
        payload = [contributors.to_bytes(4, "little"), round_.summed(round_.upload("bank-1"))]
        authority.respond(seal(round_.cohort, "decrypt", AGGREGATOR, AUTHORITY, payload))

    ask(3)
    with pytest.raises(ProtocolError):
        ask(2)


def test_the_same_ciphertexts_of_another_number_of_banks_are_another_request(round_: Round) -> None:
    """Its memory is the authority's, and not that of whoever decrypts for it in one attempt."""
    ciphertexts = round_.summed(round_.upload("bank-1"))

    def ask(contributors: int) -> bytes:
        payload = contributors.to_bytes(4, "little") + ciphertexts
        return round_.decrypt(seal(round_.cohort, "decrypt", AGGREGATOR, AUTHORITY, payload))

    assert ask(3) == ask(3)
    with pytest.raises(ProtocolError, match="the key authority already took part in round 1, attempt 1"):
        ask(2)


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p + b"\0", lambda p: p + p, lambda p: b""])
def test_an_opened_sum_of_another_length_is_none(round_: Round, change: Callable[[bytes], bytes]) -> None:
    server = round_.deployment.server(round_.cohort)
    next(server)
    stage = round_.send(server, iter([(bank, round_.sealed(bank, round_.upload(bank))) for bank in BANKS]))
    answer = round_.decrypt(stage.requests[AUTHORITY])
    opened = bytes(open_message(round_.cohort, answer, recipient=AGGREGATOR, sender=AUTHORITY).payload)
    other = seal(round_.cohort, "decrypt", AUTHORITY, AGGREGATOR, change(opened))
    with pytest.raises(DropoutError, match="the key authority did not answer") as refused:
        round_.send(server, iter([(AUTHORITY, other)]))
    assert f"cannot hold {round_.cohort.plan.parameters} values" in refused.value.refused[AUTHORITY]


# Contexts


def tenseal_context(degree: int = 4096, sizes: tuple[int, ...] = (48, 58)) -> Any:
    return ts.context(ts.SCHEME_TYPE.CKKS, degree, -1, list(sizes), n_threads=1)


def test_a_context_with_a_secret_key_is_refused() -> None:
    context = tenseal_context()
    with pytest.raises(SecretExposureError, match="secret key"):
        PublicContext(context, PARAMETERS)
    with pytest.raises(SecretExposureError, match="secret key"):
        PublicContext.load(context.serialize(save_secret_key=True), PARAMETERS)


def test_a_secret_key_is_refused_even_with_the_right_fingerprint() -> None:
    data = tenseal_context().serialize(save_secret_key=True)
    with pytest.raises(SecretExposureError):
        accept_public_key(data, fingerprint(data), PARAMETERS)


def test_another_public_key_is_refused_before_it_is_parsed(round_: Round) -> None:
    expected = fingerprint(HeDeployment(round_.cohort.plan)._public_key)
    for other in (round_.deployment._public_key, b"", b"no key at all"):
        with pytest.raises(MessageError, match="fingerprint differs"):
            accept_public_key(other, expected, PARAMETERS)


@pytest.mark.parametrize("place", [0, 4, 16, 31])
def test_all_of_a_fingerprint_counts(round_: Round, place: int) -> None:
    key = round_.deployment._public_key
    other = bytearray(fingerprint(key))
    accept_public_key(key, bytes(other), round_.cohort.plan.parameters_of_context)
    other[place] ^= 1
    with pytest.raises(MessageError, match="fingerprint differs"):
        accept_public_key(key, bytes(other), round_.cohort.plan.parameters_of_context)


@pytest.mark.parametrize("length", [0, 1, 31])
def test_the_beginning_of_a_fingerprint_is_none(round_: Round, length: int) -> None:
    key = round_.deployment._public_key
    with pytest.raises(MessageError, match="fingerprint differs"):
        accept_public_key(key, fingerprint(key)[:length], round_.cohort.plan.parameters_of_context)


def test_a_context_without_a_public_key_is_refused() -> None:
    context = tenseal_context()
    context.make_context_public()
    data = context.serialize(save_public_key=False, save_secret_key=False)
    with pytest.raises(MessageError, match="no public key to encrypt with"):
        PublicContext.load(data, PARAMETERS)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_broken_context_is_refused(round_: Round, cut: int) -> None:
    with pytest.raises((MessageError, SecretExposureError)):
        PublicContext.load(round_.deployment._public_key[:cut], PARAMETERS)


# What a bank might send in place of its ciphertexts, in an envelope that is valid.


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda upload: b"",
    "a byte less": lambda upload: upload[:-1],
    "a byte more": lambda upload: upload + b"\0",
    "one ciphertext": lambda upload: upload[: len(upload) // 2],
    "three ciphertexts": lambda upload: upload + upload[: len(upload) // 2],
    "twice": lambda upload: upload * 2,
    "tenseal's": lambda upload: bytes(ts.ckks_vector(tenseal_context(), [0.0] * SLOTS, scale=2.0**17).serialize()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("bank", BANKS[:2])
def test_an_upload_of_another_length_is_refused(round_: Round, change: Callable[[bytes], bytes], bank: str) -> None:
    message = round_.sealed(bank, change(round_.upload(bank)))
    assert "does not hold the ciphertexts of the plan" in round_.refusal(bank, message)


@pytest.mark.slow
def test_any_bytes_of_the_right_length_are_summed_and_the_sum_is_refused_or_has_its_shape(round_: Round) -> None:
    """In an envelope of its own a bank can send what it likes; it must not crash anyone."""
    honest, rng = round_.upload("bank-1"), np.random.default_rng(365)
    uploads = [bytes(len(honest)), b"\xff" * len(honest), *(rng.bytes(len(honest)) for _ in range(20))]
    for place in [*range(0, 130, 2), *rng.integers(0, len(honest), 60), *range(len(honest) - 12, len(honest))]:
        altered = bytearray(honest)
        altered[place] ^= 1 << int(rng.integers(8))
        uploads.append(bytes(altered))
    refusals = []
    for number, upload in enumerate(uploads, start=1):
        here = Round(replace(round_.cohort, round=number), round_.deployment, round_.updates, round_.send)
        try:
            assert here.total(bank_1=here.sealed("bank-1", upload)).shape == (9000,)
        except ProtocolError as error:
            refusals.append(str(error))
    assert all("outside its range" in refusal for refusal in refusals)
    assert len(refusals) > len(uploads) // 2, "a high bit in a value at a root changes every slot"


def test_an_upload_without_a_random_half_is_summed_like_any_other(round_: Round) -> None:
    """Nothing in it is secret, and that is its bank's affair: zeros are the middle of the range."""
    nothing = round_.sealed("bank-1", bytes(len(round_.upload("bank-1"))))
    planned = round_.cohort.plan
    middle = np.full(9000, 1 << (planned.bits - 1))
    assert (round_.total(bank_1=nothing) == round_.updates[1:].sum(axis=0) + middle).all()


def test_a_ciphertext_under_another_key_does_not_open(round_: Round) -> None:
    """The aggregator cannot tell; the key authority decrypts nonsense, which lies outside the range of sums."""
    other = Round(round_.cohort, HeDeployment(round_.cohort.plan), round_.updates, round_.send)
    with pytest.raises(ProtocolError, match="outside its range"):
        round_.total(bank_2=round_.sealed("bank-2", other.upload("bank-2")))


def from_bank_1(round_: Round, values: IntVector) -> IntVector:
    client = HeClient(round_.cohort, "bank-1", values, round_.deployment._public)
    return round_.total(bank_1=client.respond(seal(round_.cohort, "upload", AGGREGATOR, "bank-1")))


@pytest.mark.parametrize("value", [-1, -(2**20), 256, 2**40, 2**62])
def test_values_beyond_the_plan_are_refused(round_: Round, value: int) -> None:
    with pytest.raises(ConfigurationError, match="outside"):
        from_bank_1(round_, np.full(9000, value))


@pytest.mark.parametrize("length", [1, 3, 100, 8999, 9001, 10_000])
def test_an_update_of_another_length_is_refused(round_: Round, length: int) -> None:
    with pytest.raises(ConfigurationError, match="do not fit a plan"):
        from_bank_1(round_, np.ones(length, dtype=np.int64))
