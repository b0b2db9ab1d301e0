"""The secure sums that a rule needs: their scheme and plan; for Multi-Krum on ciphertexts, how banks are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from secure_fl.federation.grouping import group_threshold
from secure_fl.robust.krum import krum_from_distances
from secure_fl.robust.result import FloatMatrix
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.krum.deployment import krum_scheme
from secure_fl.secagg.krum.selection import Selection
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.settings import Experiment
from secure_fl.settings.robust import Robust, Way

SEEN: Mapping[Way, str] = {
    "updates": "single updates, which the aggregator reads",
    "distances": "distances of updates, which the key authority opens",
    "groups": "means of groups, each a secure sum",
}


def scheme_of_updates(settings: Robust, scheme: str) -> Scheme | None:
    """The scheme of sums of updates; None where it is the same as that of all sums."""
    if settings.robust == "none" or settings.way(scheme) != "distances":
        return None
    return krum_scheme(partial(choose, byzantine=settings.byzantine))


def plan_under_rule(experiment: Experiment, parameters: int) -> tuple[Plan, dict[str, Any]]:
    """The plan of a sum of updates under the experiment's rule, and what the rule adds to its figures.

    Raises `PlanError`, or `ConfigurationError` where rule and scheme do not go together.
    """
    way = experiment.way(experiment.scheme)
    scheme = scheme_of_updates(experiment, experiment.scheme) or SCHEMES[experiment.scheme]
    planned = plan_for(scheme, experiment.banks, parameters, experiment.bits, experiment.threshold)
    figures = {"rule": experiment.robust, "byzantine": experiment.byzantine, "rule_sees": SEEN[way]}
    if way == "groups":
        largest = -(-experiment.banks // experiment.groups)
        planned = planned.among(largest, group_threshold(largest))
        figures |= {"groups": experiment.groups}
    return planned, figures


def choose(squared: FloatMatrix, errors: FloatMatrix, refused: int, *, byzantine: int) -> Selection:
    """Multi-Krum's choice of n - f banks by their distances (see `robust.multi_krum`).

    Refused banks are some of the f byzantine ones, so fewer of these are left. Raises `ConfigurationError` where the
    rule promises nothing for so many.
    """
    left = max(0, byzantine - refused)
    choice = krum_from_distances(squared, left, len(squared) - left, errors)
    return Selection(choice.chosen, choice.tied)
