"""What scoring encrypted rows gave, and what it took, wherever the model owner was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from secure_fl.scoring.network import Vector


@dataclass(frozen=True)
class Batch:
    """What one batch took."""

    rows: int
    upload_bytes: int
    download_bytes: int
    encrypt_seconds: float
    score_seconds: float
    """The model owner's, or until its answer was there; the others are the data owner's."""
    open_seconds: float

    @property
    def seconds(self) -> float:
        return self.encrypt_seconds + self.score_seconds + self.open_seconds


@dataclass(frozen=True, eq=False)
class EncryptedScores:
    """Logits, and what they took."""

    logits: Vector = field(repr=False)
    """float64 [n]."""
    batches: tuple[Batch, ...]
    keys_bytes: int
    keys_seconds: float
    """To draw a key and to make and load what travels of it."""
    request: bytes = field(repr=False)
    """The first message with rows."""

    @property
    def costs(self) -> Mapping[str, Any]:
        """For people and scripts."""
        rows, batches = len(self.logits), self.batches
        return {
            "keys_bytes": self.keys_bytes,
            "keys_seconds": self.keys_seconds,
            "batches": len(batches),
            "upload_bytes_per_row": sum(batch.upload_bytes for batch in batches) / rows,
            "download_bytes_per_row": sum(batch.download_bytes for batch in batches) / rows,
            "encrypt_seconds_per_row": sum(batch.encrypt_seconds for batch in batches) / rows,
            "score_seconds_per_row": sum(batch.score_seconds for batch in batches) / rows,
            "open_seconds_per_row": sum(batch.open_seconds for batch in batches) / rows,
            "seconds_of_a_batch": float(np.median([batch.seconds for batch in batches])),
        }
