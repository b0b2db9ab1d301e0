"""Which rows a bank trained on, as tags that say nothing about them to whoever lacks the bank's key.

A tag is 8 bytes of keyed BLAKE2b (RFC 7693) over what makes a row this row: label, time, amount and identifiers, where
a time and one of the others are declared; else every declared column. So the same transaction has the same tag in
another split, among other banks, in another order, beside rows that were appended, and with other feature columns.

A row of a plain table (`Schema.plain`) has two tags, with its columns in the order of names and in that of the table,
both of its numbers as float32: so a data frame, whatever the order of its columns, its array, and a tensor of either
type hold the same rows.

Rules: a set of rows is a sorted array of distinct tags. Rows that are equal in those columns have one tag, so spending
is rather counted too often than too seldom. Whoever changes these values in the file, or declares other columns as
time, amount or identifiers, makes rows that are taken for new ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import FederationKey, Transactions, pseudonymize

Tags = NDArray[np.uint64]
_PERSON = b"sfl-row-tag"


def row_tags(table: Transactions, key: bytes) -> Tags:
    """uint64, sorted and distinct: the tags of a table's rows under a secret key of 32 bytes."""
    schema = table.schema
    if schema.plain:
        return np.union1d(_tags(table, sorted(schema.numeric), (), key), _tags(table, schema.numeric, (), key))
    telling = schema.time is not None and (schema.amount is not None or bool(schema.identifiers))
    numbers = [n for n in (schema.time, schema.amount) if n is not None] if telling else schema.numbers
    texts = schema.identifiers if telling else schema.texts
    return _tags(table, sorted(numbers), sorted(texts), key)


def _tags(table: Transactions, numbers: Sequence[str], texts: Sequence[str], key: bytes) -> Tags:
    columns = [table.fraud.astype(np.float64), *(table.numeric[name] + 0.0 for name in numbers)]  # no -0.0
    if table.schema.plain:
        with np.errstate(over="ignore"):
            columns = [column.astype(np.float32).astype(np.float64) + 0.0 for column in columns]
        columns = [np.where(np.isnan(column), np.nan, column) for column in columns]  # one of many
    words = [column.view(np.uint64) for column in columns]
    words += [pseudonymize(name, table.text[name], FederationKey(key)) for name in texts]
    rows = np.ascontiguousarray(np.column_stack(words))
    width = rows.shape[1] * rows.itemsize
    content = rows.tobytes()
    tags = b"".join(
        hashlib.blake2b(content[start : start + width], key=key, digest_size=8, person=_PERSON).digest()
        for start in range(0, len(content), width)
    )
    return np.unique(np.frombuffer(tags, dtype="<u8").astype(np.uint64))


def overlap(one: Tags, other: Tags) -> bool:
    """Whether two sets share a row."""
    return bool(np.isin(one, other, assume_unique=True).any())
