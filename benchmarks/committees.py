"""docs/committees.md: what it costs where several hold what opens a sum, and whom one must trust then.

    .venv/bin/python -m benchmarks.committees [--stored]

Processor time of one core: of a bank, of the aggregator until it asks (for all banks), of the slowest holder, and of
the aggregator once they have answered. Quantization is not in it. `--stored` measures nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.written_blocks import write_block
from secure_fl.secagg import plan
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import ServerHalf
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.schemes import scheme_of
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session

T = TypeVar("T")
PAGE = Path(__file__).parents[1] / "docs" / "committees.md"
FIGURES = PAGE.parent / "figures" / "committees.json"
BITS, REPEATS = 8, 3
SIZES = ((10, 1_000_000), (3, 10_369))
"""Banks and parameters."""
WAYS = (
    *(("additive", None), ("additive", (3, 2)), ("additive", (5, 3))),
    *(("bfv", None), ("bfv", (3, 2)), ("bfv", (5, 3))),
    ("ckks", (3, 2)),
)
"""A scheme, and holders and quorum."""


@dataclass(frozen=True)
class Cost:
    """Milliseconds, and bytes."""

    scheme: str
    holders: int
    quorum: int
    banks: int
    parameters: int
    client: float
    adding: float
    holder: float
    opening: float
    upload_bytes: int
    answer_bytes: int
    """Of the holder that sends most."""

    @property
    def name(self) -> str:
        if self.holders == 1:
            return f"{self.scheme}, a key authority"
        return f"{self.scheme}, {self.quorum} of {self.holders}"


def measure(scheme: str, committee: tuple[int, int] | None, banks: int, parameters: int) -> Cost:
    """The least of some sums, each of which is checked."""
    asked = {} if committee is None else {"holders": committee[0], "quorum": committee[1]}
    planned = plan(scheme, banks, parameters, BITS, **asked)
    chosen = scheme_of(scheme, planned.committee)
    there = chosen.deploy(planned)
    there.setup(_cohort(chosen, planned), Transcript())
    found = [_sum(chosen, planned, there) for _ in range(REPEATS)]
    client, adding, holder, opening, upload, answer = (min(figures) for figures in zip(*found, strict=True))
    n = len(chosen.trustees)
    t = planned.committee.quorum if planned.committee is not None else n
    return Cost(scheme, n, t, banks, parameters, client, adding, holder, opening, int(upload), int(answer))


def _cohort(scheme: Scheme, planned: Plan) -> Cohort[Plan]:
    names = tuple(f"bank-{number}" for number in range(1, planned.banks + 1))
    return scheme.cohort(planned, 1, names, session=new_session())


def _sum(scheme: Scheme, planned: Plan, there: Any) -> tuple[float, ...]:
    cohort = _cohort(scheme, planned)
    updates = np.random.default_rng(0).integers(0, 1 << BITS, (planned.banks, planned.parameters))
    clients = {bank: there.client(cohort, bank, row) for bank, row in zip(cohort.banks, updates, strict=True)}
    server, holders = there.server(cohort), there.trustees(cohort)
    requests = next(server).requests
    uploads = [(bank, *_timed(partial(clients[bank].respond, requests[bank]))) for bank in cohort.banks]
    stage, adding = _timed(lambda: server.send(iter([(bank, data) for bank, data, _ in uploads])))
    answers = [(name, *_timed(partial(holders[name].respond, stage.requests[name]))) for name in stage.requests]
    total, opening = _timed(lambda: _last(server, [(name, data) for name, data, _ in answers]))
    assert np.array_equal(total, updates.sum(axis=0))
    return (
        min(ms for *_, ms in uploads),
        adding,
        max(ms for *_, ms in answers),
        opening,
        len(uploads[0][1]),
        max(len(data) for _, data, _ in answers),
    )


def _last(server: ServerHalf, answers: Sequence[tuple[str, bytes]]) -> Any:
    try:
        server.send(iter(answers))
    except StopIteration as finished:
        return finished.value.total
    raise AssertionError("a sum in which all holders answered is opened")


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    done = work()
    return done, 1e3 * (time.process_time() - started)


def costs(rows: Sequence[Cost]) -> str:
    lines = []
    for banks, parameters in SIZES:
        lines += [
            f"{banks} banks, {parameters:,} parameters, {BITS} bits:",
            "",
            "| | a bank, ms | upload, bytes a parameter | adding, ms | a holder, ms | its answer | opening, ms |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row.name} | {row.client:.1f} | {row.upload_bytes / parameters:.2f} | {row.adding:.1f} | "
            f"{row.holder:.1f} | {row.answer_bytes / 1e6:.2f} MB | {row.opening:.1f} |"
            for row in rows
            if (row.banks, row.parameters) == (banks, parameters)
        ]
        lines.append("")
    return "\n".join(lines).rstrip()


def trust() -> str:
    """From plans, which say the same to whoever asks."""
    lines = [
        "| | holders that may be silent | holders that learn nothing with the aggregator | holders an aggregator that "
        "lies needs, to have two sums of an attempt opened |",
        "|---|---|---|---|",
        "| bfv, a key authority | 0 | 0 | 1 |",
    ]
    for members, quorum in ((2, 2), (3, 2), (4, 3), (5, 3), (7, 4)):
        committee = plan("additive", 3, 1000, BITS, holders=members, quorum=quorum).committee
        assert committee is not None
        lines.append(
            f"| {quorum} of {members} | {committee.may_be_silent} | {committee.may_collude} | "
            f"{committee.may_collude_lying + 1} |"
        )
    return "\n".join(lines)


def stored() -> list[Cost]:
    return [Cost(**row) for row in json.loads(FIGURES.read_text(encoding="utf-8"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    if not parser.parse_args().stored:
        rows = [measure(scheme, committee, *size) for size in SIZES for scheme, committee in WAYS]
        FIGURES.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    write_block(PAGE, "costs", costs(stored()))
    write_block(PAGE, "trust", trust())


if __name__ == "__main__":
    main()
