"""Federations of real processes end with the very model that the same experiment has in memory, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from secure_fl import Experiment, run_federation
from secure_fl.data import Simulation, simulate, write_simulated
from secure_fl.data.datasets import Dataset, open_own
from secure_fl.federation import opening
from secure_fl.report.scores import score_file
from secure_fl.training import usual_learner
from secure_fl.transport.certificates import GATEWAY
from tests.transport.federation import SMALL, Processes, at_work, federation

pytestmark = pytest.mark.slow


@cache
def in_memory(**settings: object) -> np.ndarray:
    """The weights of the same run in one process."""
    result = run_federation(Experiment(**{**SMALL, **settings}))  # type: ignore[arg-type]
    return result.model.weights


def weights(parties: Processes, bank: str) -> np.ndarray:
    learner = usual_learner(parties.roster.settings)
    module = learner.restore(learner.initial(0))
    tensors = parties.model(bank)
    return np.concatenate([tensors[name].reshape(-1) for name in module.state_dict()])


@pytest.mark.parametrize("scheme", ["masked", "ckks", "rlwe", "additive", "plaintext"])
def test_a_federation_on_a_network_is_the_one_in_memory(tmp_path: Path, scheme: str) -> None:
    with federation(tmp_path, scheme=scheme) as parties:
        parties.finish()
        assert parties.rounds() == [0, 1, 2, 3]
        for bank in parties.roster.settings.bank_names:
            assert (weights(parties, bank) == in_memory()).all()
        assert_scores(parties, tmp_path)
        for name in ("gateway", *parties.parties):
            assert_no_payload(parties.log(name))


COLUMNS = {
    "label": "fraud", "time": "time", "amount": "amount", "categorical": ("category",),
    "identifiers": ("customer", "terminal"), "scheme": "masked",
}  # fmt: skip


def rows_of_banks(folder: Path) -> dict[str, Path]:
    """Files of banks that know nothing of each other."""
    kinds = {"bank-1": "csv", "bank-2": "parquet", "bank-3": "csv"}
    paths = {bank: folder / f"rows-of-{bank}.{kind}" for bank, kind in kinds.items()}
    for seed, path in enumerate(paths.values()):
        write_simulated(simulate(Simulation(transactions=1_500, fraud_share=0.05, seed=seed)), path)
    return paths


def of_files(own: Mapping[str, Path]) -> Experiment:
    return Experiment(**{**SMALL, **COLUMNS, "dataset": str(own["bank-1"])})  # type: ignore[arg-type]


def test_banks_with_files_of_their_own_end_as_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURE_FL_KEY", str(tmp_path / "federation.key"))
    own = rows_of_banks(tmp_path)
    settings = of_files(own)
    opened = [open_own(settings.model_copy(update={"dataset": str(path)}), name) for name, path in own.items()]
    key = opened[0][1]
    together = Dataset(tuple(data for data, *_ in opened), key, key.check_value(), opened[0][2])
    monkeypatch.setattr(opening, "open_dataset", lambda experiment, tables: together)
    expected = run_federation(settings).model.weights
    with at_work(Processes(tmp_path, settings, own=own)) as parties:
        parties.finish()
        for bank in own:
            assert (weights(parties, bank) == expected).all()


def test_banks_with_keys_of_their_own_are_told_so_before_anything_is_summed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = rows_of_banks(tmp_path)
    with at_work(Processes(tmp_path, of_files(own), own=own), start=()) as parties:
        for bank in own:
            monkeypatch.setenv("SECURE_FL_KEY", str(tmp_path / f"{bank}.key"))
            parties.start(bank)
        assert parties.running[GATEWAY].wait(60) == 2
        assert "banks make pseudonyms with different keys" in parties.log(GATEWAY)
        assert "Exception in ASGI application" not in parties.log(GATEWAY)  # banks wait for orders when it ends
        assert parties.rounds() == []


LOGGED = {"attempts", "bytes", "event", "host", "kind", "level", "party", "pause", "port", "reason", "round", "scheme",
          "seconds", "time", "warning"}  # fmt: skip


def assert_no_payload(log: str) -> None:
    """Lines of a log are JSON objects of known facts, and shorter than the 400 bytes and more that payloads have."""
    for line in filter(is_log, log.splitlines()):
        said = json.loads(line)
        assert set(said) <= LOGGED
        assert all(isinstance(value, int | float) or len(value) < 300 for value in said.values())


def is_log(line: str) -> bool:
    return line.startswith("{")


def test_a_bank_s_key_that_is_encrypted_at_rest_opens_with_its_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Experiment(**SMALL | {"scheme": "masked", "rounds": 1})  # type: ignore[arg-type]
    parties = Processes(tmp_path, settings, passphrase=b"correct horse")
    with at_work(parties, ()):
        for passphrase, said in (("", "needs its passphrase"), ("battery", "does not open with the passphrase")):
            monkeypatch.setenv("SECURE_FL_PASSPHRASE", passphrase)
            parties.start("bank-1")
            assert parties.running.pop("bank-1").wait(60) == 2
            assert said in parties.log("bank-1")
        monkeypatch.setenv("SECURE_FL_PASSPHRASE", "correct horse")
        for name in parties.parties:
            parties.start(name)
        parties.finish()
        assert (weights(parties, "bank-1") == in_memory(rounds=1)).all()


def assert_scores(parties: Processes, folder: Path) -> None:
    """A bank's model file is one that `score` reads, with the features that it was trained on."""
    rows = folder / "rows.parquet"
    write_simulated(simulate(Simulation(transactions=500, fraud_share=0.05, seed=2)), rows)
    model = folder / "out-bank-1" / "model.safetensors"
    assert score_file(model, rows, folder / "scores.csv") == 500
