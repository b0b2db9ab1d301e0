"""What a party must not forget with its process: the last turn that it took part in."""

from __future__ import annotations

import json
from pathlib import Path

from secure_fl.errors import DataError
from secure_fl.files import sealed, unsealed, unwritten, write_durably
from secure_fl.secagg.turns import Turn, Turns

TURNS = "turns"


def kept_turns(folder: Path) -> Turns:
    """Turns that are on disk before they are taken. Raises `DataError` where the file is damaged."""
    path = folder / TURNS

    def keep(turn: Turn) -> None:
        session, round_, attempt = turn
        try:
            write_durably(path, sealed(json.dumps([session.hex(), round_, attempt]).encode()))
        except OSError as error:
            raise unwritten(path, error, "keep the party's files in another folder") from None

    if not path.exists():
        return Turns(keep=keep)
    try:
        session, round_, attempt = json.loads(unsealed(path.read_bytes()))
        return Turns((bytes.fromhex(session), int(round_), int(attempt)), keep)
    except (OSError, ValueError, TypeError):
        raise DataError(
            f"{path} is damaged, and says which sums this party took part in; put it back from a copy"
        ) from None
