"""The envelope: nothing altered, cut, extended or meant for something else is ever opened."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import ConfigurationError, MessageError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import AGGREGATOR, HEADER_BYTES, Cohort, open_message, seal
from secure_fl.secagg.planning import plan

BANKS = ("bank-1", "bank-2", "bank-3")
COHORT: Cohort[Plan] = Cohort(plan("ckks", 3, 100, 8), 7, BANKS, ("key-authority",), b"model")
PAYLOAD = b"4711 confidential"
SEALED = seal(COHORT, "upload", "bank-1", AGGREGATOR, PAYLOAD)


def opened(data: bytes) -> bytes:
    return bytes(open_message(COHORT, data, recipient=AGGREGATOR, sender="bank-1", stage="upload").payload)


def test_what_was_sealed_is_opened() -> None:
    message = open_message(COHORT, SEALED, recipient=AGGREGATOR, sender="bank-1")
    assert (message.stage, message.sender, message.recipient) == ("upload", "bank-1", AGGREGATOR)
    assert bytes(message.payload) == PAYLOAD
    assert len(SEALED) == HEADER_BYTES + len(PAYLOAD)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=6))
def test_a_payload_may_come_in_parts(parts: list[bytes]) -> None:
    sealed = seal(COHORT, "upload", "bank-1", AGGREGATOR, iter(parts))
    assert sealed == seal(COHORT, "upload", "bank-1", AGGREGATOR, b"".join(parts))
    assert opened(sealed) == b"".join(parts)


def test_every_change_of_a_single_byte_is_refused() -> None:
    for place in range(len(SEALED)):
        for change in range(1, 256):
            altered = bytearray(SEALED)
            altered[place] ^= change
            with pytest.raises(MessageError):
                opened(bytes(altered))


def test_every_truncation_is_refused() -> None:
    for length in range(len(SEALED)):
        with pytest.raises(MessageError, match="truncated"):
            opened(SEALED[:length])


@pytest.mark.parametrize("extra", [b"\0", b"x", SEALED])
def test_extensions_are_refused(extra: bytes) -> None:
    with pytest.raises(MessageError, match="oversized"):
        opened(SEALED + extra)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(SEALED)), st.binary(max_size=2 * len(SEALED)))
def test_noise_is_refused_by_name(kept: int, noise: bytes) -> None:
    if SEALED[:kept] + noise != SEALED:
        with pytest.raises(MessageError, match="bank-1"):
            opened(SEALED[:kept] + noise)


OTHERS = {
    "round": replace(COHORT, round=8),
    "attempt": replace(COHORT, attempt=2),
    "session": replace(COHORT, session=b"another session."),
    "bank": replace(COHORT, banks=("bank-1", "bank-2", "bank-4")),
    "order": replace(COHORT, banks=("bank-2", "bank-1", "bank-3")),
    "trustee": replace(COHORT, trustees=("share-holder",)),
    "context": replace(COHORT, context=b"other"),
    "parameters": replace(COHORT, plan=plan("ckks", 3, 101, 8)),
    "bits": replace(COHORT, plan=plan("ckks", 3, 100, 9)),
    "threshold": replace(COHORT, plan=plan("ckks", 3, 100, 8, threshold=3)),
    "scale": replace(COHORT, plan=replace(plan("ckks", 3, 100, 8), scale_bits=20)),  # type: ignore[call-arg]
    "scheme": replace(COHORT, plan=plan("plaintext", 3, 100, 8)),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_the_digest_differs_where_anything_agreed_differs(other: Cohort[Plan]) -> None:
    assert other.digest != COHORT.digest


@pytest.mark.parametrize(("what", "other"), OTHERS.items(), ids=OTHERS)
def test_messages_of_another_cohort_are_refused(what: str, other: Cohort[Plan]) -> None:
    problem = {
        "round": "round 8, attempt 1 instead of round 7, attempt 1",
        "attempt": "round 7, attempt 2 instead of round 7, attempt 1",
        "session": "another session",
        "scheme": "another scheme",
    }.get(what, "another cohort, plan or model")
    with pytest.raises(MessageError, match=problem):
        opened(seal(other, "upload", "bank-1", AGGREGATOR, PAYLOAD))


@pytest.mark.parametrize(
    ("stage", "sender", "recipient", "problem"),
    [
        ("upload", "bank-2", AGGREGATOR, "another sender"),
        ("upload", "bank-1", "bank-2", "another sender or recipient"),
        ("upload", AGGREGATOR, "bank-1", "another sender or recipient"),
        ("decrypt", "bank-1", AGGREGATOR, "stage 'decrypt' instead of 'upload'"),
    ],
)
def test_messages_for_another_purpose_are_refused(stage: str, sender: str, recipient: str, problem: str) -> None:
    with pytest.raises(MessageError, match=problem):
        opened(seal(COHORT, stage, sender, recipient, PAYLOAD))


def test_an_altered_payload_is_named_as_such() -> None:
    with pytest.raises(MessageError, match="checksum does not match"):
        opened(SEALED[:-1] + b"x")


def test_another_version_is_named_as_such() -> None:
    with pytest.raises(MessageError, match="not a version 3 message"):
        opened(SEALED[:4] + b"\1" + SEALED[5:])


@pytest.mark.parametrize(
    ("banks", "trustees"),
    [
        (("bank-1", "bank-1", "bank-2"), ()),
        (("bank-1", "bank-2", AGGREGATOR), ()),
        (("bank-1", "bank-2", "key-authority"), ("key-authority",)),
    ],
)
def test_two_parties_of_one_name_are_refused(banks: tuple[str, ...], trustees: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="one name"):
        Cohort(COHORT.plan, 1, banks, trustees)


def test_a_cohort_must_have_as_many_banks_as_the_plan() -> None:
    with pytest.raises(ConfigurationError, match="for 3 banks but the cohort has 2"):
        Cohort(COHORT.plan, 1, BANKS[:2])


def test_neither_repr_nor_errors_show_a_payload() -> None:
    message = open_message(COHORT, SEALED, recipient=AGGREGATOR, sender="bank-1")
    with pytest.raises(MessageError) as refused:
        opened(SEALED[:-1] + b"x")
    assert f"{len(PAYLOAD)} bytes" in repr(message)
    for shown in (repr(message), str(message), str(refused.value)):
        assert "4711" not in shown
        assert "confidential" not in shown


def test_a_message_from_nobody_is_refused() -> None:
    with pytest.raises(MessageError):
        open_message(COHORT, SEALED, recipient=AGGREGATOR, sender="stranger")
