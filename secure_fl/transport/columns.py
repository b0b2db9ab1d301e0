"""What banks say of their rows before the first sum, since features must mean the same at all of them. No value of one.

Names of columns travel as a digest; of the key that pseudonyms are made with, its check value, which may be published.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from secure_fl.data import RawFeatures, describe
from secure_fl.errors import ConfigurationError, MessageError

MOST_FEATURES = 1 << 16
_DIGITS = re.compile(r"[0-9a-f]{0,64}")


@dataclass(frozen=True)
class Columns:
    """One bank's."""

    features: int
    """Numeric ones."""
    names: str
    """SHA-256 over what the numeric features and the text columns are called, in order."""
    key: str
    """Check value of its key; empty where there is nothing to make pseudonyms of."""

    @classmethod
    def of(cls, rows: RawFeatures) -> Columns:
        numeric, texts = describe(rows.schema), rows.schema.texts
        digest = hashlib.sha256(json.dumps([numeric, texts]).encode()).hexdigest()
        return cls(len(numeric), digest, rows.key_check if texts else "")

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, bank: str, data: bytes) -> Columns:
        """Raises `MessageError`."""
        try:
            said = cls(**json.loads(data))
            words = all(_DIGITS.fullmatch(word) for word in (said.names, said.key))
            if type(said.features) is int and words and 0 <= said.features <= MOST_FEATURES:
                return said
        except (ValueError, TypeError, RecursionError):
            pass
        raise MessageError(f"{bank} does not say which columns it has; look whether both have one version")


def common_features(said: Mapping[str, Columns]) -> int:
    """How many numeric features all banks have. Raises `ConfigurationError` where rows are not alike."""
    _require_one(
        said, lambda columns: columns.names, "banks have other columns than each other", "give all files one form"
    )
    _require_one(
        said,
        lambda columns: columns.key,
        "banks make pseudonyms with different keys, so that the same merchant is another one at each",
        "give all banks one key file, as SECURE_FL_KEY",
    )
    return next(iter(said.values())).features


def _require_one(said: Mapping[str, Columns], part: Callable[[Columns], str], problem: str, advice: str) -> None:
    parts = {bank: part(columns) for bank, columns in said.items()}
    if len(set(parts.values())) > 1:
        shown = ", ".join(f"{bank}: {text[:8] or 'none'}" for bank, text in sorted(parts.items()))
        raise ConfigurationError(f"{problem} ({shown}); {advice}")
