"""What SEAL and TenSEAL write: what is not laid out like one whole ciphertext is refused, before it is expanded."""

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
from secure_fl.secagg.budget import HeParameters, SealPlan
from secure_fl.secagg.hazmat.he_layout import residues
from secure_fl.secagg.hazmat.he_public import PublicContext, vector_from
from secure_fl.secagg.hazmat.he_secret import SecretContext

HEADER = struct.Struct("<HBBBBHQ")
DEGREE = 4096
BODY = 73 + 16 + 8 + 8 * 2 * DEGREE
SCHEMES = ("ckks", "bfv")
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


def parameters_of(scheme: str) -> HeParameters:
    planned = plan(scheme, 3, 10_369, 8)
    assert isinstance(planned, SealPlan)
    return planned.parameters_of_context


SECRETS = {scheme: SecretContext(parameters_of(scheme)) for scheme in SCHEMES}
PUBLIC = {scheme: PublicContext.load(SECRETS[scheme].public_key(), parameters_of(scheme)) for scheme in SCHEMES}
VALUES = {scheme: np.arange(parameters_of(scheme).slots) for scheme in SCHEMES}
WORDS = {scheme: np.stack(PUBLIC[scheme].encrypt(VALUES[scheme][None])).reshape(2, 1, DEGREE) for scheme in SCHEMES}
HONEST = {
    scheme: bytes(vector_from(PUBLIC[scheme]._context, parameters_of(scheme), WORDS[scheme]).serialize())
    for scheme in SCHEMES
}
"""As TenSEAL writes them."""


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
    """The honest ciphertext's, not compressed: digest, form, sizes, scale, and the coefficients as one more object."""
    digest = ts_digest(scheme)
    members = struct.pack("<4QBQQQdQ", *digest, scheme == "ckks", 2, DEGREE, 1, scale_of(scheme), 1)
    words = struct.pack("<Q", 2 * DEGREE) + WORDS[scheme].tobytes()
    return members + HEADER.pack(0xA15E, 16, 4, 3, 0, 0, 16 + len(words)) + words


def ts_digest(scheme: str) -> tuple[int, ...]:
    """Of the parameters, as a vector has it."""
    load = ts.ckks_vector_from if scheme == "ckks" else ts.bfv_vector_from
    return tuple(load(PUBLIC[scheme]._context, HONEST[scheme]).ciphertext()[0].parms_id())


def scale_of(scheme: str) -> float:
    return 2.0 ** parameters_of(scheme).scale_bits if scheme == "ckks" else 1.0


@every_scheme
def test_the_coefficients_that_are_read_are_those_of_both_polynomials_compressed_or_not(scheme: str) -> None:
    """And so the crafted ones below are read when nothing is wrong with them."""
    for data in (HONEST[scheme], wrapped(scheme, body_of(scheme), 0), wrapped(scheme, compressed(body_of(scheme)))):
        assert np.array_equal(residues(parameters_of(scheme), data), WORDS[scheme])
    assert HONEST[scheme][8 + 5] == 2, "TenSEAL compresses"
    first, second = WORDS[scheme].reshape(2, DEGREE)
    assert (np.rint(SECRETS[scheme].decrypt(first, second)) == VALUES[scheme]).all()


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
    "said to be zlib": lambda s: wrapped(s, body_of(s), 1),
    "inside said to be compressed": lambda s: wrapped(s, body_of(s)[:78] + b"\2" + body_of(s)[79:], 0),
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
def test_another_layout_is_refused(scheme: str, wrong: Callable[[str], bytes]) -> None:
    with pytest.raises(MessageError, match="ciphertext"):
        residues(parameters_of(scheme), wrong(scheme))


def test_a_scale_that_is_not_the_plans_is_refused() -> None:
    with pytest.raises(MessageError, match="ciphertext"):
        residues(parameters_of("ckks"), HONEST["ckks"][:-8] + struct.pack("<d", 2.0**40))


@pytest.mark.parametrize("megabytes", [1, 300])
@every_scheme
def test_a_small_object_does_not_become_a_large_one(scheme: str, megabytes: int) -> None:
    """300 MiB of zeros fit 10 kB. Python's allocations are watched, and pyarrow's own are not needed."""
    bomb = wrapped(scheme, compressed(bytes(megabytes << 20)))
    assert len(bomb) < 20_000
    held = pyarrow.total_allocated_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(MessageError):
            residues(parameters_of(scheme), bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert pyarrow.total_allocated_bytes() - held < 1 << 20


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(SCHEMES), st.integers(0, 130), st.integers(1, 255))
def test_a_changed_byte_at_the_front_is_refused_or_keeps_the_shape(scheme: str, place: int, change: int) -> None:
    altered = bytearray(HONEST[scheme])
    altered[place] ^= change
    try:
        words = residues(parameters_of(scheme), bytes(altered))
    except MessageError:
        return
    assert words.shape == (2, 1, DEGREE)


@every_scheme
@pytest.mark.parametrize("place", [(0, 0, 0), (1, 0, 4095)])
def test_no_vector_is_made_of_words_beyond_the_prime(scheme: str, place: tuple[int, int, int]) -> None:
    changed = WORDS[scheme].copy()
    changed[place] = 2**63
    with pytest.raises(MessageError, match="cannot be read"):
        vector_from(PUBLIC[scheme]._context, parameters_of(scheme), changed)


OTHERS = {
    "another plain modulus": HeParameters("bfv", 60, plain_modulus=114_689),
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
