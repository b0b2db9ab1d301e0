"""Sums whose contributions are checked, by proofs or by a rule on their encrypted distances: schemes and plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from secure_fl.codec.quantization import Quantizer
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.grouping import group_threshold
from secure_fl.robust.krum import krum_from_distances
from secure_fl.robust.result import FloatMatrix
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.budget.krum import KrumPlan
from secure_fl.secagg.budget.proofs import ProofsPlan
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.krum.deployment import krum_scheme
from secure_fl.secagg.krum.selection import Selection
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.proofs.deployment import proven_scheme
from secure_fl.secagg.scheme import Scheme
from secure_fl.settings import Experiment
from secure_fl.settings.robust import Way

SEEN: Mapping[Way, str] = {
    "updates": "single updates, which the aggregator reads",
    "distances": "distances of updates, which the key authority opens",
    "groups": "means of groups, each a secure sum",
}


def checked_scheme(settings: Experiment, *, statistics: bool = False) -> Scheme | None:
    """The scheme of sums whose contributions are checked; None where it is the one that settings name.

    `statistics`: of the sum of round 0, which no rule chooses from and no norm bounds.
    """
    if settings.proofs:
        return proven_scheme(None if statistics else _any(settings.norm_bound))
    if statistics or settings.robust == "none" or settings.way(settings.scheme) != "distances":
        return None
    return krum_scheme(partial(choose, byzantine=settings.byzantine), _any(settings.norm_bound))


def _any(norm_bound: float | None) -> float | None:
    """A bound to plan with; that of a round is in steps of its clip range (`bounded`)."""
    return None if norm_bound is None else 1.0


def bounded(plan: Plan, norm_bound: float | None, model: GlobalModel) -> Plan:
    """The plan of a round whose updates are no longer than a bound, in weights (L2)."""
    if norm_bound is None:
        return plan
    assert isinstance(plan, KrumPlan | ProofsPlan)
    assert plan.bits is not None
    steps = Quantizer(plan.bits, model.clip).steps(norm_bound, len(model.weights))
    return replace(plan, norm_bound=max(1.0, steps))


def custody_of_bound(custody: Custody, norm_bound: float | None, parameters: int) -> Custody:
    """What a scheme says of itself, and how long an update can be that is taken under a bound."""
    if norm_bound is None:
        return custody
    promise = (
        f"Updates are bounded after they were rounded, which can lengthen one by 1.5 sqrt({parameters}) quantization "
        f"steps: a bank that lies is taken up to the norm bound of {norm_bound:g} and {1.5 * parameters**0.5:,.0f} "
        "steps, which is much where the bound is small."
    )
    return replace(custody, assumptions=(*custody.assumptions, promise))


def plan_checked(experiment: Experiment, parameters: int) -> tuple[Plan, dict[str, Any]]:
    """The plan of a sum of updates under the experiment's rule or proofs, and what a rule adds to its figures.

    Raises `PlanError`, or `ConfigurationError` where things do not go together.
    """
    scheme = checked_scheme(experiment) or experiment.kind
    planned = plan_for(scheme, experiment.banks, parameters, experiment.bits, experiment.threshold)
    if experiment.robust == "none":
        return planned, {}
    way = experiment.way(experiment.scheme)
    figures = {"rule": experiment.robust, "byzantine": experiment.byzantine, "rule_sees": SEEN[way]}
    if way == "groups":
        largest = -(-experiment.banks // experiment.groups)
        return planned.among(largest, group_threshold(largest)), figures | {"groups": experiment.groups}
    return planned, figures


def choose(squared: FloatMatrix, errors: FloatMatrix, refused: int, *, byzantine: int) -> Selection:
    """Multi-Krum's choice of n - f banks by their distances (see `robust.multi_krum`).

    At least `refused` of the banks that went before are some of the f byzantine ones, so fewer of these are left.
    Raises `ConfigurationError` where the rule promises nothing for so many.
    """
    left = max(0, byzantine - refused)
    choice = krum_from_distances(squared, left, len(squared) - left, errors)
    return Selection(choice.chosen, choice.tied)
