"""The models of the rounds: each once, whole or left out, in the files of a run like any model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from secure_fl import Experiment, Result, run_federation
from secure_fl.data import Simulation, simulate, write_simulated
from secure_fl.errors import ConfigurationError, DamageWarning, DataError
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.round_models import HeldModels, StoredModels
from secure_fl.report.outputs import models_of, name_of_round, rounds_kept, write_run
from secure_fl.report.scores import score_file
from secure_fl.training import load_model

Small = Callable[..., Experiment]


def stop_after(round_: int) -> Callable[[str, int, int], None]:
    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("rounds", round_):
            raise KeyboardInterrupt

    return stop


def test_a_stored_model_comes_back_exactly_and_a_damaged_one_not_at_all(tmp_path: Path) -> None:
    models, weights = StoredModels(tmp_path / "models"), np.array([0.1, -5e-45, 3e38], dtype=np.float32)
    models.keep(3, weights)
    models.keep(3, 2 * weights[:2])
    found = models.find(3)
    assert found is not None
    assert (found.dtype.name, found.tobytes()) == ("float32", (2 * weights[:2]).tobytes()), "the later one of a round"
    assert models.find(4) is None
    (path,) = models.folder.iterdir()
    path.write_bytes(b"\x01" + path.read_bytes()[1:])
    assert models.find(3) is None
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="choose another --out"):
        StoredModels(tmp_path / "file").keep(1, weights)


def test_files_of_rounds_are_in_order(tmp_path: Path) -> None:
    assert [name_of_round(number, 10) for number in (1, 10)] == ["round-01.safetensors", "round-10.safetensors"]
    assert name_of_round(7, 1_000) == "round-0007.safetensors"
    assert rounds_kept(tmp_path) == {}


@pytest.mark.slow
def test_a_run_in_memory_keeps_each_model_once(run_small: Callable[..., Result]) -> None:
    result = run_small(scheme="masked")
    assert isinstance(result.models, HeldModels)
    assert [*result.models.models] == [1, 2]
    assert result.models.find(2) is result.model.weights
    assert [*dict(models_of(result))] == [1, 2]


@pytest.mark.slow
def test_the_files_are_models_and_the_last_is_the_final_one(run_small: Callable[..., Result], tmp_path: Path) -> None:
    result = run_small(scheme="masked")
    run = result.save(tmp_path / "run")
    kept = rounds_kept(run)
    assert [path.name for path in kept.values()] == ["round-01.safetensors", "round-02.safetensors"]
    assert kept[2].read_bytes() == (run / "model.safetensors").read_bytes()
    first, last = load_model(kept[1]), load_model(run / "model.safetensors")
    assert first.description == last.description
    assert result.models is not None
    held = result.models.find(1)
    assert held is not None
    assert np.array_equal(first.weights, held)
    assert not np.array_equal(first.weights, last.weights)


@pytest.mark.slow
def test_a_run_that_was_stopped_has_the_models_of_all_rounds(small: Small, tmp_path: Path) -> None:
    experiment, run = small(scheme="plaintext", rounds=3), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run_federation(experiment, stop_after(1), Checkpoint.of_results(run))
    checkpoint = Checkpoint.of_results(run, resume=True)
    assert {path.name for path in checkpoint.models.folder.iterdir()} == {"round-1"}
    with pytest.raises(KeyboardInterrupt):
        run_federation(experiment, stop_after(2), checkpoint)
    states = {path.name: path.stat().st_size for path in checkpoint.folder.glob("state-*")}
    assert states["state-2"] < states["state-1"] + 4 * 10_369, "a state does not hold earlier models"
    result = run_federation(experiment, checkpoint=checkpoint)
    run.mkdir()
    write_run(result, run, checkpoint)
    whole = run_federation(experiment).save(tmp_path / "whole")
    assert [*rounds_kept(run)] == [1, 2, 3]
    for number, path in rounds_kept(whole).items():
        assert path.read_bytes() == rounds_kept(run)[number].read_bytes()


@pytest.mark.slow
def test_what_is_damaged_or_gone_is_left_out_and_told(small: Small, tmp_path: Path) -> None:
    checkpoint, run = Checkpoint.of_results(tmp_path / "run"), tmp_path / "run"
    result = run_federation(small(scheme="plaintext", rounds=3), checkpoint=checkpoint)
    first, second = (checkpoint.models.folder / f"round-{number}" for number in (1, 2))
    first.write_bytes(second.read_bytes())  # whole, and another round's
    second.unlink()
    run.mkdir()
    with pytest.warns(DamageWarning, match="the models of rounds 1, 2 are gone or damaged"):
        write_run(result, run, checkpoint)
    assert [*rounds_kept(run)] == [3]


@pytest.mark.slow
def test_none_is_kept_where_none_is_wanted(small: Small, tmp_path: Path) -> None:
    for number, checkpoint in enumerate((None, Checkpoint.of_results(tmp_path / "state"))):
        result = run_federation(small(scheme="plaintext", rounds=1, keep_models=False), checkpoint=checkpoint)
        assert result.models is None
        run = result.save(tmp_path / f"run-{number}")
        assert not (run / "models").exists()
        assert load_model(run / "model.safetensors")
    assert not list((tmp_path / "state.unfinished").glob("models*"))


@pytest.mark.slow
def test_a_model_of_a_round_scores(run_small: Callable[..., Result], tmp_path: Path) -> None:
    run, rows = run_small(scheme="masked").save(tmp_path / "run"), tmp_path / "rows.csv"
    write_simulated(simulate(Simulation(transactions=1_000, days=14, seed=1)), rows)
    written = [score_file(model, rows, tmp_path / f"{number}.csv") for number, model in rounds_kept(run).items()]
    assert written == [1_000, 1_000]
    assert (tmp_path / "1.csv").read_text() != (tmp_path / "2.csv").read_text()
    model = rounds_kept(run)[1]
    content = bytearray(model.read_bytes())
    content[-5] ^= 1
    model.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged"):
        score_file(model, rows, tmp_path / "3.csv")
