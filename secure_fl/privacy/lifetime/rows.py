"""Which rows a bank trained on, as tags that say nothing about them to whoever lacks the bank's key.

A tag is 8 bytes of keyed BLAKE2b (RFC 7693) over what makes a row this row: label, time, amount and identifiers, where
a time and one of the others are declared; else every declared column. So the same transaction has the same tag in
another split, among other banks, in another order, beside rows that were appended, and with other feature columns.

Rules: a set of rows is a sorted array of distinct tags. Rows that are equal in those columns have one tag, so spending
is rather counted too often than too seldom. Whoever changes these values in the file, or declares other columns as
time, amount or identifiers, makes rows that are taken for new ones.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import FederationKey, Transactions, pseudonymize

Tags = NDArray[np.uint64]
_PERSON = b"sfl-row-tag"


def row_tags(table: Transactions, key: bytes) -> Tags:
    """uint64, sorted and distinct: the tags of a table's rows under a secret key of 32 bytes."""
    schema = table.schema
    telling = schema.time is not None and (schema.amount is not None or bool(schema.identifiers))
    numbers = [n for n in (schema.time, schema.amount) if n is not None] if telling else schema.numbers
    texts = schema.identifiers if telling else schema.texts
    columns = [table.fraud.astype(np.float64), *(table.numeric[name] + 0.0 for name in sorted(numbers))]  # no -0.0
    words = [column.view(np.uint64) for column in columns]
    words += [pseudonymize(name, table.text[name], FederationKey(key)) for name in sorted(texts)]
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
