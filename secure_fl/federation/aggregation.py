"""What the rounds of a federation share: the keys of the scheme, its session, and the transcript."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from secure_fl.secagg.attempts import Completed, attempt_sum
from secure_fl.secagg.budget import NoisePlan, Plan
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.planning import plan_for, plan_with_noise_for
from secure_fl.secagg.protocol import Outcome, Party, ServerHalf, Values, run_protocol
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session
from secure_fl.settings import Summing


class SecureAggregation:
    """The scheme of an experiment with its keys made: any number of secure sums, one transcript."""

    def __init__(
        self,
        settings: Summing,
        longest: int,
        noise_multiplier: float | None = None,
        noisy: int | None = None,
        *,
        scheme: Scheme | None = None,
        transcript: Transcript | None = None,
    ) -> None:
        """`longest`: length of the longest vector to be summed; `noise_multiplier`: of the noise that banks share in
        sums of length `noisy` (None: of the longest); `scheme`: None for the one that settings name; `transcript`:
        one that has begun.

        Raises `PlanError` where that cannot work.
        """
        self.settings = settings
        self.scheme = scheme or settings.kind
        self.noise: NoisePlan | None = None
        banks, bits, threshold = settings.banks, settings.bits, settings.threshold
        if noise_multiplier is None:
            self.plan = plan_for(self.scheme, banks, longest, bits, threshold)
        else:
            self.plan, self.noise = plan_with_noise_for(
                self.scheme, banks, noisy or longest, noise_multiplier, bits, threshold, longest
            )
        self.transcript = Transcript() if transcript is None else transcript
        self._session = new_session()
        self._make_keys(0)

    def begin(self, round_: int) -> None:
        """New keys for a round, where settings ask for them after so many."""
        every = self.settings.fresh_keys
        if every is not None and round_ > 1 and (round_ - 1) % every == 0:
            self._make_keys(round_)

    def _make_keys(self, round_: int) -> None:
        self.deployed = self.scheme.deploy(self.plan)
        self.deployed.setup(self.cohort(round_, self.plan.parameters), self.transcript)

    def cohort(self, round_: int, length: int, context: bytes = b"") -> Cohort[Plan]:
        """All banks, for one sum of vectors of some length; `context` is bound into every message."""
        banks = self.settings.bank_names
        return self.scheme.cohort(self.plan.resized(length), round_, banks, context, self._session)

    def group(self, cohort: Cohort[Plan], banks: tuple[str, ...], threshold: int, turn: int) -> Cohort[Plan]:
        """Some of a cohort's banks, for a sum of their own; groups of a round take their attempts one after the other.

        `turn`: 0 for the round's first group.
        """
        plan, attempt = cohort.plan.among(len(banks), threshold), 1 + turn * self.settings.attempts
        return replace(cohort, plan=plan, banks=banks, attempt=attempt)

    def broadcast(self, cohort: Cohort[Plan], payload: bytes) -> dict[str, memoryview]:
        """Send the same payload to every bank; what each of them opened."""
        received = {}
        for bank in cohort.banks:
            message = seal(cohort, "broadcast", AGGREGATOR, bank, payload)
            self.transcript.record(cohort, "broadcast", AGGREGATOR, bank, message)
            opened = open_message(cohort, message, recipient=bank, sender=AGGREGATOR, stage="broadcast")
            received[bank] = opened.payload
        return received

    def client(self, cohort: Cohort[Plan], bank: str, values: Values) -> Party:
        """The client half of one bank."""
        return self.deployed.client(cohort, bank, values)

    def sum(
        self,
        cohort: Cohort[Plan],
        clients: Callable[[Cohort[Plan]], Mapping[str, Party]],
        left_out: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        server: Callable[[Cohort[Plan]], ServerHalf] | None = None,
    ) -> Completed:
        """The secure sum, with the dropouts that the experiment asks for; attempted again where it fails.

        `clients`: the client halves for one attempt; `left_out`: banks that have nothing to add, with the reason;
        `server`: an aggregator's half other than the scheme's own.
        """

        def once(attempt: Cohort[Plan], without: Mapping[str, str]) -> Outcome:
            return self.attempt(attempt, clients(attempt), without, clock, server)

        return attempt_sum(cohort, once, self.settings.attempts, left_out)

    def attempt(
        self,
        cohort: Cohort[Plan],
        clients: Mapping[str, Party],
        left_out: Collection[str] = (),
        clock: Callable[[], float] = time.perf_counter,
        server: Callable[[Cohort[Plan]], ServerHalf] | None = None,
    ) -> Outcome:
        """One attempt at a sum. Raises `ProtocolError` where it fails."""
        parties = {**clients, **self.deployed.trustees(cohort)}
        half, dropping = (server or self.deployed.server)(cohort), self.dropping(cohort.round)
        return run_protocol(cohort, half, parties, self.transcript, dropping, left_out, clock=clock)

    def dropping(self, round_: int) -> dict[str, str]:
        """Who vanishes in a round, and from which stage on."""
        return {drop.party: drop.stage for drop in self.settings.drops if drop.round == round_}
