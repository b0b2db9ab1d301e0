"""Is told what happens in a federation, and says how it stands.

The coordinator's thread and the service's event loop tell it; event loops ask it. It is told names, numbers and reasons
alone, and what it takes from the post are orders without their bodies and facts.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.transport.orders import FINISHED, MODEL
from secure_fl.transport.patience import Patience
from secure_fl.transport.post import SILENT_SECONDS, Post, Standing
from secure_fl.transport.roster import Member, Roster
from secure_fl.transport.state import State
from secure_fl.transport.status.snapshot import (
    FinishedRound,
    PartyStatus,
    Phase,
    Place,
    Stage,
    Status,
    Traffic,
    Trouble,
)

MOST_TROUBLES = 100
LONGEST_REASON = 300


class Chronicle:
    """Of one process of a gateway."""

    def __init__(
        self, roster: Roster, post: Post, patience: Patience, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: the post's."""
        self._roster, self._post, self._patience, self.clock = roster, post, patience, clock
        self._settings = roster.settings
        self._lock = threading.Lock()
        self._phase, self._ended, self._error = Phase.GATHERING, False, ""
        self._began = self._round_began = clock()
        self._round: int | None = None
        self._resumed: int | None = None
        self._finished: dict[int, FinishedRound] = {}
        self._in_round: dict[str, Traffic] = {}
        self._in_all: dict[str, Traffic] = {}
        self._troubles: dict[tuple[str, str], Trouble] = {}
        self._turned_away: Counter[str] = Counter()

    # what the coordinator tells

    def resumed(self, state: State) -> None:
        """An earlier process of the gateway has come so far. Its bytes are those of messages in the transcript."""
        with self._lock:
            self._resumed = state.round
            for number in range(state.round + 1):
                messages = [each for each in state.deliveries if each.round == number]
                received = sum(each.nbytes for each in messages if each.recipient == AGGREGATOR)
                sent = sum(each.nbytes for each in messages if each.sender == AGGREGATOR)
                self._finished[number] = self._record(state, number, Traffic(received, sent), None)

    def began(self, number: int) -> None:
        """A round, for the first time or anew."""
        with self._lock:
            self._phase, self._round, self._round_began = Phase.WORKING, number, self.clock()
            if number:  # what was said before round 0 is counted in it
                self._in_round.clear()

    def finished(self, state: State) -> None:
        """A round, which is on disk."""
        with self._lock:
            seconds = self.clock() - self._round_began
            traffic = sum(self._in_round.values(), Traffic())
            self._finished[state.round] = self._record(state, state.round, traffic, seconds)

    def failed(self, number: int, error: str) -> None:
        """A round, which is begun anew, or the federation gives up."""
        with self._lock:
            self._trouble(number, "", error)

    def refused(self, number: int, parties: Mapping[str, str]) -> None:
        """By whom, or of whom, and why."""
        with self._lock:
            for party, why in parties.items():
                self._trouble(number, party, why)

    def over(self) -> None:
        """All rounds are finished; parties are told so."""
        with self._lock:
            self._phase, self._round = Phase.OVER, None
            self._in_round.clear()

    # what the gateway's process tells

    def gave_up(self, error: str) -> None:
        with self._lock:
            self._phase, self._error = Phase.GIVEN_UP, error[:LONGEST_REASON]

    def ended(self) -> None:
        with self._lock:
            self._ended = True

    # what the service tells

    def received(self, party: str, nbytes: int) -> None:
        self._count(party, Traffic(received=nbytes))

    def sent(self, party: str, nbytes: int) -> None:
        self._count(party, Traffic(sent=nbytes))

    def turned_away(self, reason: str) -> None:
        """A request was refused."""
        with self._lock:
            self._turned_away[reason] += 1

    # how it stands

    @property
    def last_finished(self) -> int:
        """0 where there is none."""
        with self._lock:
            return max(self._finished, default=0)

    def status(self) -> Status:
        standings = self._post.standings()
        scheme = self._settings.kind
        with self._lock:
            return Status(
                federation=self._roster.federation,
                scheme=f"{scheme.name} ({scheme.title})",
                custody=scheme.custody.summary,
                dataset=self._settings.dataset,
                rounds=self._settings.rounds,
                phase=self._phase,
                began=self._began,
                ended=self._ended,
                error=self._error,
                resumed=self._resumed,
                round=self._round,
                stage=_stage(standings),
                traffic=sum(self._in_round.values(), Traffic()),
                parties=tuple(self._party(each, standings[each.name]) for each in self._roster.in_sums),
                finished=tuple(self._finished.values()),
                troubles=tuple(self._troubles.values()),
                turned_away=dict(self._turned_away),
            )

    def _party(self, member: Member, standing: Standing) -> PartyStatus:
        place, why, since = self._place(member, standing)
        return PartyStatus(
            member,
            place,
            why,
            since,
            standing.asked if standing.due and not member.revoked else None,
            self._in_round.get(member.name, Traffic()),
            self._in_all.get(member.name, Traffic()),
        )

    def _place(self, member: Member, standing: Standing) -> tuple[Place, str, float | None]:
        """Where a party is, why it is not there, and since when."""
        asked, silence = standing.asked, self.clock() - standing.seen
        if member.revoked:
            return "revoked", "its certificate opens no door", None
        if asked is not None and asked.kind == FINISHED and standing.answered:
            return "done", "it knows that the federation is over", standing.seen
        if standing.seen == -math.inf:
            return "absent", "it has not come yet", self._began
        if silence > self._patience.absent:
            return "absent", "no sign of it", standing.seen
        if silence > SILENT_SECONDS:
            return "late", "no sign of it", standing.seen
        if asked is not None and standing.due and self.clock() - asked.at > self._seconds(asked.kind) / 2:
            return "late", "more than half of its time to answer is gone", asked.at
        return "there", "", standing.came

    def _seconds(self, kind: str) -> float:
        """How long a party has for an order."""
        return {MODEL: self._patience.train, FINISHED: math.inf}.get(kind, self._patience.stage)

    def _record(self, state: State, number: int, traffic: Traffic, seconds: float | None) -> FinishedRound:
        contributors = state.contributors[number - 1] if number else ()
        missing = tuple(bank for bank in self._settings.bank_names if bank not in contributors) if number else ()
        attempts = state.attempts[number - 1] if number else None
        return FinishedRound(number, contributors, missing, attempts, traffic, seconds)

    def _count(self, party: str, traffic: Traffic) -> None:
        with self._lock:
            for counts in (self._in_round, self._in_all):
                counts[party] = counts.get(party, Traffic()) + traffic

    def _trouble(self, number: int, party: str, why: str) -> None:
        """The same one again is one that happened more often; the oldest ones are forgotten."""
        trouble = Trouble(number, number, party, why[:LONGEST_REASON], self.clock())
        before = self._troubles.pop((party, trouble.why), None)
        if before is not None:
            trouble = replace(trouble, first_round=before.first_round, times=before.times + 1)
        self._troubles[party, trouble.why] = trouble
        if len(self._troubles) > MOST_TROUBLES:
            del self._troubles[next(iter(self._troubles))]


def _stage(standings: Mapping[str, Standing]) -> Stage | None:
    """What the last order was about, with those who were asked the same."""
    orders = [each.asked for each in standings.values() if each.asked is not None]
    if not orders:
        return None
    last = max(orders, key=lambda asked: asked.at)
    same = [each for each in standings.values() if each.asked is not None and replace(each.asked, at=last.at) == last]
    return Stage(last, len(same), sum(each.answered for each in same))
