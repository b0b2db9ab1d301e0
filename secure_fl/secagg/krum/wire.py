"""What travels in Multi-Krum on ciphertexts, beside what `he.encoding` has: totals to the key authority, banks back."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.hazmat.he_totals import Total, total_bytes
from secure_fl.secagg.krum.distances import REASONS
from secure_fl.secagg.numbering import decode_numbers, decode_table, encode_numbers, encode_table

SELECT = "select"
_COUNT = struct.Struct("<H")


def norms_and_pairs(numbers: Sequence[int]) -> list[tuple[int, ...]]:
    """Each bank by itself, then all pairs: the order in which totals travel."""
    return [*combinations(numbers, 1), *combinations(numbers, 2)]


def join_list(numbers: Iterable[int], rest: Iterable[bytes]) -> Iterator[bytes]:
    """A payload, in parts: a list of banks behind its length, and what belongs to it."""
    listed = encode_numbers(numbers)
    yield _COUNT.pack(len(listed))
    yield listed
    yield from rest


def split_list(payload: memoryview, banks: int) -> tuple[tuple[int, ...], memoryview]:
    """The inverse. Raises `MessageError`."""
    if len(payload) < _COUNT.size:
        raise MessageError("a list of banks is truncated; make a new attempt")
    (length,) = _COUNT.unpack_from(payload)
    stop = _COUNT.size + length
    if len(payload) < stop:
        raise MessageError("a list of banks is truncated; make a new attempt")
    return decode_numbers(payload[_COUNT.size : stop], banks), payload[stop:]


def split_totals(parameters: HeParameters, data: memoryview, banks: int) -> tuple[Iterator[Total], Iterator[Total]]:
    """Of so many banks, the totals of imaginary parts, and those of norms and pairs. Raises `MessageError`."""
    parts, squares = total_bytes(parameters, 1), total_bytes(parameters, 2)
    border = parts * banks
    if len(data) != border + squares * (banks * (banks + 1) // 2):
        raise MessageError(f"a payload does not hold the totals of {banks} banks; make a new attempt")
    return (
        (Total.load(parameters, data[start : start + parts], 1) for start in range(0, border, parts)),
        (Total.load(parameters, data[start : start + squares], 2) for start in range(border, len(data), squares)),
    )


def encode_choice(chosen: Iterable[int], refused: Mapping[int, str]) -> bytes:
    """The key authority's answer: no distance is in it, and of a refusal only which of `REASONS` it has."""
    return b"".join(
        join_list(chosen, [encode_table({row: bytes([REASONS.index(why)]) for row, why in refused.items()})])
    )


def decode_choice(payload: memoryview, banks: int) -> tuple[tuple[int, ...], dict[int, str]]:
    """The inverse. Raises `MessageError`."""
    chosen, rest = split_list(payload, banks)
    rows = decode_table(rest, 1, banks)
    if any(code[0] >= len(REASONS) for code in rows.values()) or set(chosen) & rows.keys():
        raise MessageError("a choice of banks contradicts itself; make a new attempt")
    return chosen, {row: REASONS[code[0]] for row, code in rows.items()}
