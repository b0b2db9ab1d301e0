"""Altered, replayed, swapped and made-up messages at every stage: a named error or the exact sum, never another sum."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import MessageError, ProtocolError, SecureFLError
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


def run_with(round_: Any, stage: str, bank: int, change: Callable[[bytes], bytes]) -> Any:
    """Runs honestly but for one payload, which is sealed validly again."""
    return round_.run(lambda at, who, payload: change(payload) if (at, who) == (stage, bank) else payload)


# On the wires


@every_stage
def test_every_altered_byte_on_the_wires_is_noticed(start: Start, stage: str) -> None:
    """By the aggregator and by the bank, each before it parses anything."""
    length = HEADER_BYTES + SENT_BYTES.get(stage, 100)
    rng = np.random.default_rng()
    for place in rng.choice(length, 25, replace=False):
        bit = int(8 * place + rng.integers(8))
        with pytest.raises(MessageError):
            start().run_raw(lambda at, bank, m, b=bit: flipped(m, b) if (at, bank) == (stage, 1) else m)


@every_stage
@pytest.mark.parametrize("keep", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, -1])
def test_a_truncated_message_is_refused(start: Start, stage: str, keep: int) -> None:
    with pytest.raises(MessageError):
        start().run_raw(lambda at, bank, m: m[:keep] if (at, bank) == (stage, 1) else m)


@every_stage
def test_an_extended_message_is_refused(start: Start, stage: str) -> None:
    with pytest.raises(MessageError, match="oversized"):
        start().run_raw(lambda at, bank, m: m + b"\0" if (at, bank) == (stage, 1) else m)


@every_stage
@pytest.mark.parametrize("changes", [{"number": 2}, {"context": b"other"}, {"bits": 9}, {"threshold": 3}])
def test_a_message_of_another_round_is_refused(start: Start, stage: str, changes: dict[str, Any]) -> None:
    """Also one whose sum would be for another model, other bits or another threshold."""
    tape = {}

    def record(at: str, bank: int, message: bytes) -> bytes:
        tape[at, bank] = message
        return message

    round_ = start()
    start(identities=round_.identities, **changes).run_raw(record)
    with pytest.raises(MessageError, match="belongs to"):
        round_.run_raw(lambda at, bank, m: tape[at, bank] if (at, bank) == (stage, 1) else m)


@every_stage
def test_a_message_of_another_bank_is_refused(start: Start, stage: str) -> None:
    sent = {}

    def change(at: str, bank: int, message: bytes) -> bytes:
        sent[at, bank] = message
        return sent[at, 0] if (at, bank) == (stage, 1) else message

    with pytest.raises(MessageError, match="names another sender"):
        start().run_raw(change)


@pytest.mark.parametrize(("stage", "earlier"), [(s, e) for i, s in enumerate(STAGES) for e in STAGES[:i]])
def test_an_answer_of_an_earlier_stage_is_refused(start: Start, stage: str, earlier: str) -> None:
    """As it was, and sealed again as if it were of this stage."""
    sent = {}

    def change(at: str, bank: int, message: bytes) -> bytes:
        sent[at, bank] = message
        return sent[earlier, 1] if (at, bank) == (stage, 1) else message

    with pytest.raises(MessageError, match=earlier):
        start().run_raw(change)
    sent.clear()
    with pytest.raises(ProtocolError):
        start(parameters=4).run(change)


@every_stage
def test_an_answer_without_content_is_refused(start: Start, stage: str) -> None:
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
    assert len(total.contributors) == 4


some_edits = given(st.sampled_from(STAGES), st.integers(0, 3), edits, st.sampled_from([None, 0, 3]))


@some_edits
@settings(max_examples=200)
def test_nonsense_of_a_bank_never_makes_a_wrong_sum(
    start: Start, stage: str, bank: int, changes: list[tuple[str, int, int]], gone: int | None
) -> None:
    check_edits(start, stage, bank, changes, gone)


@pytest.mark.slow
@some_edits
@settings(max_examples=2500)
def test_thousands_of_times_nonsense_never_makes_a_wrong_sum(
    start: Start, stage: str, bank: int, changes: list[tuple[str, int, int]], gone: int | None
) -> None:
    check_edits(start, stage, bank, changes, gone)


@given(st.sampled_from(STAGES), edits)
@settings(max_examples=250)
def test_nonsense_of_an_aggregator_crashes_no_bank(
    start: Start, stage: str, changes: list[tuple[str, int, int]]
) -> None:
    """What it gets is its own affair, as long as the bank answers or refuses by name."""
    round_ = start()
    round_.play(stage)
    with contextlib.suppress(SecureFLError):
        assert round_.ask(1, stage, edited(round_.honest_request(1, stage), changes))


@given(st.sampled_from(STAGES), st.binary(max_size=400))
@settings(max_examples=150)
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
        with pytest.raises(MessageError, match="bank-2 did not share"):
            run_with(start(5), SHARE_KEYS, 1, change)


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
def test_a_holder_of_a_wrong_share_is_noticed_or_not_needed(start: Start, liar: int, lost: int | None) -> None:
    """It alters its share of bank-3's secret."""
    round_ = start(5)

    def reply(stage: str, bank: int, payload: bytes) -> bytes | None:
        if stage == UNMASK and bank == lost:
            return None
        if (stage, bank) != (UNMASK, liar):
            return payload
        shares = decode_table(payload, SHARE_BYTES, 5)
        return encode_table({**shares, 2: flipped(shares[2], 9)})

    try:
        total = round_.run(reply)
    except ProtocolError as error:
        assert "bank-3" in str(error)  # noqa: PT017
    else:
        assert round_.is_exact(total)


def test_a_bank_that_gives_each_neighbour_shares_of_another_secret_is_refused_by_name(start: Start) -> None:
    round_ = start(5)

    def reply(stage: str, bank: int, payload: bytes) -> bytes:
        if (stage, bank) != (SHARE_KEYS, 0):
            return payload
        client = round_.clients[0]
        return encode_table({o: client._encrypt_to(o, bytes([o]) * 2 * SHARE_BYTES) for o in (1, 2, 3, 4)})

    with pytest.raises(ProtocolError, match="bank-1 "):
        round_.run(reply)


def test_a_share_of_a_secret_that_a_bank_does_not_hold_is_refused_or_ignored(start: Start) -> None:
    """On the sparse graph, a bank that answers for somebody far away must not spoil the sum unnoticed."""
    round_ = start(101)
    far = next(bank for bank in round_.everyone if bank and bank not in {0, *around(round_, 0)})

    def reply(stage: str, bank: int, payload: bytes) -> bytes:
        if (stage, bank) != (UNMASK, 0):
            return payload
        return encode_table({**decode_table(payload, SHARE_BYTES, 101), far: bytes(SHARE_BYTES)})

    with contextlib.suppress(ProtocolError):
        assert round_.is_exact(round_.run(reply))


def around(round_: Any, bank: int) -> set[int]:
    return set(round_.clients[bank]._around)


@pytest.mark.parametrize(
    "key", [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"], ids=["zero", "one", "minus one"]
)
@pytest.mark.parametrize("part", ["_channel", "_mask"])
def test_a_key_of_small_order_is_refused(start: Start, key: bytes, part: str) -> None:
    """Whoever agrees with it gets a mask that everybody knows."""
    round_ = start()
    getattr(round_.clients[1], part).public = key
    with pytest.raises(MessageError, match="not usable"):
        round_.run()


def test_a_bank_with_an_identity_that_nobody_knows_is_refused_by_name(start: Start) -> None:
    round_ = start()
    round_.directory["bank-3"] = start().identities[0].public
    with pytest.raises(MessageError, match="signature of bank-3"):
        round_.run()
