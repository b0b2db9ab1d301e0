"""Wrong answers to the exercises of lesson 6. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

from collections.abc import Sequence

Rows = Sequence[Sequence[int]]


def in_fields(rows: Rows, width: int) -> tuple[int, list[int]]:
    total = sum(sum(value << (place * width) for place, value in enumerate(row)) for row in rows)
    return total, [(total >> (place * width)) % (1 << width) for place in range(len(rows[0]))]


def packed_sum__fields_as_wide_as_a_value(rows: Rows, bits: int) -> tuple[int, list[int]]:
    return in_fields(rows, bits)


def packed_sum__one_bit_more(rows: Rows, bits: int) -> tuple[int, list[int]]:
    return in_fields(rows, bits + 1)


def packed_sum__twice_as_wide(rows: Rows, bits: int) -> tuple[int, list[int]]:
    return in_fields(rows, 2 * bits)


def packed_sum__a_bit_for_every_bank(rows: Rows, bits: int) -> tuple[int, list[int]]:
    return in_fields(rows, bits + len(rows))


def packed_sum__not_packed(rows: Rows, bits: int) -> tuple[int, list[int]]:
    sums = [sum(column) for column in zip(*rows, strict=True)]
    return sum(sums), sums


def packed_sum__rounded_down(rows: Rows, bits: int) -> tuple[int, list[int]]:
    return in_fields(rows, bits + len(rows).bit_length() - 1)
