"""One secure sum from start to end, in memory, with every message really serialized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.attempts import attempt_sum
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.planning import plan
from secure_fl.secagg.protocol import Outcome, run_protocol
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.schemes import scheme_for
from secure_fl.secagg.transcript import Deliveries, Transcript
from secure_fl.secagg.turns import new_session


@dataclass(frozen=True)
class Simulation:
    """A finished secure sum."""

    total: NDArray[np.int64]
    """Exact sum over the contributors, shape [parameters]."""
    contributors: frozenset[int]
    """Row numbers of the banks in the sum."""
    transcript: Deliveries
    plan: Plan

    @property
    def names(self) -> tuple[str, ...]:
        """The banks in the sum, as the transcript calls them: row 0 is that of bank-1."""
        return tuple(map(_name, sorted(self.contributors)))

    @property
    def upload_bytes(self) -> dict[int, int]:
        """Bytes that each bank sent, by its row number, in all stages and attempts."""
        uploads = Transcript(list(self.transcript)).uploads(_ROUND)
        return {row: uploads[_name(row)] for row in range(self.plan.banks)}


def simulate(
    scheme: str,
    updates: NDArray[np.integer[Any]],
    bits: int = 8,
    threshold: int | None = None,
    drop: Mapping[int, str] | None = None,
    *,
    holders: int | None = None,
    quorum: int | None = None,
    witnesses: int = 0,
) -> Simulation:
    """Sum `updates` with a scheme.

    `updates` are integers of shape [banks, parameters], each in [0, 2**bits). `drop` names, for a row, the first
    stage that this bank no longer answers; `holders`, `quorum` and `witnesses` are as for `plan`. Nothing here can
    be seeded: all that a scheme draws is key material, which comes from the operating system; the sum does not depend
    on it.
    Raises `PlanError`, `ConfigurationError`, or `DropoutError` below the threshold.
    """
    updates = _integers(updates)
    planned = plan(
        scheme, len(updates), updates.shape[1], bits, threshold, holders=holders, quorum=quorum, witnesses=witnesses
    )
    if planned.bits is None:
        raise ConfigurationError("simulate sums integers; give bits as a whole number")
    _require_range(updates, planned.bits)
    chosen = scheme_for(planned)
    banks = tuple(map(_name, range(len(updates))))
    cohort = chosen.cohort(planned, _ROUND, banks, session=new_session())
    if not set(drop or {}) <= set(range(len(banks))):
        raise ConfigurationError(f"a row that drops out does not exist; use 0 to {len(banks) - 1}")
    dropped = {banks[row]: check_stage(chosen, stage) for row, stage in (drop or {}).items()}

    transcript = Transcript()
    deployed = chosen.deploy(planned)
    deployed.setup(cohort, transcript)

    def once(cohort: Cohort[Plan], left_out: Mapping[str, str]) -> Outcome:
        clients = {name: deployed.client(cohort, name, row) for name, row in zip(banks, updates, strict=True)}
        parties = {**clients, **deployed.trustees(cohort)}
        return run_protocol(cohort, deployed.server(cohort), parties, transcript, dropped, left_out)

    finished = attempt_sum(cohort, once).outcome.sum
    return Simulation(
        total=finished.total.astype(np.int64),
        contributors=frozenset(row for row, name in enumerate(banks) if name in finished.contributors),
        transcript=transcript.so_far,
        plan=planned,
    )


def _integers(updates: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Raises `ConfigurationError` where they are none, or no table."""
    updates = np.asarray(updates)
    if updates.ndim != 2 or not np.issubdtype(updates.dtype, np.integer):
        raise ConfigurationError("updates are not integers of shape [banks, parameters]; quantize them first")
    return updates


def _require_range(updates: NDArray[np.integer[Any]], bits: int) -> None:
    """Raises `ConfigurationError`."""
    if updates.min() < 0 or updates.max() >= 1 << bits:
        raise ConfigurationError(f"an update has values outside [0, 2**{bits}); clip them or use more bits")


def check_stage(scheme: Scheme, stage: str) -> str:
    """The stage, if the scheme has it; raises `ConfigurationError`."""
    if stage not in scheme.stages:
        raise ConfigurationError(
            f"{scheme.name} has no stage {stage!r} that a bank could miss; choose one of {', '.join(scheme.stages)}"
        )
    return stage


def _name(row: int) -> str:
    return f"bank-{row + 1}"


_ROUND = 1
