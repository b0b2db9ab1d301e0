"""One of our schemes, timed: the phases of a round apart, every message really serialized.

Quantization counts: a client starts at its float64 update, and decoding ends at the float64 mean. Making keys that
last for a federation does not count, nor does the transcript's hashing. All banks have the same number of examples.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from statistics import median

import numpy as np

from secure_fl.bench.measured import Clock, Measured, Stopwatch, exact_mean
from secure_fl.bench.schemes.cases import CLIP, Case, Updates, make_updates
from secure_fl.codec.quantization import Contribution, make_codec
from secure_fl.secagg import SCHEMES, plan
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.protocol import Outcome, Party, run_protocol
from secure_fl.secagg.schemes import scheme_for
from secure_fl.secagg.transcript import Delivery, Transcript

EXAMPLES = 1_000


def plan_case(case: Case) -> Plan:
    """The plan of a case of ours, for the vector with the counts that travel at its end. Raises `PlanError`."""
    bits = case.bits if isinstance(case.bits, int) else None
    length = make_codec(case.parameters, bits, CLIP, EXAMPLES).length
    return plan(case.scheme, case.banks, length, case.bits)


def case_cohort(plan: Plan, number: int) -> Cohort[Plan]:
    """All banks of a case in one round."""
    return scheme_for(plan).cohort(plan, number, tuple(f"bank-{n + 1}" for n in range(plan.banks)))


class SchemeSubject:
    """A scheme with its keys made and its banks' updates at hand."""

    def __init__(self, case: Case, updates: Updates | None = None, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self.plan = plan_case(case)
        self.scheme = SCHEMES[case.scheme]
        self.updates = make_updates(case) if updates is None else updates
        self.codec = make_codec(case.parameters, self.plan.bits, CLIP, EXAMPLES)
        self._expected = exact_mean(self.updates)
        self.deployed = self.scheme.deploy(self.plan)
        setup = Transcript()
        self.deployed.setup(self.cohort(0), setup)
        self._setup_bytes = setup.downloads(0)[self.cohort(0).banks[0]]

    def cohort(self, number: int) -> Cohort[Plan]:
        return case_cohort(self.plan, number)

    def measure_round(self, number: int) -> Measured:
        cohort, transcript = self.cohort(number), Transcript()
        clients, client_seconds = self._clients(cohort)
        outcome, decode = self.run(cohort, clients, transcript), Stopwatch(self._clock)
        with decode.running():
            mean = self.codec.decode(outcome.sum.total, len(outcome.sum.contributors))
        trustees = [seconds for name, seconds in outcome.party_seconds.items() if name not in clients]
        up, down = transcript.uploads(number), transcript.downloads(number)
        return Measured(
            client_seconds=median(client_seconds[bank] + outcome.party_seconds[bank] for bank in cohort.banks),
            server_seconds=outcome.server_seconds,
            decode_seconds=decode.seconds + sum(trustees),
            upload_bytes=round(median(up[bank] for bank in cohort.banks)),
            download_bytes=round(median(down[bank] for bank in cohort.banks)),
            stage_bytes=stage_bytes(transcript.deliveries),
            max_abs_error=float(np.abs(mean.update - self._expected).max()),
            setup_bytes=self._setup_bytes,
        )

    def run(
        self,
        cohort: Cohort[Plan],
        clients: Mapping[str, Party],
        transcript: Transcript,
        drop: Mapping[str, str] | None = None,
        around: Callable[[str, Party], Party] = lambda name, party: party,
    ) -> Outcome:
        """The protocol in memory, with something `around` every party. Raises `DropoutError` below the threshold."""
        parties = {name: around(name, p) for name, p in {**clients, **self.deployed.trustees(cohort)}.items()}
        return run_protocol(cohort, self.deployed.server(cohort), parties, transcript, drop, clock=self._clock)

    def client(self, cohort: Cohort[Plan], row: int) -> Party:
        """The client half of one bank, with its values encoded just now."""
        rng = np.random.default_rng((cohort.round, row))
        values = self.codec.encode(Contribution(self.updates[row], EXAMPLES), rng)
        return self.deployed.client(cohort, cohort.banks[row], values)

    def _clients(self, cohort: Cohort[Plan]) -> tuple[dict[str, Party], dict[str, float]]:
        clients, watches = {}, {bank: Stopwatch(self._clock) for bank in cohort.banks}
        for row, bank in enumerate(cohort.banks):
            with watches[bank].running():
                clients[bank] = self.client(cohort, row)
        return clients, {bank: watch.seconds for bank, watch in watches.items()}


def stage_bytes(deliveries: list[Delivery]) -> tuple[int, ...]:
    """For each stage in order, the bytes of the party that has most to send and receive in it."""
    stages: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for delivery in deliveries:
        party = delivery.recipient if delivery.sender == AGGREGATOR else delivery.sender
        stages[delivery.stage][party] += delivery.nbytes
    return tuple(max(parties.values()) for parties in stages.values())
