"""What vanished banks cost: server time and success against their number, for schemes of several stages.

The banks vanish at masked_input, after they have shared their keys: the dearest moment for the server, which must
then open their mask keys and take their pairwise masks off the sum.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from secure_fl.bench.measured import Clock
from secure_fl.bench.schemes.cases import Case, list_cases
from secure_fl.bench.schemes.measuring import cannot_measure
from secure_fl.bench.schemes.subject import SchemeSubject
from secure_fl.errors import DropoutError
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.transcript import Transcript

STAGE = "masked_input"
MOST_POINTS = 8


@dataclass(frozen=True)
class Dropout:
    """One secure sum from which some banks vanished."""

    scheme: str
    banks: int
    parameters: int
    bits: int | str
    stage: str
    dropped: int
    succeeded: bool
    server_seconds: float | None
    note: str | None
    """Why it could not be completed."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def sweep_cases(schemes: Sequence[str], sizes: Sequence[tuple[int, int]], bits: int | str) -> list[Case]:
    """The cases of which a sweep can be made: several stages, and a plan that is not refused."""
    staged = [name for name in schemes if len(SCHEMES[name].stages) > 1]
    return [case for case in list_cases(staged, sizes, bits, 1, peers=False) if cannot_measure(case) is None]


def sweep(case: Case, clock: Clock = time.perf_counter) -> list[Dropout]:
    """From no dropout to one more than the threshold allows, in about `MOST_POINTS` steps."""
    subject = SchemeSubject(case, clock=clock)
    allowed = case.banks - subject.plan.threshold
    step = max(1, -(-allowed // (MOST_POINTS - 2)))
    counts = sorted({*range(0, allowed, step), allowed, allowed + 1})
    return [_drop(subject, case, dropped, number) for number, dropped in enumerate(counts, start=1)]


def _drop(subject: SchemeSubject, case: Case, dropped: int, number: int) -> Dropout:
    stages = subject.scheme.stages
    stage = STAGE if STAGE in stages else stages[-1]
    cohort = subject.cohort(number)
    clients = {bank: subject.client(cohort, row) for row, bank in enumerate(cohort.banks)}
    seconds, note = None, None
    try:
        outcome = subject.run(cohort, clients, Transcript(), dict.fromkeys(cohort.banks[:dropped], stage))
        seconds = outcome.server_seconds
    except DropoutError as error:
        note = str(error)
    return Dropout(
        scheme=case.scheme,
        banks=case.banks,
        parameters=case.parameters,
        bits=case.bits,
        stage=stage,
        dropped=dropped,
        succeeded=seconds is not None,
        server_seconds=seconds,
        note=note,
    )
