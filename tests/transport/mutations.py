"""Messages that were changed on their way: overwritten, cut, filled up and repeated in places.

What was done to a message is a list of edits, so that hypothesis makes a finding small: no edit leaves it as it is.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import strategies as st

Edit = tuple[int, int, bytes]
"""What is done, where (in turns around the message), and with what; of a cut or repetition its length counts."""
LONGEST = 20
EDITS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 0xFFFF), st.binary(max_size=LONGEST)), max_size=4)


def mutated(data: bytes, edits: Iterable[Edit]) -> bytes:
    changed = bytearray(data)
    for what, turns, piece in edits:
        place = turns % (len(changed) + 1)
        match what:
            case 0:
                changed[place : place + len(piece)] = piece
            case 1:
                del changed[place : place + len(piece)]
            case 2:
                changed[place:place] = piece
            case _:
                changed[place:place] = changed[place : place + len(piece)]
    return bytes(changed)


def drawn(draw: random.Random) -> list[Edit]:
    """The same without hypothesis; at least one."""
    sizes = [draw.randint(1, LONGEST) for _ in range(draw.randint(1, 4))]
    return [(draw.randrange(4), draw.randrange(1 << 16), draw.randbytes(size)) for size in sizes]
