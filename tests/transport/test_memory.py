"""What lies in the gateway's memory during a federation and after a round: no secret key or part, no bank's update.

The same search finds them in the processes whose they are, and in the gateway's what it does know: it can find.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl.secagg.budget.threshold import BFV_RING
from secure_fl.secagg.hazmat.collective_secret import KeyPart
from tests.transport.federation import Processes, federation

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc/PID/mem"),
]
WINDOW, PAGE, CHUNK = 24, 1 << 12, 1 << 26


def memory(pid: int) -> Iterator[bytes]:
    """All that a process can write to and that is not empty, in chunks that overlap by a page."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mem:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if found is None or "[v" in line:
                continue
            start, end = (int(place, 16) for place in found.groups())
            for place in range(start, end, CHUNK - PAGE):
                try:
                    mem.seek(place)
                    pages = np.frombuffer(mem.read(min(CHUNK, end - place)), dtype=np.uint64).reshape(-1, PAGE // 8)
                except OSError:  # it was given back meanwhile
                    break
                yield pages[pages.any(axis=1)].tobytes()


def holds(parties: Processes, name: str, needles: list[bytes]) -> list[bytes]:
    """The needles that lie in a party's memory."""
    found: set[bytes] = set()
    for chunk in memory(parties.running[name].pid):
        found |= {needle for needle in needles if needle in chunk}
    return [needle for needle in needles if needle in found]


def encodings(told: Path) -> list[bytes]:
    """The most telling part of a quantized update, in the ways in which numbers lie in memory."""
    values = np.frombuffer(told.read_bytes(), dtype="<i8")
    start = max(range(len(values) - WINDOW), key=lambda place: len(set(values[place : place + WINDOW])))
    part = values[start : start + WINDOW]
    assert len(set(part)) > WINDOW // 2
    return [part.astype(kind).tobytes() for kind in ("<i8", "<i4", "<u2", "<f8")]


def wait_for(path: Path) -> Path:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)
    return path


def held_while_it_stands_still(parties: Processes, bank: str) -> bool:
    """Whether a bank has its newest update in memory; not so while it trains for the next round."""
    parties.pause(bank)
    newest = max(parties.folder.glob(f"{bank}-*.values"), key=lambda path: path.stat().st_mtime_ns)
    found = holds(parties, bank, encodings(newest)) != []
    parties.go_on(bank)
    return found


def test_the_gateway_s_memory_holds_no_secret_key_and_no_update(tmp_path: Path) -> None:
    with federation(tmp_path, module="tests.transport.telling", scheme="ckks", rounds=500) as parties:
        secret = wait_for(tmp_path / "key-authority.secret").read_bytes()
        assert holds(parties, "key-authority", [secret]) == [secret]
        told = [wait_for(tmp_path / f"{bank}-2.values") for bank in parties.roster.settings.bank_names]
        needles = [secret, *(needle for path in told for needle in encodings(path))]
        assert holds(parties, "gateway", needles) == []  # while rounds go on
        parties.wait_for_round(3)
        assert holds(parties, "gateway", needles) == []

        assert any(held_while_it_stands_still(parties, "bank-2") for _ in range(20))
        known = parties.roster.federation.encode()
        assert holds(parties, "gateway", [known]) == [known]


def packed(coefficients: bytes) -> bytes:
    """As a part is written down to be sealed: two bits for each of -1, 0 and 1."""
    codes = np.frombuffer(coefficients, dtype=np.int8).reshape(-1, 4) + 1
    return (codes @ np.array([1, 4, 16, 64])).astype(np.uint8).tobytes()


def test_parts_are_packed_as_they_are_written_down() -> None:
    part, _ = KeyPart.generate(BFV_RING, b"seed")
    assert packed(part._ternary[1000:1064].tobytes()) in part.keep()


def test_the_gateway_s_memory_holds_no_part_of_a_committee_s_key(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"scheme": "bfv", "holders": 3, "quorum": 2, "rounds": 500}
    with federation(tmp_path, module="tests.transport.telling", **settings) as parties:
        parties.wait_for_round(1)
        told = {path: path.read_bytes() for path in tmp_path.glob("key-holder-*.part-*")}
        assert len({*told.values()}) == 3  # all parts, so whoever has them all has the key
        for path, part in told.items():
            assert holds(parties, path.stem, [part]) == [part]
        needles = [needle for part in {*told.values()} for needle in (part, packed(part))]
        assert holds(parties, "gateway", needles) == []  # while rounds go on
        parties.wait_for_round(3)
        assert holds(parties, "gateway", needles) == []
        for name in ("key-holder-1", "key-holder-2", "key-holder-3"):
            assert len(holds(parties, name, [*{*told.values()}])) == 2
