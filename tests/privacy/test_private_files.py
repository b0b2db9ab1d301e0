"""What the files of a private run give away: every number in them is looked at, in every form that it may have."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment, Result, federation, privacy, run_federation
from secure_fl.codec.quantization import Contribution
from secure_fl.data.metrics import Scores
from secure_fl.federation.bank import Bank
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.results import Baseline
from secure_fl.privacy.distributed import clipped_to_norm
from secure_fl.report.exhibit import full_shade, update_grid
from secure_fl.report.outputs import write_run
from secure_fl.training import train_privately

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ledgers")]

_NUMBER = re.compile(rb"-?\d+\.\d{5,}(?:e[-+]?\d+)?|-?\d\.?\d*e-\d+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")
PRECISION = 1e-9
"""Decimals closer than this mean the same number."""
CHANCE = 30
"""Weights in single precision that equal one of tens of thousands of secrets by accident: about 5; a leak has 1,024."""


class Secrets:
    """What the sandbox knows of single banks: their updates, and the noise in the mean."""

    def __init__(self) -> None:
        self.updates: list[np.ndarray] = []
        self.noise: list[np.ndarray] = []

    @property
    def values(self) -> np.ndarray:
        everything = np.concatenate([*self.updates, *self.noise])
        largest = [np.abs(values).max() for values in (*self.updates, *self.noise)]
        values = np.unique(np.abs(np.concatenate([everything, largest])))
        return values[values > 1e-12]


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    known = Secrets()
    train, run_round = Bank.train, federation.run_round
    contributions: list[Contribution] = []

    def watched_train(self: Bank, round_: int) -> Any:
        contribution = train(self, round_)
        contributions.append(contribution)
        return contribution

    def watched_round(*arguments: Any, **options: Any) -> Any:
        contributions.clear()
        done = run_round(*arguments, **options)
        model = arguments[2]
        updates = [contribution.update for contribution in contributions]
        weighted = [contribution.weighted(model.mean_examples) for contribution in contributions]
        clipped = [clipped_to_norm(update, model.clip) for update in updates]
        known.updates += [*weighted, *updates, *clipped]
        known.noise.append(done.mean.update - np.mean(clipped, axis=0))
        return done

    monkeypatch.setattr(Bank, "train", watched_train)
    monkeypatch.setattr(federation, "run_round", watched_round)
    nothing = Baseline("nobody", Scores(0.0, 0.0, 0), (0.0,))
    monkeypatch.setattr(federation, "train_baselines", lambda *_: ((), nothing))
    return known


def experiment(scheme: str, **changes: Any) -> Experiment:
    settings = {"transactions": 5_000, "fraud_share": 0.04, "rounds": 1, "bits": 12, "batch_size": 512}
    return Experiment(**{**settings, "scheme": scheme, **changes})


def files_of(experiment: Experiment, folder: Path) -> tuple[Result, dict[str, bytes]]:
    """The results, the state beside them, and what both folders hold."""
    checkpoint, results = Checkpoint(folder / "run.unfinished"), folder / "run"
    results.mkdir()
    result = run_federation(experiment, checkpoint=checkpoint)
    write_run(result, results, checkpoint)
    every = [path for path in folder.rglob("*") if path.is_file() and "life" not in path.parts]
    return result, {str(path.relative_to(folder)): path.read_bytes() for path in every}


def packed(content: bytes) -> np.ndarray:
    """Whatever can be read as a float32 or float64 at any place, also in base64."""
    found = []
    for block in (content, *(_decoded(text) for text in _BASE64.findall(content))):
        for kind, width in (("<f4", 4), ("<f8", 8)):
            for start in range(width):
                whole = block[start : start + (len(block) - start) // width * width]
                with np.errstate(invalid="ignore"):
                    found.append(np.frombuffer(whole, dtype=kind).astype(np.float64))
    values = np.abs(np.concatenate(found))
    return np.unique(values[np.isfinite(values) & (values > 1e-6) & (values < 1e4)])


def _decoded(text: bytes) -> bytes:
    return base64.b64decode(text[: len(text) // 4 * 4], validate=False)


def found_in(files: dict[str, bytes], secrets: Secrets) -> dict[str, int]:
    """How many secrets each file holds, in decimals or packed. Single precision leaves a handful to chance."""
    values = secrets.values
    single = np.unique(values.astype(np.float32).astype(np.float64))
    counts = {}
    for name, content in files.items():
        written = np.abs([float(text) for text in _NUMBER.findall(content)] or [0.0])
        chance = np.isin(packed(content), np.union1d(values, single)).sum()
        counts[name] = _near(written, values) + (int(chance) if chance > CHANCE else 0)
    return {name: count for name, count in counts.items() if count}


def _near(shown: np.ndarray, values: np.ndarray) -> int:
    place = np.clip(np.searchsorted(values, shown), 1, len(values) - 1)
    nearest = np.minimum(np.abs(values[place] - shown), np.abs(values[place - 1] - shown))
    return int(((nearest <= PRECISION * shown) & (shown > 0)).sum())


def picture_of(update: np.ndarray) -> list[str]:
    """The paths that draw an update's first values: they say in 17 shades what it is."""
    first = update[:1024].astype(np.float32)
    return re.findall(r' d="([^"]{40,})"', str(update_grid(first, full_shade(first), "")))


@pytest.mark.parametrize("scheme", ["plaintext", "masked", "ckks"])
def test_a_distributed_run_shows_no_update_and_no_noise(tmp_path: Path, secrets: Secrets, scheme: str) -> None:
    result, files = files_of(experiment(scheme, mechanism="distributed", noise_multiplier=2.0, delta=1e-5), tmp_path)
    assert {"run/metrics.json", "run/report.html", "run.unfinished/state.json"} <= set(files)
    assert found_in(files, secrets) == {}
    page = files["run/report.html"].decode()
    assert not any(path in page for update in secrets.updates for path in picture_of(update))
    assert result.exhibit.update.size == 0
    assert result.exhibit.aggregator_reads is None
    assert (result.exhibit.message == b"") == (scheme == "plaintext"), "a readable message has one share of the noise"
    assert [record.max_abs_error for record in result.rounds] == [None]
    assert result.privacy is not None
    assert len(result.privacy.withheld) == 2
    assert all(reason in " ".join(page.split()) for reason in result.privacy.withheld)


def test_the_search_finds_what_other_runs_show(tmp_path: Path, secrets: Secrets) -> None:
    """The same search, on a run that hides nothing: state and report hold the update; and a single number is found."""
    _, files = files_of(experiment("plaintext"), tmp_path)
    found = found_in(files, secrets)
    assert found["run.unfinished/state.json"] > 5 * CHANCE
    page = files["run/report.html"].decode()
    assert any(path in page for path in picture_of(secrets.updates[0]))
    largest = float(np.abs(secrets.noise[0]).max())
    assert found_in({"metrics.json": f'{{"max_abs_error": {largest!r}}}'.encode()}, secrets) == {"metrics.json": 1}


def test_under_dp_sgd_only_what_carries_its_noise_is_shown(tmp_path: Path, secrets: Secrets) -> None:
    """What a bank sends is protected by itself there; the model before its noise is never in a file, nor the key."""
    without: list[np.ndarray] = []
    original = train_privately

    def watched(weights: Any, examples: Any, settings: Any, noise: Any, **options: Any) -> Any:
        from dataclasses import replace

        quiet = original(weights, examples, settings, replace(noise, noise_multiplier=1e-6), **options)
        without.append(np.asarray(quiet, dtype=np.float64) - weights)
        return original(weights, examples, settings, noise, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(privacy, "train_privately", watched)
        result, files = files_of(experiment("plaintext", noise_multiplier=2.0, delta=1e-5), tmp_path)
    secrets.updates, secrets.noise = without, []
    assert found_in({name: c for name, c in files.items() if "banks" not in name}, secrets) == {}
    assert result.exhibit.update.size == 1024
    results = {name for name in files if name.startswith("run/ledgers/")}
    assert results == {f"run/ledgers/bank-{number}/ledger.json" for number in (1, 2, 3)}, "no key, no noisy counts"
