"""What the files of a run say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from secure_fl.report import outputs


@pytest.mark.parametrize(("dataset", "seed"), [("simulated", 7), ("ulb", None), ("mine.csv", None)])
def test_only_a_simulation_gives_its_seed_away(dataset: str, seed: int | None) -> None:
    columns = {"used": {"fraud": "label"}, "ignored": []}
    result: Any = SimpleNamespace(
        experiment={"dataset": dataset, "seed": 7},
        model=SimpleNamespace(feature_schema={"a": 1}),
        data={"columns": columns},
    )
    described = outputs.model_description(result.experiment, result.model.feature_schema, result.data["columns"])
    assert described == {"feature_schema": {"a": 1}, "simulation_seed": seed, "columns": columns}
