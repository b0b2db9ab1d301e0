"""What a service says of its model, and what a customer refuses of it before a key is drawn.

Public: the plan of the scoring, the names and kinds of the columns that the model takes, the means and deviations that
they are standardized by, a check value of the federation key that pseudonyms are made with, and the seed of simulated
ones. Never a weight, nor what was measured of them beyond the plan.

A plan is the model owner's word. What it could do to the rows is refused here and in `ScoringPlan.from_json`:
parameters below 128 bits, keys for other rotations than a layout has, features or a clip range that are not those of
the columns, and features that must be zero: by going away where one is not, a customer would tell of its rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from secure_fl.data import FeatureSchema, dimension
from secure_fl.errors import ConfigurationError, DataError, MessageError
from secure_fl.report.scores import Intake
from secure_fl.scoring.plans import ScoringPlan
from secure_fl.scoring.ways import Way
from secure_fl.training.encrypted import clip_range

VERSION = 1
LARGEST = 1 << 20
"""Bytes."""
_FIELDS = {"version", "plan", "features", "simulation_seed"}
_LONGEST_NAME = 200


@dataclass(frozen=True)
class PublicModel:
    """All that a customer needs to know of a model."""

    plan: ScoringPlan
    intake: Intake

    @property
    def way(self) -> Way:
        """How rows are scored."""
        return "single" if self.plan.layout == "single" else "hidden" if self.plan.hides_model else "batched"

    def to_json(self) -> bytes:
        """As it is published."""
        document = {
            "version": VERSION,
            "plan": json.loads(self.plan.to_json()),
            "features": self.intake.schema.to_dict(),
            "simulation_seed": self.intake.simulation_seed,
        }
        return json.dumps(document, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> PublicModel:
        """Inverse of `to_json`. Raises `MessageError`, or `PlanError` for parameters that are not secure."""
        try:
            document = json.loads(data)
            if set(document) != _FIELDS or document["version"] != VERSION or not all(map(_shows, _texts(document))):
                raise ValueError
            schema, seed = FeatureSchema.from_dict(document["features"]), document["simulation_seed"]
            plan = ScoringPlan.from_json(json.dumps(document["plan"], sort_keys=True).encode())
            if seed is not None and (type(seed) is not int or not 0 <= seed < 1 << 63):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, DataError, ConfigurationError):
            raise MessageError(
                "what the service says of its model cannot be read; ask its owner which version it runs"
            ) from None
        _require_consistent(plan, schema)
        return cls(plan, Intake(schema, seed))


def _require_consistent(plan: ScoringPlan, schema: FeatureSchema) -> None:
    """Raises `MessageError` where the plan is not one for these columns."""
    if plan.features != dimension(schema.source):
        raise MessageError(
            f"the service's plan takes {plan.features} features, and its columns make {dimension(schema.source)}; do "
            "not send it rows, and tell its owner"
        )
    if plan.clip != clip_range(schema):
        raise MessageError(
            f"the service's plan has a clip range of {plan.clip:g}, and its columns have {clip_range(schema):g}; do "
            "not send it rows, and tell its owner"
        )
    if plan.must_be_zero:
        raise MessageError(
            "the service's plan asks for rows without some features, so that going away would tell of them; do not "
            "send it rows, and tell its owner"
        )


def _texts(value: Any) -> Iterator[str]:
    """All of a document, names included: some are shown to people."""
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from _texts(each)
        case dict():
            for name, each in value.items():
                yield name
                yield from _texts(each)


def _shows(text: str) -> bool:
    """Whether it is text that a terminal only shows."""
    return text.isprintable() and len(text) <= _LONGEST_NAME
