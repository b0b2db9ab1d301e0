"""One epoch on ciphertexts: from columns, labels and weights to the mean gradient; reads like `plain.gradient`.

A slot is a row. `Sigmoid` says what the cubic is in units of shrink z; weights come in those units, labels less 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from secure_fl.scoring.hazmat.products import Products
from secure_fl.scoring.hazmat.public import Encrypted


@dataclass(frozen=True, eq=False, repr=False)
class EncryptedBatch:
    """Rows that fit the slots of one ciphertext."""

    columns: tuple[Encrypted, ...]
    """The column of ones, and the features."""
    labels: Encrypted


def residuals(evaluation: Products, batch: EncryptedBatch, weights: Sequence[Encrypted], turn: float) -> Encrypted:
    """Label - p(z) of each row."""
    s = evaluation.sum_of_products(zip(batch.columns, weights, strict=True))
    q = evaluation.sum_of_products([(s, s)])
    evaluation.add_constant(q, -turn)
    return evaluation.sum_of_products([(s, q)], plus=batch.labels)


def gradient(
    evaluation: Products, batches: Sequence[EncryptedBatch], weights: Sequence[Encrypted], turn: float
) -> list[Encrypted]:
    """For each column, column x residual, added up over batches; its sum over slots is left to who decrypts it."""
    found = [residuals(evaluation, batch, weights, turn) for batch in batches]
    columns = zip(*(batch.columns for batch in batches), strict=True)
    return [evaluation.sum_of_products(zip(column, found, strict=True)) for column in columns]
