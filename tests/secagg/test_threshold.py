"""Sums under a key that nobody has: quorums, keys that somebody lies about, noise, and what fewer members make out."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from secure_fl.errors import DropoutError, MessageError, PlanError, ProtocolError
from secure_fl.secagg import plan, simulate
from secure_fl.secagg.budget import Committee
from secure_fl.secagg.budget.plans import ENVELOPE_BYTES
from secure_fl.secagg.budget.threshold import BFV_RING, DEGREE, PRIME_BITS, ThresholdPlan, plan_threshold
from secure_fl.secagg.committed.gathering import Gathered, gather
from secure_fl.secagg.committed.wire import HASH_BYTES, PROOF_BYTES, UPLOAD
from secure_fl.secagg.hazmat.collective import JointKey, data_moduli, key_moduli
from secure_fl.secagg.hazmat.collective_secret import KeyPart, smudging
from secure_fl.secagg.messages import AGGREGATOR, HEADER_BYTES, Cohort, open_message, seal
from secure_fl.secagg.packing import Words
from secure_fl.secagg.protocol import Attendance, Outcome, Party, run_protocol
from secure_fl.secagg.schemes import scheme_of
from secure_fl.secagg.threshold.encoding import decode, encode
from secure_fl.secagg.threshold.wire import (
    OPEN,
    FirstPolynomials,
    ciphertexts_of,
    cut_of,
    in_use,
    pack_request,
    parts_of,
    sum_of_seconds,
    unpack_first,
)
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session
from tests.secagg.altered import Altered

COMMITTEES = [(2, 2), (3, 2), (3, 3), (4, 3), (5, 3)]
MODULI = tuple(map(int, data_moduli(BFV_RING).reshape(-1)))
Q = math.prod(MODULI)


def planned(banks: int, parameters: int, bits: int = 8, committee: tuple[int, int] = (3, 2)) -> ThresholdPlan:
    return plan_threshold("bfv", banks, parameters, bits, banks // 2 + 1, Committee(*committee))


def integers(residues: Words) -> list[int]:
    """In (-q/2, q/2], by Python's integers; residues of shape [numbers, primes]."""
    found = []
    for row in residues.tolist():
        number = sum(r * (Q // m) * pow(Q // m, -1, m) for r, m in zip(row, MODULI, strict=True)) % Q
        found.append(number - Q if number > Q // 2 else number)
    return found


def residues(numbers: Collection[int]) -> Words:
    return np.array([[number % modulus for modulus in MODULI] for number in numbers], dtype=np.uint64)


class Scene:
    """Four banks with their numbers, and a committee with its key."""

    def __init__(self, n: int, t: int, parameters: int = 40) -> None:
        self.scheme = scheme_of("bfv", Committee.of(n, t))
        self.plan: Any = plan("bfv", 4, parameters, 8, holders=n, quorum=t)
        self.updates = np.random.default_rng(n).integers(0, 256, (4, parameters))
        self.there: Any = self.scheme.deploy(self.plan)
        self.again()
        self.there.setup(self.cohort, Transcript())
        self.members = self.cohort.trustees

    def again(self) -> None:
        """A later session, under the same key."""
        banks = tuple(f"bank-{k}" for k in range(1, 5))
        self.cohort: Cohort[Any] = self.scheme.cohort(self.plan, 1, banks, session=new_session())

    def run(
        self,
        silent: Collection[str] = (),
        changes: Mapping[tuple[str, str], Callable[[bytes], bytes]] | None = None,
        transcript: Transcript | None = None,
    ) -> Outcome:
        self.again()
        parties: dict[str, Party] = {
            bank: self.there.client(self.cohort, bank, row)
            for bank, row in zip(self.cohort.banks, self.updates, strict=True)
        }
        parties |= self.there.trustees(self.cohort)
        for (name, stage), change in (changes or {}).items():
            parties[name] = Altered(parties[name], self.cohort, name, stage, change)
        dropped = dict.fromkeys(silent, OPEN)
        return run_protocol(self.cohort, self.there.server(self.cohort), parties, transcript or Transcript(), dropped)

    def ask(self, member: str, wanted: Collection[int], gathered: Gathered) -> bytes:
        """What a member gives for some of its parts, of the sum of these uploads."""
        request = seal(self.cohort, OPEN, AGGREGATOR, member, pack_request(wanted, gathered.to_parts()))
        answer = self.there.trustees(self.cohort)[member].respond(request)
        return bytes(open_message(self.cohort, answer, recipient=AGGREGATOR, sender=member).payload)

    def gathered(self, changed: Mapping[str, Party] | None = None) -> tuple[Gathered, Words]:
        """What the aggregator has before it asks members, and the sum of first polynomials."""
        parties = {
            bank: self.there.client(self.cohort, bank, row)
            for bank, row in zip(self.cohort.banks, self.updates, strict=True)
        }
        return self.gathered_of(parties | dict(changed or {}))

    def gathered_of(self, parties: Mapping[str, Party]) -> tuple[Gathered, Words]:
        """The same of these banks; those that are not among them are silent."""
        first = FirstPolynomials(self.plan)
        directory = self.there._identities.directory(self.cohort.banks)
        half = gather(self.cohort, cut_of(self.plan), directory, Attendance(self.cohort), first.add)
        stage = next(half)
        try:
            while True:
                asked = {bank: data for bank, data in stage.requests.items() if bank in parties}
                stage = half.send(iter([(bank, parties[bank].respond(data)) for bank, data in asked.items()]))
        except StopIteration as finished:
            gathered: Gathered = finished.value
            return gathered, first.total()

    def opened(self, first: Words, gathered: Gathered) -> Any:
        """What the aggregator has once the first two members answered; `first`: of the banks in the sum."""
        found = first.copy()
        for part, member in enumerate((0, 0, 1)):
            answer = self.ask(self.members[member], (part,), gathered)
            found += unpack_first(self.plan, memoryview(answer))
        moduli = data_moduli(self.plan.ring).reshape(-1)
        return decode(self.plan, found % moduli, len(gathered.uploads))


def only(gathered: Gathered, *numbers: int) -> Gathered:
    return replace(gathered, uploads={number: gathered.uploads[number] for number in numbers})


# Quorums


@pytest.mark.parametrize(("n", "t"), COMMITTEES)
def test_every_quorum_opens_the_same_exact_sum(n: int, t: int) -> None:
    scene = Scene(n, t)
    for silent in itertools.chain.from_iterable(itertools.combinations(scene.members, k) for k in range(n - t + 1)):
        assert scene.run(silent).sum.total.tolist() == scene.updates.sum(axis=0).tolist()


@pytest.mark.parametrize(("n", "t"), COMMITTEES)
def test_fewer_open_nothing(n: int, t: int) -> None:
    scene = Scene(n, t)
    for silent in itertools.combinations(scene.members, n - t + 1):
        with pytest.raises(DropoutError, match=f"{', '.join(silent)} did not answer, and {t} key holders must"):
            scene.run(silent)


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(COMMITTEES), st.integers(3, 5), st.sampled_from([4, 8, 16, 24]), st.integers(1, 20_000), st.data()
)
def test_sums_are_exact_whatever_the_committee(
    committee: tuple[int, int], banks: int, bits: int, parameters: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    updates = rng.integers(0, 2**bits, (banks, parameters))
    updates[:, :: data.draw(st.integers(1, 9))] = 2**bits - 1
    found = simulate("bfv", updates, bits, holders=committee[0], quorum=committee[1])
    assert (found.total == updates.sum(axis=0)).all()
    assert isinstance(found.plan, ThresholdPlan)
    sent = found.plan.first.nbytes + found.plan.second.nbytes + HASH_BYTES + PROOF_BYTES
    assert found.upload_bytes[0] - 2 * HEADER_BYTES == sent


@pytest.mark.parametrize(("n", "t"), [(2, 2), (3, 2), (3, 3), (4, 3)])
def test_no_member_sends_more_than_the_plan_says(n: int, t: int) -> None:
    """Whoever is silent. In these committees the most is sent where others are; in larger ones it is less."""
    scene = Scene(n, t)
    gathered, _ = scene.gathered()
    everything = scene.ask(scene.members[0], parts_of(scene.cohort, scene.members[0]), gathered)
    most = scene.plan.answer_bytes
    assert scene.plan.derived()["answer_bytes"] == most == len(everything) + ENVELOPE_BYTES
    sent = []
    for silent in itertools.chain.from_iterable(itertools.combinations(scene.members, k) for k in range(n - t + 1)):
        transcript = Transcript()
        scene.run(silent, transcript=transcript)
        answers = Counter[str]()
        for delivery in transcript.so_far:
            if delivery.stage == OPEN and delivery.recipient == AGGREGATOR:
                answers[delivery.sender] += delivery.nbytes - HEADER_BYTES
        sent.append(max(answers.values()))
    assert max(sent) == len(everything)


# Noise


@pytest.mark.parametrize("parts", [1, 3])
def test_the_noise_of_a_fresh_ciphertext_is_what_the_plan_says(parts: int) -> None:
    drawn = [KeyPart.generate(BFV_RING, b"seed") for _ in range(parts)]
    joint = JointKey(BFV_RING, b"seed", np.stack([public for _, public in drawn]))
    first, second = joint.encrypt_zero()
    opened = (first + sum(part.times(second[None])[0] for part, _ in drawn)) % data_moduli(BFV_RING)
    noise = np.array(integers(opened.T[:2000]), dtype=np.float64)
    expected = math.sqrt((1 + 2 / 3 * DEGREE * parts) / 12)
    assert abs(noise.std() / expected - 1) < 0.1


def test_the_plan_counts_on_drawers_that_draw_the_same_polynomial_for_all_their_parts() -> None:
    """Each part looks like any other, the noise of a sum is wider than of an honest key, and smudging is for that."""
    part, public = KeyPart.generate(BFV_RING, b"seed")
    halves = [(public + np.uint64(k)) % key_moduli(BFV_RING) for k in range(3)]
    for half in halves:
        part.require_public(b"seed", half)
    first, second = JointKey(BFV_RING, b"seed", np.stack(halves)).encrypt_zero()
    opened = (first + 3 * part.times(second[None])[0]) % data_moduli(BFV_RING)
    noise = np.array(integers(opened.T[:2000]), dtype=np.float64)
    assert noise.std() > 1.5 * math.sqrt((1 + 2 / 3 * DEGREE * 3) / 12), "honest"
    assert noise.std() < replace(planned(3, 1), banks=1).deviation
    assert replace(planned(3, 1), banks=4).deviation == pytest.approx(math.sqrt(4 * (1 + DEGREE * 9) / 12))


@pytest.mark.parametrize("bits", [5, 19, 39, 59, 66, 79])
def test_smudging_is_uniform_in_its_range(bits: int) -> None:
    drawn = np.array([number / 2.0**bits for number in integers(smudging(BFV_RING, b"\1" * 32, bits, 20_000))])
    assert -1 <= drawn.min() < -0.99
    assert 0.9 < drawn.max() < 1
    assert abs(drawn.mean()) < 5 / math.sqrt(3 * 20_000)
    assert abs(drawn.var() * 3 - 1) < 0.05
    low = np.array([number & 1 for number in integers(smudging(BFV_RING, b"\2" * 32, bits, 20_000))])
    assert abs(low.mean() - 0.5) < 5 * 0.5 / math.sqrt(20_000)


def test_an_answer_is_a_part_times_the_sum_and_noise_of_the_plans_width() -> None:
    scene = Scene(3, 2, parameters=30_000)
    gathered, _ = scene.gathered()
    member, part = scene.members[0], parts_of(scene.cohort, scene.members[0])[0]
    answer = unpack_first(scene.plan, memoryview(scene.ask(member, (part,), gathered)))
    second = sum_of_seconds(scene.plan, [upload.shown for upload in gathered.uploads.values()])
    exact = scene.there._members[member].parts[part].times(ciphertexts_of(scene.plan, second))
    noise = (answer + data_moduli(BFV_RING).reshape(-1) - in_use(scene.plan, exact)) % data_moduli(BFV_RING).reshape(-1)
    share = np.array([number / 2.0**scene.plan.smudging for number in integers(noise)])
    assert -1 <= share.min() < -0.95
    assert 0.95 < share.max() < 1


def test_asking_again_gives_the_same_noise_and_another_part_another() -> None:
    """Else answers could be averaged until the noise is gone."""
    scene = Scene(3, 2)
    gathered, _ = scene.gathered()
    member = scene.members[0]
    one, two = parts_of(scene.cohort, member)
    assert scene.ask(member, (one,), gathered) == scene.ask(member, (one,), gathered)
    both = scene.ask(member, (one, two), gathered)
    assert both[: len(both) // 2] == scene.ask(member, (one,), gathered)
    assert both[: len(both) // 2] != both[len(both) // 2 :]


def test_a_member_opens_one_sum_in_an_attempt_of_enough_banks() -> None:
    scene = Scene(3, 2)
    gathered, _ = scene.gathered()
    member = scene.members[0]
    part = parts_of(scene.cohort, member)[:1]
    with pytest.raises(DropoutError, match="a sum of 2 banks and the threshold is 3"):
        scene.ask(member, part, only(gathered, 0, 1))
    scene.ask(member, part, only(gathered, 0, 1, 2))
    for others in ((0, 1, 2, 3), (1, 2, 3)):
        with pytest.raises(ProtocolError, match="does not go back"):
            scene.ask(member, part, only(gathered, *others))
    with pytest.raises(MessageError, match="a part of the key that it does not have"):
        scene.ask(member, (2,), only(gathered, 0, 1, 2))
    short = {number: replace(upload, shown=upload.shown[:-8]) for number, upload in gathered.uploads.items()}
    with pytest.raises(MessageError, match="another length"):
        scene.ask(member, part, replace(gathered, uploads=short))


# Numbers


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 10_000), st.integers(1, 300), st.integers(4, 24), st.sampled_from(COMMITTEES), st.data())
def test_numbers_come_back_under_any_noise_that_the_plan_allows(
    banks: int, parameters: int, bits: int, committee: tuple[int, int], data: st.DataObject
) -> None:
    try:
        p = planned(banks, parameters, bits, committee)
    except PlanError:
        assume(False)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    total = rng.integers(0, banks * (2**bits - 1), parameters, endpoint=True)
    total[: data.draw(st.integers(0, parameters))] = data.draw(st.sampled_from([0, banks * (2**bits - 1)]))
    largest = (1 << (p.shift - 1)) - 1
    noise = [int(sign) * largest for sign in rng.choice([-1, 1], p.coefficients)]
    digits = np.zeros(p.fields * p.coefficients, dtype=object)
    digits[:parameters] = total
    rows = digits.reshape(p.fields, p.coefficients)
    numbers = sum(row * p.field_base**place for place, row in enumerate(rows)) * 2**p.shift + np.array(
        noise, dtype=object
    )
    assert decode(p, residues(list(numbers)), banks).tolist() == total.tolist()


def test_encoding_is_that_of_pythons_integers() -> None:
    p = planned(10, 1000)
    values = np.random.default_rng(1).integers(0, 256, 1000)
    digits = np.zeros(p.fields * p.coefficients, dtype=object)
    digits[:1000] = values
    rows = digits.reshape(p.fields, p.coefficients)
    numbers = sum(row * p.field_base**place for place, row in enumerate(rows)) * 2**p.shift
    assert (encode(p, values) == residues(list(numbers))).all()


@pytest.mark.parametrize("what", ["noise", "value", "garbage", "negative"])
def test_what_no_sum_is_opens_to_nothing(what: str) -> None:
    p = planned(10, 1000)
    total = encode(p, np.full(1000, 255))
    if what == "value":
        found = total * np.uint64(11) % data_moduli(BFV_RING).reshape(-1)
    elif what == "garbage":
        found = np.stack(
            [np.random.default_rng(2).integers(0, m, p.coefficients, dtype=np.uint64) for m in MODULI], axis=1
        )
    else:
        moved = -(1 << (p.shift + 3)) if what == "noise" else -(1 << (p.shift - 1)) - 1
        zero = np.zeros_like(total) if what == "negative" else total * np.uint64(0)
        found = (zero + residues([moved])) % data_moduli(BFV_RING).reshape(-1)
    with pytest.raises(ProtocolError, match="does not open a sum of these banks"):
        decode(p, found, 10)


def test_a_sum_beyond_what_its_banks_can_have_added_up_is_not_released() -> None:
    """It fits into its field, as the spare digits do."""
    p = planned(10, 1000)
    total = encode(p, np.full(1000, 255)) * np.uint64(9) % data_moduli(BFV_RING).reshape(-1)
    assert decode(p, total, 9).tolist() == [9 * 255] * 1000
    with pytest.raises(ProtocolError, match="does not open a sum of these banks"):
        decode(p, total, 8)


# Lies


def test_a_member_that_gives_noise_spoils_the_sum_and_it_is_not_released() -> None:
    scene = Scene(3, 2)

    def noise(payload: bytes) -> bytes:
        return bytes(np.random.default_rng(3).integers(0, 256, len(payload), dtype=np.uint8))

    with pytest.raises(ProtocolError, match="does not open a sum of these banks"):
        scene.run(changes={(scene.members[0], OPEN): noise})


@pytest.mark.parametrize("change", [lambda payload: payload[:-1], lambda payload: b""])
def test_a_member_whose_answer_cannot_be_read_is_replaced(change: Callable[[bytes], bytes]) -> None:
    scene = Scene(3, 2)
    outcome = scene.run(changes={(scene.members[1], OPEN): change})
    assert outcome.sum.total.tolist() == scene.updates.sum(axis=0).tolist()
    assert set(outcome.refused) == {scene.members[1]}


@pytest.mark.parametrize("length", [0, 1, -1])
def test_a_bank_whose_upload_cannot_be_read_is_left_out(length: int) -> None:
    scene = Scene(3, 2)

    def other(payload: bytes) -> bytes:
        return payload[:length] if length <= 0 else payload + b"\0"

    outcome = scene.run(changes={("bank-2", UPLOAD): other})
    assert outcome.sum.total.tolist() == scene.updates[[0, 2, 3]].sum(axis=0).tolist()
    assert set(outcome.refused) == {"bank-2"}


# Plans


@pytest.mark.parametrize(
    ("banks", "parameters", "bits", "committee", "bytes_per_parameter"),
    [(10, 1_000_000, 8, (3, 2), 4.74), (10, 1_000_000, 8, (5, 3), 5.2), (3, 10_369, 8, (3, 2), 21.74)],
)
def test_plans_are_as_small_as_the_design_promises(
    banks: int, parameters: int, bits: int, committee: tuple[int, int], bytes_per_parameter: float
) -> None:
    p = planned(banks, parameters, bits, committee)
    assert p.upload_bytes <= bytes_per_parameter * parameters
    assert p.distance_bits >= 40


@given(st.integers(3, 10_000), st.integers(1, 10**8), st.integers(4, 24), st.sampled_from([*COMMITTEES, (7, 4)]))
def test_an_accepted_plan_keeps_every_promise(
    banks: int, parameters: int, bits: int, committee: tuple[int, int]
) -> None:
    p = planned(banks, parameters, bits, committee)
    parts = len(p.committee.subsets)
    assert p.field_base > banks * (2**bits - 1)
    assert p.field_base**p.fields << p.shift <= Q // 2, "the largest sum"
    error = 20 * p.deviation
    assert parts * 2**p.smudging + error < 2 ** (p.shift - 1), "all noises together stay below a half"
    assert p.deviation == pytest.approx(math.sqrt(banks * (1 + DEGREE * parts**2) / 12))
    distance = (committee[0] - committee[1] + 1) * p.coefficients * 0.8 * p.deviation / 2 ** (p.smudging + 1)
    assert distance <= 2.0**-40
    assert p.distance_bits == pytest.approx(-math.log2(distance))
    assert 2**20 <= p.sums_of_a_key <= 2**40
    assert p.sums_of_a_key * distance <= 2.0**-20
    assert p.first.count == p.coefficients * len(PRIME_BITS)
    assert p.second.count == math.ceil(p.coefficients / DEGREE) * DEGREE * len(PRIME_BITS)
    assert sum((40, 40, 40, 40, 36, 18)) == 214, "within the guidelines of 2024 at N = 8192"
