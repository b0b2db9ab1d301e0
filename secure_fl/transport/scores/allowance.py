"""How many answers each customer still gets, for as long as the file lasts.

Each answer of a model whose weights are hidden adds to what its noise can tell (`scoring.flooding`), whatever session
or connection it went through: so they are counted by customer, and on disk before an answer is computed. One that was
counted and never sent, since the service was killed, stays counted.
"""

from __future__ import annotations

import json
from pathlib import Path

from secure_fl.errors import DataError
from secure_fl.files import only_one_in, sealed, unsealed, unwritten, write_durably
from secure_fl.transport.requests import RefusedError
from secure_fl.transport.scores.refusals import SPENT, STATUS

ANSWERS = "answers"


class Allowance:
    """Of all customers of one folder."""

    def __init__(self, folder: Path, most: int) -> None:
        """`most`: answers for each customer. Raises `DataError` where the file is damaged."""
        self._folder, self._path, self._most = folder, folder / ANSWERS, most
        self._counts()

    def charge(self, customer: str) -> None:
        """Count one answer. Raises `RefusedError` where none is left, and where it cannot be written down."""
        with only_one_in(self._folder):
            counts = self._counts()
            given = counts.get(customer, 0)
            if given >= self._most:
                raise RefusedError(SPENT, STATUS[SPENT])
            try:
                write_durably(self._path, sealed(json.dumps(counts | {customer: given + 1}).encode()))
            except OSError as error:
                raise unwritten(self._path, error, "name another folder as state") from None

    def _counts(self) -> dict[str, int]:
        if not self._path.exists():
            return {}
        try:
            return {str(name): int(count) for name, count in json.loads(unsealed(self._path.read_bytes())).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            raise DataError(
                f"{self._path} is damaged, and says how many answers customers got; put it back from a copy"
            ) from None
