"""The bytes of the masked protocol: what is written is read back, and everything else is a named error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import MessageError, PlanError
from secure_fl.secagg import plan, ring
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.agreement import AgreementKey, verify
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked import wire
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.numbering import decode_numbers, decode_table, encode_numbers, encode_table
from secure_fl.secagg.packing import packed_bytes

Start = Callable[..., Any]
tables = st.integers(1, 40).flatmap(
    lambda width: st.tuples(
        st.just(width), st.dictionaries(st.integers(0, 99), st.binary(min_size=width, max_size=width), max_size=10)
    )
)


def planned(banks: int, parameters: int, bits: int) -> MaskedPlan:
    chosen = plan("masked", banks, parameters, bits)
    assert isinstance(chosen, MaskedPlan)
    return chosen


def cohort(**changes: Any) -> Cohort[MaskedPlan]:
    settings = {"plan": planned(3, 2, 8), "round": 1, "banks": ("a", "b", "c"), "trustees": (), "context": b"m"}
    return Cohort(**{**settings, **changes})


@given(tables)
def test_tables_come_back(table: tuple[int, dict[int, bytes]]) -> None:
    width, rows = table
    assert decode_table(encode_table(rows), width, 100) == rows


@given(st.sets(st.integers(0, 99)))
def test_lists_of_banks_come_back_sorted(numbers: set[int]) -> None:
    assert decode_numbers(encode_numbers(numbers), 100) == tuple(sorted(numbers))


@given(st.binary(max_size=60), st.integers(1, 12), st.integers(1, 70_000))
def test_a_table_of_noise_is_refused_or_the_only_way_to_write_it(data: bytes, width: int, below: int) -> None:
    try:
        rows = decode_table(data, width, below)
    except MessageError:
        return
    assert encode_table(rows) == data
    assert all(number < below for number in rows)


@pytest.mark.parametrize(
    "data", [b"\1", b"\1\0\1\0", b"\2\0\1\0", b"\3\0", b"\0\0\3\0", b"\xff\xff"],
    ids=["odd", "twice", "falling", "unknown", "one unknown", "largest"],
)  # fmt: skip
def test_lists_that_are_no_lists_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode_numbers(data, 3)


def test_ten_thousand_banks_have_numbers() -> None:
    numbers = range(10_000)
    assert decode_numbers(encode_numbers(numbers), 10_000) == tuple(numbers)


@given(
    st.sampled_from([(3, 8), (10, 8), (3, 14), (3, 20), (3, 24)]),
    st.lists(st.integers(0, 2**26 - 1), min_size=1, max_size=30),
)
def test_ring_elements_come_back(size: tuple[int, int], words: list[int]) -> None:
    chosen = planned(size[0], len(words), size[1])
    values = np.array([word % (1 << chosen.ring_bits) for word in words], dtype=np.int64)
    data = ring.to_bytes(chosen, ring.to_ring(chosen, values))
    assert len(data) == packed_bytes(len(words), chosen.ring_bits)
    assert (ring.to_integers(chosen, ring.from_bytes(chosen, memoryview(data))) == values).all()


@pytest.mark.parametrize("bits", [8, 20, 24])
@pytest.mark.parametrize("change", [-1, 1, 2, 1000])
def test_a_masked_input_of_another_length_is_refused(bits: int, change: int) -> None:
    chosen = planned(3, 5, bits)
    with pytest.raises(MessageError, match="wrong length"):
        ring.from_bytes(chosen, memoryview(bytes(packed_bytes(5, chosen.ring_bits) + change)))


@pytest.mark.parametrize("length", [0, 64, 95, 97])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(MessageError):
        wire.signed_bytes(memoryview(bytes(length)))


@pytest.mark.parametrize("length", [0, 159, 161])
def test_keys_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(MessageError):
        wire.AdvertisedKeys.from_bytes(bytes(length))


@pytest.mark.parametrize("part", ["channel", "mask"])
@pytest.mark.parametrize("above", [0, 1, 9, 18, 19 + 9, 2**255 - 1])
def test_a_key_that_could_be_written_otherwise_is_refused(part: str, above: int) -> None:
    """X25519 takes 2**255 - 19 + 9 for 9, and does not look at the highest bit."""
    keys = replace(KEYS, **{part: (2**255 - 19 + above).to_bytes(32, "little")})
    with pytest.raises(MessageError, match="no canonical points"):
        wire.AdvertisedKeys.from_bytes(keys.to_bytes())
    largest = replace(KEYS, **{part: (2**255 - 20).to_bytes(32, "little")})
    assert wire.AdvertisedKeys.from_bytes(largest.to_bytes()) == largest


def test_two_equal_keys_of_a_bank_are_refused() -> None:
    with pytest.raises(MessageError, match="are the same"):
        wire.AdvertisedKeys.from_bytes(replace(KEYS, mask=KEYS.channel).to_bytes())


def test_advertised_keys_come_back() -> None:
    keys = wire.AdvertisedKeys(b"c" * 32, b"m" * 32, b"s" * 32, b"S" * 64)
    assert wire.AdvertisedKeys.from_bytes(memoryview(keys.to_bytes())) == keys


def test_a_signature_of_keys_holds_for_one_bank_and_one_cohort() -> None:
    identity = Identity()
    unsigned = wire.AdvertisedKeys(b"c" * 32, b"m" * 32, b"s" * 32, b"")
    signature = identity.sign(unsigned.signed_part(cohort(), "a"))
    signed = wire.AdvertisedKeys(b"c" * 32, b"m" * 32, b"s" * 32, signature)
    signed.verify(cohort(), "a", identity.public)
    swapped = wire.AdvertisedKeys(b"m" * 32, b"c" * 32, b"s" * 32, signature)
    for keys, where, bank in [
        (signed, cohort(), "b"),
        (signed, cohort(round=2), "a"),
        (signed, cohort(attempt=2), "a"),
        (signed, cohort(session=bytes(range(16))), "a"),
        (signed, cohort(context=b"other"), "a"),
        (signed, cohort(banks=("a", "b", "d")), "a"),
        (swapped, cohort(), "a"),
    ]:
        with pytest.raises(MessageError, match=f"signature of {bank}"):
            keys.verify(where, bank, identity.public)


CHANGES: list[dict[str, Any]] = [
    {"round": 2},
    {"context": b"n"},
    {"banks": ("a", "c", "b")},
    {"plan": planned(3, 2, 9)},
    {"session": bytes(range(16))},
    {"attempt": 2},
]
KEYS = wire.AdvertisedKeys(b"c" * 32, b"m" * 32, b"s" * 32, b"S" * 64)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_masks_and_channels_and_statements_belong_to_one_cohort(change: dict[str, Any]) -> None:
    """Each of them, and the keys and signatures that come of them: not only what is signed or derived from."""
    one, other = cohort(), cohort(**change)
    ours, theirs, identity = AgreementKey(), AgreementKey().public, Identity()
    for purpose in (wire.channel_purpose, wire.mask_purpose):
        assert purpose(one, 0, 1) != purpose(other, 0, 1)
        assert ours.agree(theirs, purpose(one, 0, 1)) != ours.agree(theirs, purpose(other, 0, 1))
    assert KEYS.signed_part(one, "a") != KEYS.signed_part(other, "a")
    signature = identity.sign(wire.survivors_statement(one, KEYS.hash, [0, 1]))
    verify(identity.public, signature, wire.survivors_statement(one, KEYS.hash, [0, 1]), "a")
    with pytest.raises(MessageError):
        verify(identity.public, signature, wire.survivors_statement(other, KEYS.hash, [0, 1]), "a")


@pytest.mark.parametrize("change", [{"round": 2}, {"context": b"n"}, {"session": bytes(range(16))}, {"attempt": 2}])
def test_every_attempt_has_a_graph_and_witnesses_of_its_own(change: dict[str, Any]) -> None:
    """Else an aggregator would learn once whom to corrupt."""
    many = plan("masked", 101, 2, 8, 91)
    assert isinstance(many, MaskedPlan)
    assert max(many.degree, many.witnesses) < 100
    banks = tuple(f"bank-{number}" for number in range(101))
    one, other = cohort(plan=many, banks=banks), cohort(plan=many, banks=banks, **change)
    assert sum(wire.around(one, bank) != wire.around(other, bank) for bank in range(101)) > 90
    assert wire.witnesses(one) != wire.witnesses(other)


def test_masks_channels_and_statements_never_share_a_purpose() -> None:
    """One key agreement is used for one thing, and no signed text can be read as another kind."""
    one = cohort()
    purposes = [wire.channel_purpose(one, a, b) for a in range(3) for b in range(3)]
    purposes += {wire.mask_purpose(one, a, b) for a in range(3) for b in range(a, 3)}
    signed = [KEYS.signed_part(one, bank) for bank in one.banks]
    signed += [wire.survivors_statement(one, KEYS.hash, told) for told in ([0], [1], [0, 1])]
    assert len({*purposes, *signed}) == 9 + 6 + 3 + 3


def test_both_ends_of_a_pair_derive_one_mask_and_no_other_pair_does() -> None:
    pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
    purposes = {pair: wire.mask_purpose(cohort(), *pair) for pair in pairs}
    assert all(purposes[a, b] == purposes[b, a] for a, b in pairs)
    assert len(set(purposes.values())) == 6


def test_every_channel_has_its_own_key() -> None:
    purposes = {wire.channel_purpose(cohort(), a, b) for a in range(3) for b in range(3)}
    assert len(purposes) == 9


def test_statements_tell_lists_apart() -> None:
    lists = [[], [0], [1], [0, 1], [0, 2], [1, 2], [0, 1, 2]]
    assert len({wire.survivors_statement(cohort(), KEYS.hash, survivors) for survivors in lists}) == 7
    assert wire.survivors_statement(cohort(), KEYS.hash, [2, 0]) == wire.survivors_statement(
        cohort(), KEYS.hash, [0, 2]
    )


@pytest.mark.parametrize("part", ["channel", "mask", "commitment"])
def test_statements_belong_to_one_set_of_keys(part: str) -> None:
    other = replace(KEYS, **{part: b"x" * 32})
    assert wire.survivors_statement(cohort(), KEYS.hash, [0]) != wire.survivors_statement(cohort(), other.hash, [0])
    again = replace(KEYS, signature=b"x" * 64)
    assert wire.survivors_statement(cohort(), KEYS.hash, [0]) == wire.survivors_statement(cohort(), again.hash, [0])


@pytest.mark.parametrize(("banks", "bits"), [(300, 24), (257, 24), (10_000, 19), (513, 23)])
def test_sums_beyond_32_bits_are_refused_and_the_advice_works(banks: int, bits: int) -> None:
    with pytest.raises(PlanError, match=r"use at most \d+ bits") as refused:
        plan("masked", banks, 10, bits)
    advice = int(str(refused.value).split("use at most ")[1].split()[0])
    assert advice < bits
    assert planned(banks, 10, advice).ring_bits == 32
    with pytest.raises(PlanError):
        plan("masked", banks, 10, advice + 1)


@pytest.mark.parametrize(
    ("banks", "bits", "ring_bits"),
    [(3, 8, 10), (10, 8, 12), (3, 14, 16), (3, 15, 17), (3, 22, 24), (256, 24, 32), (17, 4, 8), (18, 4, 9)],
)
def test_the_planner_takes_the_smallest_ring(banks: int, bits: int, ring_bits: int) -> None:
    assert planned(banks, 10, bits).ring_bits == ring_bits


@pytest.mark.slow
@pytest.mark.parametrize("banks", [3, 10, 30])
@pytest.mark.parametrize("bits", [8, 16, 24])
def test_the_planned_upload_is_what_is_sent(start: Start, banks: int, bits: int) -> None:
    round_, sent = start(banks, 2000, bits), [0] * banks

    def count(stage: str, bank: int, message: bytes) -> bytes:
        sent[bank] += len(message)
        return message

    round_.run_raw(count)
    assert max(sent) <= round_.cohort.plan.upload_bytes <= max(sent) + 1024
