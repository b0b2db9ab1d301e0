"""The rounds of a federation whose banks are elsewhere: what `federation.run` and `rounds` do, by way of orders.

    hello -> the public key to all banks, if there is one -> round 0: statistics -> for each round: the model out, banks
    train, the secure sum of their updates, the mean, the next model, kept on disk

A round is attempted again where its sum fails, without whom it failed for; and again from its beginning, after a while,
where too few banks are there. No finished round is lost: whoever starts the gateway anew goes on after the last one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from secure_fl.data import Standardization
from secure_fl.errors import DropoutError, ProtocolError
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.opening import first_clip
from secure_fl.federation.round_zero import CONTEXT, read_statistics
from secure_fl.secagg.attempts import Completed, attempt_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, sealed_head
from secure_fl.secagg.protocol import Outcome, run_carried
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session
from secure_fl.transport.agreement import Agreement, context_of
from secure_fl.transport.asking import ask_each
from secure_fl.transport.carrier import NetworkCarrier
from secure_fl.transport.columns import Columns, common_features
from secure_fl.transport.orders import (
    FINISHED,
    HELLO,
    MODEL,
    SETTLE,
    STATISTICS,
    About,
    unpack_answer,
)
from secure_fl.transport.patience import Patience
from secure_fl.transport.post import Post
from secure_fl.transport.public_keys import PublicKeys
from secure_fl.transport.roster import Roster
from secure_fl.transport.server_halves import identity_keys, server_half
from secure_fl.transport.state import State, StateStore
from secure_fl.transport.status.chronicle import Chronicle

LOG = logging.getLogger("secure_fl.gateway")


class Coordinator:
    """Runs the rounds; blocks, so it has a thread of its own."""

    def __init__(
        self,
        roster: Roster,
        post: Post,
        store: StateStore,
        patience: Patience,
        chronicle: Chronicle,
    ) -> None:
        self._roster, self._post, self._store, self._patience = roster, post, store, patience
        self._agreed = Agreement(roster.settings)
        self._directory = identity_keys(roster)
        self._session = new_session()
        self._chronicle = chronicle
        self._transcript = Transcript()
        self._keys = PublicKeys(roster, self._agreed, post, patience)

    def run(self) -> State:
        """All rounds that are left; the last state. Raises `ProtocolError` where a round is given up."""
        everybody = self._roster.parties
        state = self._store.load(self._roster)
        if state is None:
            self._post.wait_for(everybody)
            state = self._keep(self._again(0, 1, self._statistics))
        else:
            self._transcript.deliveries[:0] = state.deliveries
            self._chronicle.resumed(state)
            self._post.wait_for(everybody, self._patience.stage)  # some may have ended, or be down
        for number in range(state.round + 1, self._agreed.experiment.rounds + 1):
            state = self._keep(self._again(number, 1, partial(self._round, state)))
        self._chronicle.over()
        self._finish(state)
        return state

    def _keep(self, state: State) -> State:
        self._store.save(state)
        self._chronicle.finished(state)
        LOG.info("round finished", extra={"round": state.round})
        return state

    def _again(self, number: int, attempt: int, once: Callable[[int], tuple[State, int]]) -> State:
        """A round, begun anew where it fails; attempts rise over all of them."""
        self._chronicle.began(number)
        for tried in range(self._patience.tries):
            try:
                return once(attempt)[0]
            except ProtocolError as error:
                LOG.warning("round failed", extra={"round": number, "reason": str(error)})
                self._chronicle.failed(number, str(error))
                if tried + 1 == self._patience.tries:
                    raise
                attempt += self._agreed.experiment.attempts
                time.sleep(self._patience.again)
        raise AssertionError("there is at least one try")

    def _statistics(self, attempt: int) -> tuple[State, int]:
        """Round 0."""
        agreed = self._agreed
        statistics = agreed.statistics(self._features())
        cohort = replace(agreed.cohort(self._session, 0, statistics.length, CONTEXT), attempt=attempt)
        absent = self._order(cohort, STATISTICS, {}, {}, self._patience.stage)
        standardization, mean_examples = read_statistics(statistics, self._sum(cohort, absent).outcome.sum)
        weights = agreed.learner.initial(agreed.experiment.seed)
        clip = first_clip(agreed.experiment, mean_examples)
        model = GlobalModel(weights, clip, None if agreed.experiment.alike else mean_examples)
        return State(self._roster.federation, 0, standardization, model, deliveries=self._transcript.so_far), attempt

    def _round(self, before: State, attempt: int) -> tuple[State, int]:
        model, number, agreed = before.model, before.round + 1, self._agreed
        codec = model.codec(agreed.plan)
        context = context_of(model.digest, before.standardization)
        cohort = replace(agreed.cohort(self._session, number, codec.length, context), attempt=attempt)
        self._keys.give()
        facts = _facts(before.standardization)
        absent = self._broadcast(cohort, model.to_bytes(), facts)
        done = self._sum(cohort, absent)
        arrived = done.outcome.sum
        mean = codec.decode(arrived.total, len(arrived.contributors))
        contributors = tuple(bank for bank in cohort.banks if bank in arrived.contributors)
        if agreed.experiment.error_feedback:
            with suppress(DropoutError):  # the sum is opened: it counts, whoever is no longer there to hear of it
                self._order(cohort, SETTLE, {"contributors": list(contributors)}, {}, self._patience.stage)
        state = replace(
            before,
            round=number,
            model=model.after(mean, agreed.experiment.clip_margin),
            contributors=(*before.contributors, contributors),
            attempts=(*before.attempts, done.attempts),
            deliveries=self._transcript.so_far,
        )
        return state, attempt

    def _sum(self, cohort: Cohort[Any], absent: Mapping[str, str]) -> Completed:
        def once(attempt: Cohort[Any], without: Mapping[str, str]) -> Outcome:
            self._keys.give()
            carrier = NetworkCarrier(self._post, attempt, self._patience.stage, self._patience.absent, self._keys.facts)
            half = server_half(attempt, self._directory)
            return run_carried(attempt, half, carrier, self._transcript, None, without)

        started = time.monotonic()
        done = attempt_sum(cohort, once, self._agreed.experiment.attempts, absent)
        seconds = round(time.monotonic() - started, 3)
        LOG.info("sum opened", extra={"round": cohort.round, "attempts": done.attempts, "seconds": seconds})
        for party, why in done.refused.items():
            LOG.warning("done without", extra={"round": cohort.round, "party": party, "reason": why})
        self._chronicle.refused(cohort.round, done.refused)
        return done

    def _broadcast(self, cohort: Cohort[Any], model: bytes, facts: dict[str, Any]) -> dict[str, str]:
        """The model to all banks, which train; it lies in memory once. Who did not, as `_order` says."""
        heads = {bank: sealed_head(cohort, "broadcast", AGGREGATOR, bank, [model]) for bank in cohort.banks}
        for bank, head in heads.items():
            self._transcript.record(cohort, "broadcast", AGGREGATOR, bank, head + model)
        return self._order(cohort, MODEL, facts, heads, self._patience.train, model)

    def _order(
        self,
        cohort: Cohort[Any],
        kind: str,
        facts: dict[str, Any],
        bodies: Mapping[str, bytes],
        seconds: float,
        shared: bytes = b"",
    ) -> dict[str, str]:
        """Have all banks that are there do something; those that did not, each with the reason.

        Raises `DropoutError` where fewer than the threshold did.
        """
        there = self._post.present(self._patience.absent)
        absent = {bank: "it is not there" for bank in cohort.banks if bank not in there}
        about = About.of(cohort)
        numbers = {
            bank: self._post.send(bank, kind, about, facts, bodies.get(bank, b""), shared)
            for bank in cohort.banks
            if bank in there
        }
        unheard = set(numbers)
        for bank, data in self._collect(numbers, seconds):
            answer = unpack_answer(data)
            unheard.remove(bank)
            if not isinstance(answer, bytes):
                absent[bank] = str(answer).partition(";")[0]
        absent |= {bank: f"it {self._post.silence(bank, seconds, self._patience.absent)}" for bank in unheard}
        if len(cohort.banks) - len(absent) < cohort.plan.threshold:
            said = "; ".join(f"{bank}: {why}" for bank, why in sorted(absent.items()))
            raise DropoutError(f"too few banks are there ({said}); wait for more of them")
        return absent

    def _collect(self, numbers: Mapping[str, int], seconds: float) -> Iterator[tuple[str, bytes]]:
        return self._post.collect(numbers, seconds, self._patience.absent)

    def _features(self) -> int:
        """How many numeric features rows have: every bank says so, and all must say the same."""
        banks = tuple(bank for bank in self._agreed.banks if bank in self._roster.parties)
        said = ask_each(self._post, self._patience, HELLO, banks)
        return common_features({bank: Columns.from_bytes(bank, answer) for bank, answer in said.items()})

    def _finish(self, state: State) -> None:
        """The last model to all banks, and the word that it is over to everybody, also to who is back only then."""
        body, facts = state.model.to_bytes(), _facts(state.standardization)
        numbers = {name: self._post.send(name, FINISHED, facts=facts, shared=body) for name in self._roster.parties}
        for _ in self._post.collect(numbers, self._patience.linger):
            pass


def _facts(standardization: Standardization) -> dict[str, Any]:
    return {"mean": list(standardization.mean), "std": list(standardization.std)}
