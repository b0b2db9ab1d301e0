"""The key authority of Multi-Krum opens what it chose, once; and what its custody report says would break it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError, DropoutError, MessageError, ProtocolError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat.he_totals import Total, coefficient_of, total_bytes
from secure_fl.secagg.hazmat.he_words import data_moduli
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY
from secure_fl.secagg.krum.deployment import KrumDeployment
from secure_fl.secagg.krum.distances import REASONS
from secure_fl.secagg.krum.selection import Selection
from secure_fl.secagg.krum.server import _totals
from secure_fl.secagg.krum.wire import SELECT, decode_choice, encode_choice, join_list, split_list, split_totals
from secure_fl.secagg.messages import AGGREGATOR, open_message, seal
from secure_fl.secagg.packing import IntVector, Words, unpack_bits
from secure_fl.secagg.protocol import run_protocol
from secure_fl.secagg.transcript import Transcript
from tests.secagg.krum.scene import Scene, poisoned


class Aggregator:
    """Asks the key authority for what it likes, about the uploads of one attempt."""

    def __init__(self, scene: Scene, round_: int = 1, attempt: int = 1) -> None:
        self.scene, self.cohort = scene, scene.cohort(round_, attempt)
        self.authority = scene.deployment.authority(self.cohort)
        self.uploads = {row: scene.ciphertexts(scene.updates[row], self.cohort) for row in range(len(scene.banks))}

    def ask(self, stage: str, payload: Iterable[bytes]) -> memoryview:
        asked = seal(self.cohort, stage, AGGREGATOR, KEY_AUTHORITY, payload)
        return open_message(
            self.cohort, self.authority.respond(asked), recipient=AGGREGATOR, sender=KEY_AUTHORITY, stage=stage
        ).payload

    def select_request(self, rows: Sequence[int] | None = None) -> list[bytes]:
        named = self.uploads if rows is None else rows
        uploads = {row: memoryview(self.scene.upload(self.uploads[row])) for row in named}
        return list(join_list(uploads, _totals(self.cohort, self.scene.public, uploads)))

    def select(self, rows: Sequence[int] | None = None) -> tuple[int, ...]:
        chosen, _ = decode_choice(self.ask(SELECT, self.select_request(rows)), len(self.scene.banks))
        return chosen

    def open(self, named: Sequence[int], ciphertexts: Words) -> IntVector:
        payload = self.ask(DECRYPT, join_list(named, [self.scene.summed(ciphertexts)]))
        return unpack_bits(payload, self.scene.plan.field_bits, self.scene.plan.parameters)

    def open_rows(self, rows: Sequence[int], named: Sequence[int] | None = None) -> IntVector:
        return self.open(rows if named is None else named, self.scene.added(*(self.uploads[row] for row in rows)))


@pytest.fixture
def scene() -> Scene:
    return Scene(poisoned(6, 3000, 1, seed=4))


def test_the_sum_of_the_chosen_is_opened_and_the_same_request_again_gets_the_same_answer(scene: Scene) -> None:
    aggregator = Aggregator(scene)
    request = aggregator.select_request()
    chosen, _ = decode_choice(aggregator.ask(SELECT, request), 6)
    assert decode_choice(aggregator.ask(SELECT, request), 6) == (chosen, {})
    summed = scene.added(*(aggregator.uploads[row] for row in chosen))
    for _ in range(2):
        assert (aggregator.open(chosen, summed) == scene.updates[list(chosen)].sum(axis=0)).all()


def test_no_sum_is_opened_before_a_choice(scene: Scene) -> None:
    with pytest.raises(ProtocolError, match="another sum than that of the banks it chose"):
        Aggregator(scene).open_rows(range(5))


@pytest.mark.parametrize("change", ["a subset", "a superset", "another set", "one bank"])
def test_no_other_set_is_opened(scene: Scene, change: str) -> None:
    aggregator = Aggregator(scene)
    chosen = aggregator.select()
    left = next(row for row in range(6) if row not in chosen)
    rows = {
        "a subset": chosen[:-1],
        "a superset": tuple(range(6)),
        "another set": tuple(sorted({*chosen[1:], left})),
        "one bank": chosen[:1],
    }[change]
    with pytest.raises(ProtocolError, match="another sum than that of the banks it chose"):
        aggregator.open_rows(rows)
    with pytest.raises(ProtocolError, match="already took part in round 1, attempt 1"):
        aggregator.open_rows(chosen)


def test_the_sum_of_another_set_under_the_name_of_the_chosen_does_not_fit_the_distances(scene: Scene) -> None:
    aggregator = Aggregator(scene)
    chosen = aggregator.select()
    with pytest.raises(ProtocolError, match="does not fit the distances"):
        aggregator.open_rows(chosen[:-1], named=chosen)
    again = Aggregator(scene, round_=2)
    with pytest.raises(ProtocolError, match="does not fit the distances"):
        again.open(again.select(), again.uploads[0])


def test_there_is_one_choice_in_an_attempt(scene: Scene) -> None:
    aggregator = Aggregator(scene)
    aggregator.select()
    with pytest.raises(ProtocolError, match="already took part"):
        aggregator.select(range(1, 6))


def test_there_is_one_opening_in_an_attempt_and_rounds_do_not_go_back(scene: Scene) -> None:
    aggregator = Aggregator(scene, round_=3)
    chosen = aggregator.select()
    aggregator.open_rows(chosen)
    nothing = scene.encrypted_slots(np.zeros_like(scene.slots(0)))
    otherwise_encrypted = scene.added(nothing, *(aggregator.uploads[row] for row in chosen))
    with pytest.raises(ProtocolError, match="already took part"):
        aggregator.open(chosen, otherwise_encrypted)
    for round_, attempt in ((2, 9), (3, 1)):
        with pytest.raises(ProtocolError, match="already took part"):
            Aggregator(scene, round_, attempt).select()
    later = Aggregator(scene, 3, attempt=2)
    with pytest.raises(ProtocolError, match="another sum than that of the banks it chose"):
        later.open_rows(chosen)


def test_a_request_that_failed_is_not_made_again(scene: Scene) -> None:
    aggregator = Aggregator(scene)
    with pytest.raises(MessageError, match="totals of 6 banks"):
        aggregator.ask(SELECT, join_list(range(6), [b"nothing"]))
    with pytest.raises(ProtocolError, match="already took part"):
        aggregator.select()


def test_too_few_are_not_chosen_among(scene: Scene) -> None:
    with pytest.raises(DropoutError, match="choose among 3 banks"):
        Aggregator(scene).select((0, 1, 2))


@pytest.mark.parametrize("chosen", [(0, 0, 1, 2, 3), (0, 1, 2, 9), (-1, 0, 1, 2)])
def test_a_rule_that_chooses_nonsense_is_told_so(scene: Scene, chosen: tuple[int, ...]) -> None:
    deployment = KrumDeployment(scene.plan, lambda squared, errors, refused: Selection(chosen))
    cohort = scene.cohort()
    parties = {bank: deployment.client(cohort, bank, scene.updates[row]) for row, bank in enumerate(scene.banks)}
    with pytest.raises(ConfigurationError, match="give another rule"):
        run_protocol(cohort, deployment.server(cohort), {**parties, **deployment.trustees(cohort)}, Transcript())


def monomial(parameters: HeParameters, power: int) -> NDArray[np.uint64]:
    """X**power, times an eighth of each data prime, as a total has it: by its values at the roots, [1, primes, N]."""
    degree = POLY_MODULUS_DEGREE
    odd = [2 * int(f"{place:012b}"[::-1], 2) + 1 for place in range(degree)]
    values = []
    for modulus in data_moduli(parameters):
        roots = (pow(base, (modulus - 1) // (2 * degree), modulus) for base in count(2))
        one = next(root for root in roots if pow(root, degree, modulus) == modulus - 1)
        root = min(pow(one, place, modulus) for place in odd)
        values.append([modulus // 8 * pow(root, place * power, modulus) % modulus for place in odd])
    return np.array([values], dtype=np.uint64)


@pytest.mark.slow
def test_whom_the_authority_refuses_tells_an_aggregator_that_makes_up_totals_the_key(scene: Scene) -> None:
    """Two coefficients of the key in each attempt: bank-1 is refused unless one of them is 1, bank-2 for the other."""
    assert [line for line in scene.scheme.custody.broken_by if "some thousand attempts tell the key" in line]
    parameters = scene.plan.parameters_of_context
    half = POLY_MODULUS_DEGREE // 2
    told: dict[int, bool] = {}
    for attempt in range(1, 40):
        aggregator = Aggregator(scene, attempt=attempt)
        head, numbers, *totals = aggregator.select_request()
        for bank in (0, 1):
            place = 2 * attempt + bank
            minus_one = tuple(modulus - modulus // 8 for modulus in data_moduli(parameters))
            totals[bank] = Total(minus_one, monomial(parameters, half - place)).serialize()
        _, out = decode_choice(aggregator.ask(SELECT, [head, numbers, *totals]), 6)
        told |= {2 * attempt + bank: bank not in out for bank in (0, 1)}
        if attempt > 5 and len(set(told.values())) == 2:
            break
    words = scene.deployment._authority._secret._context.secret_key().data.data()
    modulus = data_moduli(parameters)[0]
    key = np.array([words[root] for root in range(POLY_MODULUS_DEGREE)], dtype=object)
    for place, is_one in told.items():
        shifted = key * monomial(parameters, half - place)[0, 0].astype(object) % modulus
        sums = [int(part.sum()) for part in np.split(shifted, 2)]
        assert is_one == (coefficient_of(sums, modulus, imaginary=True) == modulus // 8)
    assert len(set(told.values())) == 2


# Wire


def test_what_is_no_list_no_total_and_no_choice_is_refused(scene: Scene) -> None:
    parameters = scene.plan.parameters_of_context
    one_bank = total_bytes(parameters, 1) + total_bytes(parameters, 2)
    for bad in (b"", b"\1", b"\4\0\0\0", b"\4\0\1\0\1\0", b"\2\0\7\0"):
        with pytest.raises(MessageError):
            split_list(memoryview(bad), 6)
    with pytest.raises(MessageError, match="beyond its modulus"):
        list(split_totals(parameters, memoryview(b"\xff" * one_bank), 1)[1])
    with pytest.raises(MessageError, match="totals of 2 banks"):
        split_totals(parameters, memoryview(bytes(one_bank)), 2)
    with pytest.raises(MessageError, match="contradicts itself"):
        decode_choice(memoryview(encode_choice((1, 2), {2: REASONS[0]})), 6)
    with pytest.raises(MessageError, match="contradicts itself"):
        decode_choice(memoryview(encode_choice((1,), {2: REASONS[0]})[:-1] + b"\x07"), 6)


def test_a_choice_comes_back_as_it_was() -> None:
    for chosen, out in (((0, 2, 5), {}), ((1,), {0: REASONS[1], 3: REASONS[0]})):
        assert decode_choice(memoryview(encode_choice(chosen, out)), 6) == (chosen, out)


# Broken by


def broken_by(scene: Scene, words: str) -> None:
    assert [line for line in scene.scheme.custody.broken_by if words in line], words


def test_updates_derived_from_one_upload_are_chosen_with_it() -> None:
    """To all of them belongs that one ciphertext, plus a fresh encryption of something small."""
    scene = Scene(poisoned(6, 3000, 0, seed=4))
    broken_by(scene, "derives them from its ciphertext")
    aggregator = Aggregator(scene)
    victim = aggregator.uploads[0]
    small = np.random.default_rng(0).integers(0, 2, (6, *scene.slots(0).shape))
    small.reshape(6, -1)[:, 3000:] = 0
    for row in range(6):
        aggregator.uploads[row] = scene.added(victim, scene.encrypted_slots(small[row]))
    chosen = aggregator.select()
    opened = aggregator.open_rows(chosen)
    made_up = small[list(chosen)].reshape(len(chosen), -1)[:, :3000].sum(axis=0)
    assert ((opened - made_up) / len(chosen) == scene.updates[0]).all()


def test_two_sums_of_the_same_uploads_are_subtracted() -> None:
    scene = Scene(poisoned(6, 3000, 0, seed=4), byzantine=0)
    broken_by(scene, "two sums of the same uploads")
    broken_by(scene, "a round repeated without one bank")
    first, second = Aggregator(scene, 1), Aggregator(scene, 2)
    second.uploads = first.uploads
    everybody = first.open_rows(first.select())
    others = second.open_rows(second.select(range(1, 6)))
    assert (everybody - others == scene.updates[0]).all()


def test_all_banks_but_one_subtract_their_own() -> None:
    scene = Scene(poisoned(4, 300, 0, seed=4), byzantine=0)
    broken_by(scene, "all banks but one together")
    total: Any = scene.run().sum.total
    assert (total - scene.updates[1:].sum(axis=0) == scene.updates[0]).all()


def test_where_all_are_chosen_a_bank_that_sees_uploads_takes_them_out_of_the_sum() -> None:
    scene = Scene(poisoned(4, 300, 0, seed=4), byzantine=0)
    broken_by(scene, "the bank uploads minus")
    aggregator = Aggregator(scene)
    zero = scene.ciphertexts(np.full(300, 128), aggregator.cohort)
    aggregator.uploads[3] = scene.added(zero, *(scene.negated(aggregator.uploads[row]) for row in (1, 2)))
    opened = aggregator.open_rows(aggregator.select())
    assert (opened - 3 * 128 == scene.updates[0]).all()
