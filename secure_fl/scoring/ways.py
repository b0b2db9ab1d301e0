"""The ways of scoring rows, by name: what the command line and the benchmark choose from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from secure_fl.scoring.planning import plan_batched
from secure_fl.scoring.planning_hidden import plan_hidden
from secure_fl.scoring.planning_single import plan_single
from secure_fl.scoring.plans import PlannedModel
from secure_fl.scoring.squares import CompiledModel

Way: TypeAlias = Literal["batched", "hidden", "single"]
PLANNERS: Mapping[Way, Callable[[CompiledModel], PlannedModel]] = {
    "batched": plan_batched,
    "hidden": plan_hidden,
    "single": plan_single,
}
