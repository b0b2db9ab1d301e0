"""A strategy of Flower whose banks' updates are summed by a scheme: the server reads their mean, and no single one.

    the model out, and the first stage's request with it -> banks train, keep their updates and answer -> the scheme's
    other stages, and further attempts -> the mean of all as one reply to the wrapped strategy, which makes the next
    model of it

A round whose sum fails leaves the model as it was; `rounds` says why.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.common.serde import recorddict_to_proto
from flwr.serverapp import Grid
from flwr.serverapp.exception import InconsistentMessageReplies
from flwr.serverapp.strategy import Strategy

from secure_fl.errors import ConfigurationError, DropoutError, ProtocolError, SecretExposureError
from secure_fl.secagg.attempts import ATTEMPTS, Completed, attempt_sum
from secure_fl.secagg.budget import MIN_BANKS
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.protocol import Answer, Outcome, reason, run_carried
from secure_fl.secagg.transcript import Deliveries, Transcript
from secure_fl.secagg.turns import new_session
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.flower.grid import BanksAlone, FlowerCarrier, Nodes, sender_of
from secure_fl.transport.flower.outcomes import RoundOutcome, custody_of, write_outcomes
from secure_fl.transport.flower.records import RECORD, answer_in, numpy_arrays, order_message, told
from secure_fl.transport.flower.server_keys import ServerKeys
from secure_fl.transport.flower.terms import Model, Terms
from secure_fl.transport.flower.wrapped import mean_metrics, reply_of_all, require_sound, typed
from secure_fl.transport.orders import EVALUATE, MODEL, About
from secure_fl.transport.roster import Roster
from secure_fl.transport.server_halves import server_half

LOG = logging.getLogger("flwr.secure_fl")
AGAIN = 1.0
"""Seconds between two looks at who is there."""


@dataclass
class _Round:
    """What is under way between two calls of Flower."""

    terms: Terms
    model: Model
    cohort: Cohort[Any]
    places: dict[str, int]
    """All parties' nodes."""
    keys: bytes = b""
    facts: dict[str, Any] = field(default_factory=dict)
    """Beside the orders of the first attempt."""
    sent: list[Message] = field(default_factory=list)
    ahead: dict[str, Answer] = field(default_factory=dict)
    """Answers to the first stage of the first attempt: they came with the news that a bank has trained."""


class SecureStrategy(Strategy):
    """Wraps a strategy that works with the mean of a round's updates."""

    def __init__(
        self,
        strategy: Strategy,
        scheme: str = "ckks",
        *,
        most_examples: int | None,
        bits: int = 16,
        clip: float = 1.0,
        threshold: int | None = None,
        attempts: int = ATTEMPTS,
        stage_seconds: float = 120.0,
        wait_seconds: float = 600.0,
        roster: Roster | Path | str | None = None,
        own_aggregation: bool = False,
    ) -> None:
        """`most_examples`: a public number that no bank's examples exceed, and weights are relative to (a bank beyond
        it is left out); None: all banks count the same, and no number of examples travels. `clip`: the range of what
        training changes in one number; what lies beyond counts as its edge, and is counted. `threshold`: the fewest
        banks whose sum is opened; by default a majority. `attempts` of a sum, `stage_seconds` for the answers to one
        stage, `wait_seconds` for key holders to be there. `roster`: who takes part, and whose keys count, or the folder
        that `secure-fl certificates` made for the gateway; by default the SuperLink is believed. `own_aggregation`: the
        wrapped class is one's own, overrides `aggregate_train`, and needs nothing but the mean.

        Raises `ConfigurationError` for a strategy that needs single updates, and for settings that cannot be.
        """
        self._wrapped = require_sound(strategy, own_aggregation=own_aggregation)
        roster = Credentials.read(Path(roster), "gateway").roster if isinstance(roster, (Path, str)) else roster
        self._roster, self._attempts, self._wait, self._seconds = roster, attempts, wait_seconds, stage_seconds
        banks = () if roster is None else roster.settings.bank_names
        self._terms = Terms(scheme, bits, threshold, banks, clip, most_examples, self._wrapped.weighted_by_key)
        if roster is not None:
            self._terms.require_those_of(roster.settings)
        self._session = new_session()
        self._transcript = Transcript()
        self._nodes: Nodes | None = None
        self._now: _Round | None = None
        self._keys = ServerKeys(self._roster, self._transcript)
        self.rounds: list[RoundOutcome] = []

    @property
    def custody(self) -> Custody:
        """Who can read what, which way keys took, and what would break it."""
        return custody_of(self._terms.kind, roster=self._roster is not None)

    @property
    def transcript(self) -> Deliveries:
        """Who sent how many bytes to whom, with SHA-256, as the server saw it; never a payload."""
        return self._transcript.so_far

    def write(self, folder: Path | str) -> None:
        """custody.json, rounds.json and transcript.jsonl, for whoever wants to see what travelled."""
        facts = {"public_key_sha256": self._keys.fingerprint}
        write_outcomes(Path(folder), self.custody, tuple(self.rounds), self.transcript, facts)

    def summary(self) -> None:
        self._wrapped.summary()
        LOG.info("secure sums: %s", self.custody.summary)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        self._now = None
        nodes = self._met(grid)
        places = self._with_trustees(nodes)
        asked = list(self._wrapped.configure_train(server_round, arrays, config, self._banks_of(nodes)))
        if not asked:
            return []
        nodes.kind = asked[0].metadata.message_type
        places |= nodes.meet(self._terms)  # who came while the strategy waited
        name_of = {node: name for name, node in places.items()}
        asked = [message for message in asked if message.metadata.dst_node_id in name_of]
        sampled = {name_of[_to(message)] for message in asked}
        banks = self._terms.banks or tuple(sorted(sampled | nodes.away(places), key=_in_order))
        terms = Terms(**{**vars(self._terms), "banks": banks})
        now = self._begin(server_round, terms, numpy_arrays(arrays), _told(asked), places)
        try:
            now.keys, now.facts = self._with_orders(now, now.cohort, {})
        except ProtocolError as error:
            self._fail(now, error, {})
            return []
        self._now = now
        first = next(server_half(now.cohort)).requests
        now.sent = [
            order_message(
                nodes.order(MODEL, About.of(now.cohort), now.facts, first[name_of[_to(message)]]),
                _to(message), nodes.kind, message.content, now.keys,
            )
            for message in asked
            if name_of[_to(message)] in banks
        ]  # fmt: skip
        payload = b"".join(array.data for array in arrays.values())
        for message in now.sent:
            self._transcript.record(now.cohort, "broadcast", AGGREGATOR, name_of[_to(message)], payload)
        return now.sent

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        now, replies = self._now, list(replies)
        if now is None:
            return None, None
        absent, metrics = self._trained(now, replies)
        try:
            done = self._sum(now, absent)
            arrived = done.outcome.sum
            total = np.rint(arrived.total).astype(np.int64)
            mean, bound, clipped = now.model.decode(total, len(arrived.contributors))
        except SecretExposureError:
            raise
        except ProtocolError as error:
            self._fail(now, error, absent)
            return None, None
        contributors = tuple(bank for bank in now.cohort.banks if bank in arrived.contributors)
        left_out = absent | {bank: why for bank, why in done.refused.items() if bank not in contributors}
        values = sum(now.model.codec.sizes)
        self.rounds.append(RoundOutcome(server_round, contributors, left_out, done.attempts, values, clipped, bound))
        self._say(self.rounds[-1])
        self._nodes_now.forget(left_out)
        seen = mean_metrics(record for bank, record in metrics.items() if bank in contributors)
        one = reply_of_all(self._wrapped, replies[0], mean, seen, len(contributors))
        made, aggregated = self._wrapped.aggregate_train(server_round, [one])
        return None if made is None else typed(made, mean), aggregated

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        nodes = self._met(grid)
        asked = self._wrapped.configure_evaluate(server_round, arrays, config, self._banks_of(nodes))
        order = nodes.order(EVALUATE, None, self._terms.facts)
        return [order_message(order, _to(m), m.metadata.message_type, m.content) for m in asked]

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        try:
            return self._wrapped.aggregate_evaluate(server_round, replies)
        except (InconsistentMessageReplies, ArithmeticError) as error:  # one bank's answer is no reason to end the run
            LOG.error(
                "round %d has no evaluation, since a bank's answer does not fit the others: %s", server_round, error
            )
            return None

    def _met(self, grid: Grid) -> Nodes:
        if self._nodes is None or self._nodes.grid is not grid:
            self._nodes = Nodes(grid, self._seconds)
        return self._nodes

    def _banks_of(self, nodes: Nodes) -> BanksAlone:
        trustees = self._terms.kind.trustees
        return BanksAlone(
            nodes.grid, lambda: [node for name, node in nodes.meet(self._terms).items() if name not in trustees]
        )

    def _with_trustees(self, nodes: Nodes) -> dict[str, int]:
        """Who is there, with all key holders. Raises `ConfigurationError` where one does not come."""
        until = time.monotonic() + self._wait
        while True:
            places = nodes.meet(self._terms)
            missing = [name for name in self._terms.kind.trustees if name not in places]
            if not missing:
                return places
            if time.monotonic() > until:
                raise ConfigurationError(
                    f"{self._terms.scheme} needs a node that is {', '.join(missing)}, and none says so; start it with "
                    "secure-fl-name or secure-fl-folder in its --node-config, or simulate more nodes"
                )
            time.sleep(AGAIN)

    def _begin(
        self, number: int, terms: Terms, arrays: Mapping[str, Any], told: bytes, places: dict[str, int]
    ) -> _Round:
        if len(terms.banks) < MIN_BANKS:
            raise ConfigurationError(
                f"{len(terms.banks)} banks were sampled and a secure sum needs {MIN_BANKS}; raise min_train_nodes"
            )
        model = Model(terms, arrays)
        cohort = terms.cohort(self._session, number, model.codec.length, terms.context(arrays, told))
        return _Round(terms, model, cohort, places)

    def _trained(self, now: _Round, replies: list[Message]) -> tuple[dict[str, str], dict[str, MetricRecord]]:
        """Which banks have no update, and why; metrics of the others."""
        name_of = {node: name for name, node in now.places.items()}
        absent = dict.fromkeys(now.cohort.banks, "it did not answer")
        metrics: dict[str, MetricRecord] = {}
        for reply in replies:
            bank = name_of.get(sender_of(reply, now.sent), "")
            if bank not in absent:
                continue
            answer = answer_in(reply)
            if not isinstance(answer, bytes):
                absent[bank] = reason(answer)
            else:
                del absent[bank]
                now.ahead[bank] = answer
                beside = RecordDict({name: each for name, each in reply.content.items() if name != RECORD})
                content = recorddict_to_proto(beside).SerializeToString()
                self._transcript.record(now.cohort, "beside", bank, AGGREGATOR, content)
                metrics[bank] = reply.content.metric_records.get("metrics", MetricRecord())
        return absent, metrics

    def _sum(self, now: _Round, absent: Mapping[str, str]) -> Completed:
        if len(now.cohort.banks) - len(absent) < now.cohort.plan.threshold:
            said = "; ".join(f"{bank}: {why}" for bank, why in sorted(absent.items()))
            raise DropoutError(f"too few banks have an update ({said}); wait for more of them", absent)

        def once(attempt: Cohort[Any], without: Mapping[str, str]) -> Outcome:
            first = attempt == now.cohort
            keys, facts = (now.keys, now.facts) if first else self._with_orders(now, attempt, without)
            carrier = FlowerCarrier(self._nodes_now, now.places, attempt, facts, keys, now.ahead if first else None)
            half = server_half(attempt)
            try:
                return run_carried(attempt, half, carrier, self._transcript, None, without)
            except ProtocolError:
                self._keys.forget()
                raise

        return attempt_sum(now.cohort, once, self._attempts, absent)

    def _with_orders(
        self, now: _Round, attempt: Cohort[Any], without: Mapping[str, str]
    ) -> tuple[bytes, dict[str, Any]]:
        return self._keys.with_orders(self._nodes_now, now.places, attempt, now.terms.facts, without)

    @property
    def _nodes_now(self) -> Nodes:
        assert self._nodes is not None
        return self._nodes

    def _fail(self, now: _Round, error: ProtocolError, absent: Mapping[str, str]) -> None:
        LOG.error("round %d has no sum, and the model stays as it was: %s", now.cohort.round, error)
        left_out = {**absent, **error.absent, **error.refused}
        self.rounds.append(RoundOutcome(now.cohort.round, left_out=left_out, failure=str(error)))
        self._nodes_now.forget([*now.cohort.banks, *now.cohort.trustees])

    def _say(self, done: RoundOutcome) -> None:
        LOG.info(
            "round %d: secure mean of %s, within %.2g of the exact one",
            done.round, ", ".join(done.contributors), done.error_bound,
        )  # fmt: skip
        if done.clipped:
            LOG.warning(
                "round %d: %d of %d values lay beyond the clip range of %g and count as its edge; give a larger clip",
                done.round, done.clipped, done.values * len(done.contributors), self._terms.clip,
            )  # fmt: skip
        for bank, why in sorted(done.left_out.items()):
            LOG.warning("round %d: %s is not in the mean: %s", done.round, bank, why)


def _told(asked: Iterable[Message]) -> bytes:
    """What all banks are told. Raises `ConfigurationError` where it is not the same."""
    said = {told(message) for message in asked}
    if len(said) != 1:
        raise ConfigurationError(
            "the strategy sends banks different configurations, and a sum of different tasks can be one bank's "
            "update; send all the same"
        )
    return said.pop()


def _to(message: Message) -> int:
    return int(message.metadata.dst_node_id)


def _in_order(name: str) -> tuple[int, str]:
    """bank-2 before bank-10."""
    return len(name), name
