"""Grouped secure sums: the banks of a round are divided at random, each group has a secure sum of its own, and a rule
runs over the groups' means.

A rule needs something to compare, and a secure sum of all leaves nothing. Means of small groups are a way between:
nobody reads a single update, and f byzantine banks spoil f groups at most. (Velicheti, Xia, Koyejo, "Secure
Byzantine-Robust Distributed Learning via Clustering", arXiv 2110.02940, 2021; here once a round.) The price: a mean of
three says more of a bank than one of thirty, and groups are drawn anew each round, so that updates which hardly change
from round to round can be told apart by and by.

Groups follow from the seed and the round, which all banks know; a bank refuses to take part in any other group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from secure_fl.codec.quantization import Codec, FloatVector, MeanUpdate
from secure_fl.errors import MessageError, ProtocolError, SecretExposureError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.combining import Clients, Clock, Combined, Contributions, exact_mean
from secure_fl.federation.ruling import Ruling
from secure_fl.secagg.attempts import Completed
from secure_fl.secagg.budget import MIN_BANKS, Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Outcome, SecureSum, reason
from secure_fl.secagg.scheme import majority


def groups_of(banks: tuple[str, ...], count: int, seed: int, round_: int) -> tuple[tuple[str, ...], ...]:
    """The groups of a round: so many, which differ in size by one bank at most, each in the order of `banks`."""

    def place(bank: str) -> bytes:
        return hashlib.sha256(b"secure_fl groups" + f"{seed} {round_} {bank}".encode()).digest()

    drawn = sorted(banks, key=place)
    return tuple(tuple(sorted(drawn[start::count], key=banks.index)) for start in range(count))


def group_threshold(size: int) -> int:
    """The fewest banks of a group whose sum is opened: never fewer than three, since of two each knows the other's."""
    return max(MIN_BANKS, majority(size))


def require_group(group: tuple[str, ...], groups: tuple[tuple[str, ...], ...], bank: str, threshold: int) -> None:
    """Raises `MessageError` unless a bank is asked in its own group, whose sum is opened over enough banks."""
    if bank not in group or group not in groups:
        raise MessageError(f"{bank} is asked for its update in a group that is not its own; find out why")
    if threshold < group_threshold(len(group)):
        raise MessageError(
            f"{bank} is asked for its update where a sum over {threshold} banks of its group would be opened, and not "
            f"only one over {group_threshold(len(group))} or more; find out why"
        )


@dataclass
class Grouping:
    """The groups of one round, and what each of them sums to."""

    aggregation: SecureAggregation
    codec: Codec
    ruling: Ruling
    groups: tuple[tuple[str, ...], ...]
    sums: list[SecureSum] = field(default_factory=list)
    """Of the groups that came to one."""

    def sum(self, cohort: Cohort[Plan], clients: Clients, absent: Mapping[str, str], clock: Clock) -> Completed:
        done: list[Completed] = []
        lost: dict[str, str] = {}
        for turn, banks in enumerate(self.groups):
            group = self.aggregation.group(cohort, banks, group_threshold(len(banks)), turn)
            left_out = {bank: why for bank, why in absent.items() if bank in banks}
            try:
                done.append(self.aggregation.sum(group, clients, left_out, clock))
            except SecretExposureError:
                raise
            except ProtocolError as error:
                lost |= {bank: f"its group has no sum: {reason(error)}" for bank in banks} | error.refused
        self.sums = [completed.outcome.sum for completed in done]
        self.ruling.require(len(done), "groups of banks have a sum", cohort.round, lost)
        return _together(done, lost, self.aggregation.settings.attempts if lost else 1)

    def combine(self, arrived: SecureSum, cohort: Cohort[Plan]) -> Combined:
        means = [self.codec.decode(one.total, len(one.contributors)) for one in self.sums]
        found = self.ruling.of(np.array([mean.update for mean in means]))
        left = [one.contributors for row, one in enumerate(self.sums) if row not in found.chosen]

        def same_of(contributions: Contributions) -> FloatVector:
            exact = [exact_mean([contributions[bank] for bank in one.contributors], None) for one in self.sums]
            return self.ruling.same(found, np.array(exact))

        return Combined(
            MeanUpdate(found.aggregate, None, means[0].step),
            tuple(bank for bank in cohort.banks if bank in arrived.contributors),
            same_of,
            tuple(bank for bank in cohort.banks if any(bank in group for group in left)),
        )


def _together(done: list[Completed], lost: Mapping[str, str], attempts: int) -> Completed:
    """What the groups' sums took, all together; `attempts`: those of groups that have none."""
    outcomes = [completed.outcome for completed in done]
    seconds: dict[str, float] = {}
    for outcome in outcomes:
        for party, spent in outcome.party_seconds.items():
            seconds[party] = seconds.get(party, 0.0) + spent
    refused = dict(lost)
    for completed in done:
        refused |= completed.refused
    total = SecureSum(
        np.sum([outcome.sum.total for outcome in outcomes], axis=0),
        frozenset().union(*(outcome.sum.contributors for outcome in outcomes)),
        refused,
    )
    outcome = Outcome(total, seconds, sum(outcome.server_seconds for outcome in outcomes), refused)
    return Completed(outcome, max(attempts, *(completed.attempts for completed in done)), refused)
