"""Altered, replayed, swapped and made-up messages at every stage: a named error or the exact sum, never another sum."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import DropoutError, ProtocolError, SecureFLError
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES
from secure_fl.secagg.masked.wire import (
    ADVERTISE_KEYS,
    CONSISTENCY_CHECK,
    KEYS_BYTES,
    MASKED_INPUT,
    SHARE_KEYS,
    STAGES,
    UNMASK,
)
from secure_fl.secagg.messages import HEADER_BYTES
from secure_fl.secagg.numbering import decode_table, encode_table

Start = Callable[..., Any]
every_stage = pytest.mark.parametrize("stage", STAGES)
SENT_BYTES = {ADVERTISE_KEYS: KEYS_BYTES, MASKED_INPUT: 6, CONSISTENCY_CHECK: 64}


def flipped(data: bytes, bit: int) -> bytes:
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


def untouched(stage: str, bank: int, message: bytes) -> bytes:
    return message


def run_with(round_: Any, stage: str, bank: int, change: Callable[[bytes], bytes]) -> Any:
    """Runs honestly but for one payload, which is sealed validly again."""
    return round_.run(lambda at, who, payload: change(payload) if (at, who) == (stage, bank) else payload)


def is_a_dropout(round_: Any, total: Any, stage: str, bank: int, why: str = "") -> None:
    """The bank is named with the reason, and the sum is exact: over the rest, or over all where its input was in."""
    name = round_.cohort.banks[bank]
    assert set(total.refused) == {name}
    assert why in total.refused[name]
    after_input = stage in (CONSISTENCY_CHECK, UNMASK)
    assert total.contributors == {*round_.cohort.banks} - (set() if after_input else {name})
    assert round_.is_exact(total)


# On the wires


@every_stage
def test_every_altered_byte_on_the_wires_is_noticed(start: Start, stage: str) -> None:
    """By the aggregator and by the bank, each before it parses anything."""
    length = HEADER_BYTES + SENT_BYTES.get(stage, 100)
    rng = np.random.default_rng(STAGES.index(stage))
    for number, place in enumerate(rng.choice(length, 24, replace=False)):
        bit, round_ = int(8 * place + rng.integers(8)), start()

        def altered(at: str, bank: int, m: bytes, bit: int = bit) -> bytes:
            return flipped(m, bit % (8 * len(m))) if (at, bank) == (stage, 1) else m

        total = round_.run_raw(altered) if number % 2 else round_.run_raw(untouched, altered)
        is_a_dropout(round_, total, stage, 1, "bank-2")


@every_stage
@pytest.mark.parametrize("keep", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, -1])
def test_a_truncated_message_is_refused(start: Start, stage: str, keep: int) -> None:
    def cut(at: str, bank: int, message: bytes) -> bytes:
        return message[:keep] if (at, bank) == (stage, 1) else message

    round_ = start()
    is_a_dropout(round_, round_.run_raw(cut), stage, 1, "truncated")
    if stage != ADVERTISE_KEYS or keep < HEADER_BYTES:  # that stage's request is a header only
        round_ = start()
        is_a_dropout(round_, round_.run_raw(untouched, cut), stage, 1, "truncated")


@every_stage
def test_an_extended_message_is_refused(start: Start, stage: str) -> None:
    def longer(at: str, bank: int, message: bytes) -> bytes:
        return message + b"\0" if (at, bank) == (stage, 1) else message

    for answer, request in ((longer, untouched), (untouched, longer)):
        round_ = start()
        is_a_dropout(round_, round_.run_raw(answer, request), stage, 1, "oversized")


@every_stage
@pytest.mark.parametrize(
    "changes", [{"number": 2}, {"attempt": 2}, {"context": b"other"}, {"bits": 9}, {"threshold": 3}]
)
def test_a_message_of_another_round_is_refused(start: Start, stage: str, changes: dict[str, Any]) -> None:
    """Also one whose sum would be for another model, other bits or another threshold."""
    tape = {}

    def record(at: str, bank: int, message: bytes) -> bytes:
        tape[at, bank] = message
        return message

    round_ = start()
    start(identities=round_.identities, **changes).run_raw(record)
    total = round_.run_raw(lambda at, bank, m: tape[at, bank] if (at, bank) == (stage, 1) else m)
    is_a_dropout(round_, total, stage, 1, "belongs to")


@every_stage
def test_a_message_of_another_bank_is_refused(start: Start, stage: str) -> None:
    sent = {}

    def change(at: str, bank: int, message: bytes) -> bytes:
        sent[at, bank] = message
        return sent[at, 0] if (at, bank) == (stage, 1) else message

    round_ = start()
    is_a_dropout(round_, round_.run_raw(change), stage, 1, "names another sender")


@pytest.mark.parametrize(("stage", "earlier"), [(s, e) for i, s in enumerate(STAGES) for e in STAGES[:i]])
def test_an_answer_of_an_earlier_stage_is_refused(start: Start, stage: str, earlier: str) -> None:
    """As it was, and sealed again as if it were of this stage."""
    sent = {}

    def change(at: str, bank: int, message: bytes) -> bytes:
        sent[at, bank] = message
        return sent[earlier, 1] if (at, bank) == (stage, 1) else message

    round_ = start()
    is_a_dropout(round_, round_.run_raw(change), stage, 1, earlier)
    sent.clear()
    round_ = start(parameters=4)
    is_a_dropout(round_, round_.run(change), stage, 1)


@every_stage
def test_an_answer_without_content_is_refused(start: Start, stage: str) -> None:
    """Shares of a bank that opens none are not missed as long as the others suffice."""
    round_ = start()
    total = run_with(round_, stage, 1, lambda payload: b"")
    if stage == UNMASK:
        assert round_.is_exact(total)
        assert len(total.contributors) == 3
    else:
        is_a_dropout(round_, total, stage, 1)
    with pytest.raises(ProtocolError):
        run_with(start(threshold=3), stage, 1, lambda payload: b"")


# Validly sealed: a bank that sends what it likes


edits = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.integers(0, 10_000), st.integers(0, 7)),
        st.tuples(st.just("cut"), st.integers(0, 10_000), st.integers(1, 200)),
        st.tuples(st.just("repeat"), st.integers(0, 10_000), st.integers(1, 200)),
        st.tuples(st.just("zero"), st.integers(0, 10_000), st.integers(1, 200)),
        st.tuples(st.just("ones"), st.integers(0, 10_000), st.integers(1, 200)),
        st.tuples(st.just("swap"), st.integers(0, 10_000), st.integers(1, 200)),
        st.tuples(st.just("append"), st.integers(0, 255), st.integers(1, 200)),
    ),
    min_size=1,
    max_size=3,
)


def edited(payload: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    data = bytearray(payload)
    for kind, place, size in changes:
        at = place % max(len(data), 1)
        piece = data[at : at + size]
        if kind == "flip" and data:
            data[at] ^= 1 << size
        elif kind == "cut":
            del data[at : at + size]
        elif kind == "repeat":
            data[at:at] = piece
        elif kind == "zero":
            data[at : at + size] = bytes(len(piece))
        elif kind == "ones":
            data[at : at + size] = b"\xff" * len(piece)
        elif kind == "swap":
            data[at : at + size], data[:at] = data[:at], piece
        elif kind == "append":
            data += bytes([place % 256]) * size
    return bytes(data)


def check_edits(start: Start, stage: str, bank: int, changes: list[tuple[str, int, int]], gone: int | None) -> None:
    """One bank sends nonsense and perhaps another one is lost at the end.

    A masked input of the right length is left alone: a bank may always lie about its own values, and no secure sum can
    tell, because that is the very thing which it hides.
    """

    def reply(at: str, who: int, payload: bytes) -> bytes | None:
        if at == UNMASK and who == gone:
            return None
        if (at, who) != (stage, bank):
            return payload
        other = edited(payload, changes)
        return payload if at == MASKED_INPUT and len(other) == len(payload) else other

    round_ = start(4)
    try:
        total = round_.run(reply)
    except SecureFLError:
        return
    assert round_.is_exact(total)
    missing = {*round_.cohort.banks} - total.contributors
    assert missing <= {round_.cohort.banks[bank]}
    assert missing <= set(total.refused)


some_edits = given(st.sampled_from(STAGES), st.integers(0, 3), edits, st.sampled_from([None, 0, 3]))


@pytest.mark.slow
@some_edits
@settings(max_examples=150)
def test_nonsense_of_a_bank_never_makes_a_wrong_sum(
    start: Start, stage: str, bank: int, changes: list[tuple[str, int, int]], gone: int | None
) -> None:
    check_edits(start, stage, bank, changes, gone)


@given(st.sampled_from(STAGES), edits)
@settings(max_examples=150)
def test_nonsense_of_an_aggregator_crashes_no_bank(
    start: Start, stage: str, changes: list[tuple[str, int, int]]
) -> None:
    """What it gets is its own affair, as long as the bank answers or refuses by name."""
    round_ = start()
    round_.play(stage)
    with contextlib.suppress(SecureFLError):
        assert round_.ask(1, stage, edited(round_.honest_request(1, stage), changes))


@given(st.sampled_from(STAGES), st.binary(max_size=400))
@settings(max_examples=100)
def test_noise_crashes_neither_side(start: Start, stage: str, noise: bytes) -> None:
    round_ = start()
    try:
        total = run_with(round_, stage, 2, lambda payload: payload if stage == MASKED_INPUT else noise)
    except SecureFLError:
        return
    assert round_.is_exact(total)


# Banks that lie to each other


def test_letters_to_too_few_or_too_many_neighbours_are_refused_by_name(start: Start) -> None:
    def without_one(payload: bytes) -> bytes:
        letters = decode_table(payload, len(payload) // 4 - 2, 5)
        return encode_table(dict(list(letters.items())[1:]))

    def to_itself(payload: bytes) -> bytes:
        letters = decode_table(payload, len(payload) // 4 - 2, 5)
        return encode_table({**letters, 1: letters[0]})

    for change in (without_one, to_itself):
        round_ = start(5)
        total = run_with(round_, SHARE_KEYS, 1, change)
        is_a_dropout(round_, total, SHARE_KEYS, 1, "did not share its secrets with all its neighbours")


def test_a_seed_that_was_not_the_one_announced_is_refused_by_name(start: Start) -> None:
    round_ = start(5)

    def reply(stage: str, bank: int, payload: bytes) -> bytes:
        if (stage, bank) == (ADVERTISE_KEYS, 3):
            round_.clients[3]._seed = bytes(32)
        return payload

    with pytest.raises(ProtocolError, match="shares of bank-4 do not open what it advertised"):
        round_.run(reply)


def test_a_mask_key_that_was_not_the_one_announced_is_refused_by_name(start: Start) -> None:
    """It is opened only where its bank vanished after sharing."""
    round_ = start(5)

    def reply(stage: str, bank: int, payload: bytes) -> bytes | None:
        if (stage, bank) == (ADVERTISE_KEYS, 3):
            round_.clients[3]._mask = AgreementKey()
        return None if (stage, bank) == (MASKED_INPUT, 3) else payload

    with pytest.raises(ProtocolError, match="shares of bank-4 do not open what it advertised"):
        round_.run(reply)


@pytest.mark.parametrize("liar", range(5))
@pytest.mark.parametrize("lost", [None, 0, 4])
def test_a_holder_of_a_wrong_share_is_named(start: Start, liar: int, lost: int | None) -> None:
    """It alters its share of bank-3's secret; four or five shares arrive where three open it."""
    round_ = start(5)

    def reply(stage: str, bank: int, payload: bytes) -> bytes | None:
        if stage == UNMASK and bank == lost:
            return None
        if (stage, bank) != (UNMASK, liar):
            return payload
        shares = decode_table(payload, SHARE_BYTES, 5)
        return encode_table({**shares, 2: flipped(shares[2], 9)})

    total = round_.run(reply)
    assert round_.is_exact(total)
    assert len(total.contributors) == 5
    named = {} if liar == lost else {f"bank-{liar + 1}": "share of a secret of bank-3 does not fit"}
    assert total.refused.keys() == named.keys()
    assert all(named[who] in why for who, why in total.refused.items())


@pytest.mark.parametrize("lost", [{0}, {4}, {0, 4}])
def test_without_shares_to_spare_a_wrong_one_blames_the_bank_that_it_belongs_to(start: Start, lost: set[int]) -> None:
    """With t = 4 of 5, a wrong share among four tells nothing; among three the sum has too few."""
    round_ = start(5, threshold=4)

    def reply(stage: str, bank: int, payload: bytes) -> bytes | None:
        if stage == UNMASK and bank in lost:
            return None
        shares = decode_table(payload, SHARE_BYTES, 5) if (stage, bank) == (UNMASK, 1) else {}
        return encode_table({**shares, 2: flipped(shares[2], 9)}) if shares else payload

    with pytest.raises(ProtocolError) as failed:
        round_.run(reply)
    if len(lost) == 1:
        assert failed.value.refused.keys() - {f"bank-{b + 1}" for b in lost} == {"bank-3"}
    else:
        assert isinstance(failed.value, DropoutError)


def test_a_bank_that_gives_each_neighbour_shares_of_another_secret_is_refused_by_name(start: Start) -> None:
    round_ = start(5)

    def reply(stage: str, bank: int, payload: bytes) -> bytes:
        if (stage, bank) != (SHARE_KEYS, 0):
            return payload
        client = round_.clients[0]
        return encode_table({o: client._encrypt_to(o, bytes([o]) * 2 * SHARE_BYTES) for o in (1, 2, 3, 4)})

    with pytest.raises(ProtocolError, match="bank-1 ") as failed:
        round_.run(reply)
    assert set(failed.value.refused) == {"bank-1"}


def test_a_bank_that_opens_fewer_shares_than_it_holds_is_named(start: Start) -> None:
    def without_one(payload: bytes) -> bytes:
        shares = decode_table(payload, SHARE_BYTES, 5)
        return encode_table({owner: share for owner, share in shares.items() if owner != 2})

    round_ = start(5)
    total = run_with(round_, UNMASK, 1, without_one)
    is_a_dropout(round_, total, UNMASK, 1, "other shares than those that it holds")


@pytest.mark.slow
def test_a_share_of_a_secret_that_a_bank_does_not_hold_is_refused_or_ignored(start: Start) -> None:
    """On the sparse graph, a bank that answers for somebody far away must not spoil the sum unnoticed."""
    round_ = start(101, threshold=91)
    far = next(bank for bank in round_.everyone if bank and bank not in {0, *around(round_, 0)})

    def reply(stage: str, bank: int, payload: bytes) -> bytes:
        if (stage, bank) != (UNMASK, 0):
            return payload
        return encode_table({**decode_table(payload, SHARE_BYTES, 101), far: bytes(SHARE_BYTES)})

    total = round_.run(reply)
    is_a_dropout(round_, total, UNMASK, 0, "other shares than those that it holds")


def around(round_: Any, bank: int) -> set[int]:
    return set(round_.clients[bank]._around)


@pytest.mark.parametrize(
    "key", [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"], ids=["zero", "one", "minus one"]
)
@pytest.mark.parametrize("part", ["channel", "mask"])
def test_a_key_of_small_order_is_refused(start: Start, key: bytes, part: str) -> None:
    """Whoever agrees with it gets a mask that everybody knows."""
    round_ = start()
    client = round_.clients[1]
    client._advertised = replace(client._advertised, **{part: key})
    with pytest.raises(ProtocolError) as failed:
        round_.run()
    assert failed.value.refused.keys() == {"bank-2"}
    assert "not usable" in failed.value.refused["bank-2"]


def test_a_bank_with_an_identity_that_nobody_knows_is_refused_by_name(start: Start) -> None:
    round_ = start()
    round_.directory["bank-3"] = start().identities[0].public
    with pytest.raises(ProtocolError) as failed:
        round_.run()
    assert failed.value.refused.keys() == {"bank-3"}
    assert "signature of bank-3" in failed.value.refused["bank-3"]
