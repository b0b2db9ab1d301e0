"""How TenSEAL and SEAL write one whole ciphertext, and the check that bytes are laid out like that.

    vector      list of sizes, [slots]; length; *object*; for CKKS the scale
    object      header of 16 bytes with SEAL's version, compression and length; body, compressed or not
    body        parameters' digest, form, sizes, scale; *object* of N coefficients for each polynomial and data prime,
                never compressed

SEAL's loader expands a compressed object before it looks inside, at both levels: 10 kB become 300 MiB, or more. So the
object is expanded here, into a buffer of the one length that is right, and the loader gets it uncompressed. Two things
of one kind, unknown parts and trailing bytes are refused as well. What the numbers mean is for the loader to check.
"""

from __future__ import annotations

import struct

import numpy as np
import pyarrow
from numpy.typing import NDArray

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE

_SIZES = {"ckks": b"\x0a\x02\x80\x10", "bfv": b"\x0a\x02\x80\x20"}
"""TenSEAL's list of sizes, [2048] or [4096], as a protocol buffer."""
_OBJECT, _SCALE = b"\x12", b"\x19"
HEADER = struct.Struct("<HBBBBHQ")
"""Magic number, length of the header, version, minor version, compression, reserved, length of the object."""
_MAGIC, _VERSION = 0xA15E, 4
_NONE, _ZSTD = 0, 2
MEMBERS_BYTES = 73
COUNT = struct.Struct("<Q")
WORD_BYTES = 8
_CODEC = pyarrow.Codec("zstd")


def residues(parameters: HeParameters, data: bytes, power: int = 1) -> NDArray[np.uint64]:
    """The polynomials of a serialized vector, or product of `power` of them, uint64 [power + 1, data primes, N].

    Raises `MessageError`.
    """
    _, body = _body(parameters, data, power)
    words = np.frombuffer(body, dtype="<u8", offset=len(body) - WORD_BYTES * _coefficients(parameters, power))
    return words.reshape(power + 1, parameters.data_primes, POLY_MODULUS_DEGREE)


def around(parameters: HeParameters) -> tuple[bytes, bytes]:
    """What stands before and behind the object; the scale is the one that a vector was made with, in its square too."""
    scale = _SCALE + struct.pack("<d", 2.0**parameters.scale_bits) if parameters.scheme == "ckks" else b""
    return _SIZES[parameters.scheme] + _OBJECT, scale


def _coefficients(parameters: HeParameters, power: int) -> int:
    return (power + 1) * parameters.data_primes * POLY_MODULUS_DEGREE


def _body(parameters: HeParameters, data: bytes, power: int) -> tuple[int, memoryview]:
    """SEAL's minor version, and the uncompressed body of a product of so many ciphertexts. Raises `MessageError`."""
    sizes, scale = around(parameters)
    coefficients = _coefficients(parameters, power)
    body_bytes = MEMBERS_BYTES + HEADER.size + COUNT.size + WORD_BYTES * coefficients
    length, start = _varint(data, len(sizes))
    stop = start + length
    if data[: len(sizes)] != sizes or data[stop:] != scale:
        raise unreadable()
    minor, body = uncompressed(memoryview(data)[start:stop], body_bytes)
    check_coefficients(bytes(body[MEMBERS_BYTES : MEMBERS_BYTES + HEADER.size + COUNT.size]), coefficients)
    return minor, body


def uncompressed(data: memoryview, body_bytes: int) -> tuple[int, memoryview]:
    """SEAL's minor version and the body of one whole object, which must have that length. Raises `MessageError`."""
    minor, compression = _check_header(bytes(data[: HEADER.size]), len(data))
    sent = data[HEADER.size :]
    body = _inflated(sent, body_bytes) if compression == _ZSTD else sent
    if len(body) != body_bytes:
        raise unreadable()
    return minor, body


def header_of(minor: int, body_bytes: int) -> bytes:
    """The header in front of an uncompressed body."""
    return HEADER.pack(_MAGIC, HEADER.size, _VERSION, minor, _NONE, 0, HEADER.size + body_bytes)


def unreadable() -> MessageError:
    return MessageError("a ciphertext cannot be read or has other parameters than the plan; send it again")


def _check_header(header: bytes, length: int) -> tuple[int, int]:
    """Minor version and compression of an object of that length."""
    if len(header) != HEADER.size:
        raise unreadable()
    magic, size, version, minor, compression, _, claimed = HEADER.unpack(header)
    if (magic, size, version, claimed) != (_MAGIC, HEADER.size, _VERSION, length):
        raise unreadable()
    if compression not in (_NONE, _ZSTD):
        raise unreadable()
    return minor, compression


def check_coefficients(beginning: bytes, count: int) -> None:
    """The coefficients are an object inside the object, with their number in front: neither may be compressed."""
    check_uncompressed(beginning[: HEADER.size], HEADER.size + COUNT.size + WORD_BYTES * count)
    if beginning[HEADER.size :] != COUNT.pack(count):
        raise unreadable()


def check_uncompressed(header: bytes, length: int) -> None:
    """An object of that length, header included, that lies inside another. Raises `MessageError`."""
    _, compression = _check_header(header, length)
    if compression != _NONE:
        raise unreadable()


def _inflated(frame: memoryview, body_bytes: int) -> memoryview:
    """What a frame holds, in a buffer of the right length and no more."""
    try:
        return memoryview(_CODEC.decompress(frame, decompressed_size=body_bytes))
    except (OSError, ValueError):
        raise unreadable() from None


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """A length as protocol buffers write it, in at most three bytes, and where it ends."""
    value = 0
    for place, byte in enumerate(data[offset : offset + 3]):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, offset + place + 1
    raise unreadable()


def as_varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + as_varint(value >> 7) if value > 127 else bytes([value])
