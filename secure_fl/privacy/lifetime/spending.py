"""How much a bank's rows, or a bank, have spent in all runs of their life.

A release is of a *row* (DP-SGD at one bank) or of a *bank* (a share of noise in a sum). The two are never added up:
they have different neighbours. What counts for a bank's rows is every release over a set that shares a row with them,
under whatever name; for the bank itself also every release under its own name.

Rules: a row is one that one bank holds, so within one run it was in one of the run's releases only (who has the same
row in two banks has spent what both did; the run's report notes it). Where the tags leave open in which, a release
takes its place that costs at least as much as each: the smallest noise, the largest sample rate, the most steps. So
what comes out bounds the spending of each row of the bank from above.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from secure_fl.privacy.accounting import SampledGaussian, epsilon
from secure_fl.privacy.distributed.composition import epsilon_together

Unit = Literal["row", "bank"]
MANY_KINDS = 12
"""Of events: beyond, privacy random variables take minutes, and Renyi's bound, a little larger, is taken."""


@dataclass(frozen=True)
class Release:
    """One entry of the log."""

    run: str
    bank: str
    rows: str
    """The set of rows, by its name in the store."""
    unit: Unit
    release: str
    """Such as "round 3"."""
    context: str
    event: SampledGaussian
    delta: float
    """What the run promised its own epsilon at."""
    limit: float | None
    """The largest epsilon for life that the run respected."""

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Release:
        return cls(
            run=body["run"],
            bank=body["bank"],
            rows=body["rows"],
            unit=body["unit"],
            release=body["release"],
            context=body["context"],
            event=SampledGaussian(**body["event"]),
            delta=body["delta"],
            limit=body["limit"],
        )


def cost(unit: Unit, events: Sequence[SampledGaussian], delta: float) -> float:
    """The epsilon of events of one unit, by the accountant that may be asked for it."""
    if unit == "row":
        kinds = len({(event.noise_multiplier, event.sample_rate) for event in events})
        if kinds > MANY_KINDS:
            return epsilon(events, delta, "rdp")
        return epsilon(events, delta)
    return epsilon_together([event.noise_multiplier for event in events for _ in range(event.steps)], delta)


def events_of_life(
    releases: Iterable[Release], unit: Unit, bank: str, rows: str, sharing: frozenset[str]
) -> tuple[SampledGaussian, ...]:
    """What counts for the bank `bank` with the set `rows`; `sharing`: the sets that share a row with it, itself too."""
    runs: dict[str, list[Release]] = {}
    for release in releases:
        if release.unit == unit and (release.rows in sharing or (unit == "bank" and release.bank == bank)):
            runs.setdefault(release.run, []).append(release)
    return tuple(event for run in runs.values() for event in _events_of_run(run, bank, rows))


def _events_of_run(releases: Sequence[Release], bank: str, rows: str) -> list[SampledGaussian]:
    own = [release for release in releases if release.rows == rows and release.bank == bank]
    same = own or [release for release in releases if release.rows == rows]
    candidates: dict[tuple[str, int], list[SampledGaussian]] = {}
    seen: Counter[tuple[str, str, str]] = Counter()
    for release in same or releases:
        place = (release.bank, release.rows, release.release)
        candidates.setdefault((release.release, seen[place]), []).append(release.event)
        seen[place] += 1
    return [_costliest(events) for events in candidates.values()]


def _costliest(events: Sequence[SampledGaussian]) -> SampledGaussian:
    """An event that costs at least as much as each of these."""
    return SampledGaussian(
        min(event.noise_multiplier for event in events),
        max(event.sample_rate for event in events),
        max(event.steps for event in events),
    )
