"""docs/committees.md: what it costs where several hold what opens a sum, and whom one must trust then.

    .venv/bin/python -m benchmarks.committees [--stored] [--peers]

Processor time of one core: of a bank, of the aggregator until it has the last answers (for all banks), of the slowest
holder, and of the aggregator from then on. Quantization is not in it. `--peers` measures OpenFHE too, by
`openfhe_process`; without it, OpenFHE's rows go. `--stored` measures nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks import openfhe_process
from benchmarks.committee_picture import Line, describe, draw
from benchmarks.committee_trust import trust_in, trust_in_openfhe
from benchmarks.written_blocks import write_block
from secure_fl.secagg import plan
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Party, ServerHalf, Stage
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.schemes import scheme_for
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session

T = TypeVar("T")
PAGE = Path(__file__).parents[1] / "docs" / "committees.md"
PICTURE, FIGURES = PAGE.with_suffix(".svg"), PAGE.parent / "figures" / "committees.json"
BITS, REPEATS = 8, 3
SIZES = ((10, 1_000_000), (3, 10_369))
"""Banks and parameters."""
WAYS: tuple[tuple[str, Mapping[str, int]], ...] = (
    ("masked", {}),
    ("additive", {}),
    ("additive", {"holders": 3, "quorum": 2}),
    ("additive", {"holders": 5, "quorum": 3}),
    ("bfv", {}),
    ("bfv", {"witnesses": 1}),
    ("bfv", {"holders": 3, "quorum": 2}),
    ("bfv", {"holders": 5, "quorum": 3}),
    ("ckks", {"holders": 3, "quorum": 2}),
)
"""A scheme, and who opens its sums."""
OPENFHE, HOLDERS = {"OpenFHE": False, "OpenFHE, default noise": True}, 3
"""Whether its noise is the default one; as many holders, all of whom open."""


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
    witnesses: int = 0
    note: str = ""
    """Of a peer: its release and its parameters."""

    @property
    def name(self) -> str:
        if not self.holders:
            return self.scheme
        if self.holders == 1:
            return f"{self.scheme}, a key authority" + (" and a witness" if self.witnesses else "")
        return f"{self.scheme}, {self.quorum} of {self.holders}"


def measure(scheme: str, asked: Mapping[str, int], banks: int, parameters: int) -> Cost:
    """The least of some sums, each of which is checked."""
    planned = plan(scheme, banks, parameters, BITS, **asked)
    chosen = scheme_for(planned)
    there = chosen.deploy(planned)
    there.setup(_cohort(chosen, planned), Transcript())
    found = [_sum(chosen, planned, there) for _ in range(REPEATS)]
    client, adding, holder, opening, upload, answer = (min(figures) for figures in zip(*found, strict=True))
    witnesses = asked.get("witnesses", 0)
    n = len(chosen.trustees) - witnesses
    t = planned.committee.quorum if planned.committee is not None else n
    figures = client, adding, holder, opening
    return Cost(scheme, n, t, banks, parameters, *figures, int(upload), int(answer), witnesses=witnesses)


def measure_openfhe(scheme: str, banks: int, parameters: int) -> Cost:
    noise = OPENFHE[scheme]
    measured = openfhe_process.measure(banks, parameters, BITS, HOLDERS, default_noise=noise)
    return Cost(scheme, HOLDERS, HOLDERS, banks, parameters, **measured)


def _cohort(scheme: Scheme, planned: Plan) -> Cohort[Plan]:
    names = tuple(f"bank-{number}" for number in range(1, planned.banks + 1))
    return scheme.cohort(planned, 1, names, session=new_session())


def _sum(scheme: Scheme, planned: Plan, there: Any) -> tuple[float, ...]:
    cohort = _cohort(scheme, planned)
    updates = np.random.default_rng(0).integers(0, 1 << BITS, (planned.banks, planned.parameters))
    clients = {bank: there.client(cohort, bank, row) for bank, row in zip(cohort.banks, updates, strict=True)}
    holders = there.trustees(cohort)
    parties: dict[str, Party] = {**clients, **holders}
    spent, sent, aggregator = defaultdict[str, float](float), defaultdict[str, int](int), list[float]()
    server: ServerHalf = there.server(cohort)
    stage = next(server)
    total: Any = None
    while total is None:
        answers = []
        for name, request in stage.requests.items():
            data, ms = _timed(partial(parties[name].respond, request))
            answers.append((name, data))
            spent[name] += ms
            sent[name] += len(data)
        (stage, total), ms = _timed(partial(_next, server, answers))
        aggregator.append(ms)
    assert np.array_equal(total, updates.sum(axis=0))
    return (
        min(spent[bank] for bank in cohort.banks),
        sum(aggregator[:-1]),
        max((spent[holder] for holder in holders), default=0.0),
        aggregator[-1],
        sent[cohort.banks[0]],
        max((sent[holder] for holder in holders), default=0),
    )


def _next(server: ServerHalf, answers: Sequence[tuple[str, bytes]]) -> tuple[Stage, Any]:
    """What is asked next, or the sum."""
    try:
        return server.send(iter(answers)), None
    except StopIteration as finished:
        return Stage("done", {}), finished.value.total


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
            + (f"{row.holder:.1f} | {row.answer_bytes / 1e6:.2f} MB | " if row.holders else "– | – | ")
            + f"{row.opening:.1f} |"
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


def peers(rows: Sequence[Cost]) -> str:
    """What was set in OpenFHE."""
    noted = [
        f"- {row.name}, {row.banks} banks of {row.parameters:,} parameters: {row.note}." for row in rows if row.note
    ]
    return "\n".join(noted) or "OpenFHE was not measured in this run."


def lines(rows: Sequence[Cost]) -> list[Line]:
    """Of the picture: the large sums, OpenFHE's with the noise that it is safe with."""
    return [
        Line(
            row.name,
            row.client,
            row.upload_bytes / row.parameters,
            trust_in_openfhe(row.holders)
            if row.note
            else trust_in(row.scheme, row.holders, row.quorum, row.banks, row.witnesses),
            ours=not row.note,
        )
        for row in rows
        if (row.banks, row.parameters) == SIZES[0] and not OPENFHE.get(row.scheme)
    ]


def described(rows: Sequence[Cost]) -> str:
    return describe(lines(rows), "Cost and trust, {} banks, {:,} parameters".format(*SIZES[0]))


def picture(rows: Sequence[Cost]) -> str:
    return draw(lines(rows), described(rows))


def blocks(rows: Sequence[Cost]) -> dict[str, str]:
    """The parts of the page that figures and plans decide, by name."""
    return {
        "picture": f"![{described(rows)}]({PICTURE.name})",
        "costs": costs(rows),
        "peers": peers(rows),
        "trust": trust(),
    }


def stored() -> list[Cost]:
    return [Cost(**row) for row in json.loads(FIGURES.read_text(encoding="utf-8"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    parser.add_argument("--peers", action="store_true", help=f"measure OpenFHE too, in {openfhe_process.VARIABLE}")
    asked = parser.parse_args()
    if not asked.stored:
        if asked.peers and not openfhe_process.importable():
            parser.error(openfhe_process.MISSING.format(openfhe_process.interpreter()))
        rows = [measure(scheme, asked, *size) for size in SIZES for scheme, asked in WAYS]
        if asked.peers:
            rows += [measure_openfhe(scheme, *size) for size in SIZES for scheme in OPENFHE]
        FIGURES.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    PICTURE.write_text(picture(stored()), encoding="utf-8")
    for name, text in blocks(stored()).items():
        write_block(PAGE, name, text)


if __name__ == "__main__":
    main()
