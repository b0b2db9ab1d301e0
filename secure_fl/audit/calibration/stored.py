"""The file of a calibration: what `score --calibration` reads of it, and what it refuses.

The file names the model that its map is of by the SHA-256 of the weights, and ends with a SHA-256 of all that it says.
That tells damage and careless edits. It stops nobody who forges: whoever can write the file can write another.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from secure_fl.audit.calibration.maps import BetaMap
from secure_fl.chain.links import canonical
from secure_fl.errors import DataError

SCHEMA = 1
_MAP, _MODEL, _CHECKSUM = "map", "model_sha256", "sha256"
_GIVE = "give the calibration.json that secure-fl audit RUN_DIR --calibrate wrote"
_AGAIN = "write it again with secure-fl audit RUN_DIR --calibrate"


@dataclass(frozen=True)
class StoredMap:
    """What a file says."""

    fitted: BetaMap
    model: str
    """SHA-256 of the weights."""

    @classmethod
    def read(cls, path: Path) -> StoredMap:
        """Raises `DataError` where the file is none, of another version, damaged or edited."""
        try:
            document = json.loads(path.read_bytes())
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); {_GIVE}") from None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or _MAP not in document:
            raise DataError(f"{path} is no calibration; {_GIVE}")
        if document.get("schema") != SCHEMA:
            raise DataError(f"{path} is a calibration of another version; {_AGAIN}")
        if not _is_whole(document):
            raise DataError(f"{path} is damaged, or was edited; {_AGAIN}")
        return cls(_map_of(document[_MAP], path), str(document.get(_MODEL)))


def describe(fitted: BetaMap, model: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a map, with what else is said of it."""
    document = {"schema": SCHEMA, _MODEL: model, _MAP: {"kind": "beta", **asdict(fitted)}, **said}
    return document | {_CHECKSUM: _checksum(document)}


def _is_whole(document: Mapping[str, Any]) -> bool:
    try:
        return document.get(_CHECKSUM) == _checksum(document)
    except ValueError:  # a number that JSON has not
        return False


def _checksum(document: Mapping[str, Any]) -> str:
    said = {name: value for name, value in document.items() if name != _CHECKSUM}
    return hashlib.sha256(canonical(said)).hexdigest()


def _map_of(said: object, path: Path) -> BetaMap:
    numbers = dict(said) if isinstance(said, dict) else {}
    kind = numbers.pop("kind", None)
    if (
        kind != "beta"
        or set(numbers) != set(BetaMap.__dataclass_fields__)
        or not all(type(value) is float and math.isfinite(value) for value in numbers.values())
        or min(numbers["a"], numbers["b"]) < 0
        or numbers["lowest"] > numbers["highest"]
    ):
        raise DataError(f"{path} holds no map from scores to probabilities; {_AGAIN}")
    return BetaMap(**numbers)
