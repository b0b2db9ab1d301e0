"""Ciphertexts from elsewhere: what is not laid out like an honest one never reaches SEAL's loader."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import numpy as np
import pyarrow
import pytest
import tenseal as ts
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import MessageError
from secure_fl.secagg import plan
from secure_fl.secagg.budget import HeParameters, HePlan
from secure_fl.secagg.hazmat.he_coefficients import coefficients
from secure_fl.secagg.hazmat.he_layout import expanded
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext

HEADER = struct.Struct("<HBBBBHQ")
BODY = 73 + 16 + 8 + 8 * 2 * 4096
SCHEMES = ("ckks", "bfv")
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


def parameters_of(scheme: str) -> HeParameters:
    planned = plan(scheme, 3, 10_369, 8)
    assert isinstance(planned, HePlan)
    return planned.parameters_of_context


SECRETS = {scheme: SecretContext(parameters_of(scheme)) for scheme in SCHEMES}
PUBLIC = {scheme: PublicContext.load(SECRETS[scheme].public_key(), parameters_of(scheme)) for scheme in SCHEMES}
VALUES = {scheme: np.arange(parameters_of(scheme).slots) for scheme in SCHEMES}
HONEST = {scheme: PUBLIC[scheme].encrypt(VALUES[scheme]) for scheme in SCHEMES}


def varint(number: int) -> bytes:
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def wrapped(scheme: str, body: bytes, compression: int = 2, length: int | None = None, version: int = 4) -> bytes:
    """A serialized vector around the body of a ciphertext."""
    header = HEADER.pack(0xA15E, 16, version, 3, compression, 0, 16 + len(body) if length is None else length)
    trailer = b"\x19" + struct.pack("<d", 2.0 ** parameters_of(scheme).scale_bits) if scheme == "ckks" else b""
    return HONEST[scheme][:5] + varint(16 + len(body)) + header + body + trailer


def compressed(data: bytes) -> bytes:
    return bytes(pyarrow.compress(data, codec="zstd", asbytes=True))


def body_of(scheme: str) -> bytes:
    """The honest ciphertext's body, not compressed: behind the sizes, a length of three bytes and the header."""
    return expanded(parameters_of(scheme), HONEST[scheme])[24 : 24 + BODY]


@every_scheme
def test_an_honest_ciphertext_is_itself_when_expanded(scheme: str) -> None:
    parameters = parameters_of(scheme)
    whole = expanded(parameters, HONEST[scheme])
    assert whole == wrapped(scheme, body_of(scheme), compression=0) == expanded(parameters, whole)
    assert len(whole) > len(HONEST[scheme]), "it was compressed before"
    slots = SECRETS[scheme].decrypt(whole)
    assert (np.rint(slots) == VALUES[scheme]).all()


@every_scheme
def test_the_coefficients_that_are_read_are_those_of_both_polynomials(scheme: str) -> None:
    words = np.frombuffer(body_of(scheme)[-8 * 2 * 4096 :], dtype="<u8")
    np.testing.assert_array_equal(coefficients(parameters_of(scheme), HONEST[scheme]), words)


@every_scheme
def test_the_crafted_ones_are_read_when_nothing_is_wrong_with_them(scheme: str) -> None:
    for data in (wrapped(scheme, body_of(scheme), 0), wrapped(scheme, compressed(body_of(scheme)))):
        PUBLIC[scheme].load_vector(data)


def nested(scheme: str, compression: int) -> bytes:
    """The coefficients compressed inside the body, as SEAL would accept them."""
    inner = compressed(body_of(scheme)[73 + 16 :])
    return body_of(scheme)[:73] + HEADER.pack(0xA15E, 16, 4, 3, compression, 0, 16 + len(inner)) + inner


WRONG: dict[str, Callable[[str], bytes]] = {
    "empty": lambda s: b"",
    "sizes only": lambda s: HONEST[s][:5],
    "no end of the length": lambda s: HONEST[s][:5] + b"\xff" * 20,
    "one byte more": lambda s: HONEST[s] + b"\0",
    "one byte less": lambda s: HONEST[s][:-1],
    "a second ciphertext": lambda s: HONEST[s] + HONEST[s][4:],
    "an unknown part": lambda s: HONEST[s] + b"\x28\x01",
    "more than the object": lambda s: wrapped(s, body_of(s) + b"\0", 0),
    "less than the object": lambda s: wrapped(s, body_of(s)[:-1], 0),
    "expands to one byte more": lambda s: wrapped(s, compressed(body_of(s) + b"\0")),
    "expands to one byte less": lambda s: wrapped(s, compressed(body_of(s)[:-1])),
    "expands to nothing": lambda s: wrapped(s, compressed(b"")),
    "two frames": lambda s: wrapped(s, compressed(body_of(s)) + compressed(b"more")),
    "no frame": lambda s: wrapped(s, bytes(1000)),
    "zlib": lambda s: wrapped(s, compressed(body_of(s)), 1),
    "unknown compression": lambda s: wrapped(s, compressed(body_of(s)), 3),
    "another version": lambda s: wrapped(s, body_of(s), 0, version=3),
    "claims to be shorter": lambda s: wrapped(s, body_of(s), 0, length=16 + BODY - 1),
    "claims to be longer": lambda s: wrapped(s, body_of(s), 0, length=16 + BODY + 1),
    "compressed inside": lambda s: wrapped(s, nested(s, 2), 0),
    "compressed twice": lambda s: wrapped(s, compressed(nested(s, 2))),
    "more coefficients": lambda s: wrapped(s, body_of(s)[:89] + struct.pack("<Q", 8193) + body_of(s)[97:], 0),
    "the other scheme's": lambda s: HONEST["bfv" if s == "ckks" else "ckks"],
}


@every_scheme
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_another_layout_is_refused_before_seal_sees_it(
    scheme: str, wrong: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = wrong(scheme)
    monkeypatch.setattr(ts, "ckks_vector_from", lambda *_: pytest.fail("SEAL was asked"))
    monkeypatch.setattr(ts, "bfv_vector_from", lambda *_: pytest.fail("SEAL was asked"))
    for load in (PUBLIC[scheme].load_vector, SECRETS[scheme].decrypt):
        with pytest.raises(MessageError, match="ciphertext"):
            load(data)


def test_a_scale_that_is_not_the_plans_is_refused() -> None:
    with pytest.raises(MessageError, match="ciphertext"):
        PUBLIC["ckks"].load_vector(HONEST["ckks"][:-8] + struct.pack("<d", 2.0**40))


@pytest.mark.parametrize("megabytes", [1, 300])
@every_scheme
def test_a_small_upload_does_not_become_a_large_one(scheme: str, megabytes: int) -> None:
    """300 MiB of zeros fit 10 kB. Python's allocations are watched, and pyarrow's own are not needed."""
    bomb = wrapped(scheme, compressed(bytes(megabytes << 20)))
    assert len(bomb) < 20_000
    held = pyarrow.total_allocated_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(MessageError):
            PUBLIC[scheme].load_vector(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert pyarrow.total_allocated_bytes() - held < 1 << 20


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(SCHEMES), st.integers(0, 130), st.integers(1, 255))
def test_a_changed_byte_at_the_front_is_refused_or_keeps_the_layout(scheme: str, place: int, change: int) -> None:
    altered = bytearray(HONEST[scheme])
    altered[place] ^= change
    try:
        whole = expanded(parameters_of(scheme), bytes(altered))
    except MessageError:
        return
    assert len(whole) == len(wrapped(scheme, body_of(scheme), 0))


OTHERS = {
    "another plain modulus": HeParameters("bfv", 40, plain_modulus=114_689),
    "another data prime": HeParameters("bfv", 41, plain_modulus=parameters_of("bfv").plain_modulus),
    "the other scheme": parameters_of("ckks"),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_public_key_with_other_parameters_is_refused(other: HeParameters) -> None:
    key = SecretContext(other).public_key()
    PublicContext.load(key, other)
    with pytest.raises(MessageError, match="other parameters than the plan"):
        PublicContext.load(key, parameters_of("bfv"))


def test_a_public_key_with_another_special_prime_is_refused() -> None:
    """As large as the standard of 2018 allowed."""
    context = ts.context(ts.SCHEME_TYPE.CKKS, 4096, -1, [48, 60], n_threads=1)
    context.make_context_public()
    with pytest.raises(MessageError, match="other parameters than the plan"):
        PublicContext(context, HeParameters("ckks", 48, scale_bits=17))
