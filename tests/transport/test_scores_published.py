"""What a service says of its model, and what a customer refuses of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import MessageError, PlanError
from secure_fl.report.encrypted_model import EncryptedModel
from secure_fl.scoring.ways import Way
from secure_fl.training import Network
from secure_fl.transport.scores.publishing import PublicModel
from tests.report.scored_run import scored_run


def public(folder: Path, way: Way = "batched", network: Network = Network(())) -> PublicModel:  # noqa: B008
    model = EncryptedModel.read(scored_run(folder, network).model, None, way)
    return PublicModel(model.planned.plan, model.opened.intake)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of a model with one square, for single rows."""
    return public(tmp_path_factory.mktemp("published"), "single", Network((4,), "square")).to_json()


@pytest.mark.parametrize("way", ["batched", "single", "hidden"])
def test_what_is_published_is_read_again(tmp_path: Path, way: Way) -> None:
    made = public(tmp_path, way)
    assert PublicModel.from_json(made.to_json()) == made
    assert made.way == way


def test_no_weight_is_published(tmp_path: Path) -> None:
    run = scored_run(tmp_path, Network(()))
    model = EncryptedModel.read(run.model, None, "batched")
    said = PublicModel(model.planned.plan, model.opened.intake).to_json().decode()
    numbers = {str(number) for layer in model.layers for number in np.ravel(getattr(layer, "weights", []))}
    assert len(numbers) > 10
    assert not [number for number in numbers if len(number) > 6 and number in said]
    assert "relu" not in said


def changed(document: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    said = json.loads(document)
    change(said)
    return json.dumps(said, sort_keys=True).encode()


def puts(place: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(said: dict[str, Any]) -> None:
        *path, last = place.split(".")
        for name in path:
            said = said[name]
        said[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (puts("plan.features", 129), "takes 129 features, and its columns make 128"),
        (puts("plan.clip", 1000.0), "clip range of 1000"),
        (puts("plan.rotations", [3]), "cannot be read"),
        (puts("plan.rotations", list(range(1, 4000))), "cannot be read"),
        (puts("plan.positions", [0, 0]), "cannot be read"),
        (puts("plan.error_bound", float("nan")), "cannot be read"),
        (puts("version", 2), "cannot be read"),
        (puts("more", 1), "cannot be read"),
        (puts("simulation_seed", "3"), "cannot be read"),
        (puts("simulation_seed", True), "cannot be read"),
        (puts("features.mean", []), "cannot be read"),
        (lambda said: puts("features.std", [10**400] * len(said["features"]["std"]))(said), "cannot be read"),
        (puts("features.source.amount", "\x1b]0;amount"), "cannot be read"),
        (puts("features.key_check", "x" * 1000), "cannot be read"),
        (puts("features.source", 1), "cannot be read"),
        (puts("plan", None), "cannot be read"),
    ],
)
def test_what_a_model_owner_must_not_ask_is_refused(document: bytes, change: Any, match: str) -> None:
    PublicModel.from_json(document)
    with pytest.raises(MessageError, match=match):
        PublicModel.from_json(changed(document, change))


def test_a_plan_for_rows_without_some_features_is_refused(document: bytes) -> None:
    def change(said: dict[str, Any]) -> None:
        said["plan"]["must_be_zero"] = [said["plan"]["positions"].pop()]

    with pytest.raises(MessageError, match="going away would tell of them"):
        PublicModel.from_json(changed(document, change))


@pytest.mark.parametrize("bits", [[60] * 7, [60, 60, 60, 60]])
def test_parameters_that_are_not_secure_are_refused_by_name(document: bytes, bits: list[int]) -> None:
    with pytest.raises(PlanError, match="128 bits of security"):
        PublicModel.from_json(changed(document, puts("plan.parameters.data_bits", bits)))


@given(st.data())
def test_no_document_does_more_than_be_refused(document: bytes, data: st.DataObject) -> None:
    text = bytearray(document)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(MessageError, PlanError):
        assert json.loads(PublicModel.from_json(bytes(text)).to_json()) == json.loads(text)  # digits may be too many


@settings(max_examples=20)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_values_of_other_kinds_are_refused(document: bytes, value: Any) -> None:
    for place in ("features", "features.source", "features.source.numeric", "plan.parameters", "plan.positions"):
        try:
            PublicModel.from_json(changed(document, puts(place, value)))
        except (MessageError, PlanError):
            continue
        assert place in ("features.source.numeric", "plan.positions")
