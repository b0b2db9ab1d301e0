"""The figures of each seed on disk: read back as they were, gone on with, and the pages made from them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.claims_page import FIGURES, PAGE, PICTURE
from secure_fl.bench.claims import run, store
from secure_fl.bench.claims.alarms import Noticed
from secure_fl.bench.claims.intervals import seeds_needed
from secure_fl.bench.claims.measuring import CASES, QUICK_CASES, QUICK_STREAM, Claims, SeedRun
from secure_fl.bench.claims.page import draw, render
from secure_fl.bench.claims.positives import Case, Positives
from secure_fl.bench.claims.run import run_claims
from secure_fl.bench.claims.scene import StreamSettings
from secure_fl.bench.claims.store import code_digest, describe_environment, load_claims, save_claims
from secure_fl.bench.claims.stream import WAYS, Detection
from secure_fl.errors import ConfigurationError


def seed_run(seed: int) -> SeedRun:
    """Made up, different for every seed."""
    positives = tuple(
        Positives(case.dataset, case.split, seed, 5 + seed, (9, 10, 11 + seed), 7, 1_000, 20) for case in QUICK_CASES
    )
    detections = tuple(
        Detection(seed, "a pattern", bank, 7 * (bank - 1), *way, 10, 4, 7 * bank, seed, bank == 1)
        for way in WAYS
        for bank in (1, 2)
    )
    return SeedRun(seed, 0.02 + seed / 1e4, positives, detections, (Noticed(seed, 1, "local", None, 0),))


def claims_of(*seeds: int) -> Claims:
    runs = tuple(map(seed_run, seeds))
    return Claims("a command", QUICK_CASES, QUICK_STREAM, runs, describe_environment(), code_digest())


def test_what_was_stored_is_read_back_as_it_was(tmp_path: Path) -> None:
    claims = claims_of(1, 2, 3)
    save_claims(claims, tmp_path / "c.json")
    assert load_claims(tmp_path / "c.json") == claims
    assert render(load_claims(tmp_path / "c.json"), None) == render(claims, None)


def test_each_seed_has_a_line_and_the_summary_is_that_of_the_figures(tmp_path: Path) -> None:
    claims = claims_of(1, 2)
    save_claims(claims, tmp_path / "c.json")
    text = (tmp_path / "c.json").read_text(encoding="utf-8")
    assert [json.loads(line.rstrip(","))["seed"] for line in text.splitlines() if line.startswith('{"seed"')] == [1, 2]
    assert json.loads(text)["summary"] == json.loads(json.dumps(claims.summary()))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that are measured."""
    seeds: list[int] = []

    def measure(seed: int, *_: object) -> SeedRun:
        seeds.append(seed)
        return seed_run(seed)

    monkeypatch.setattr(run, "measure_seed", measure)
    return seeds


def test_seeds_that_are_there_are_not_measured_again(tmp_path: Path, measured: list[int]) -> None:
    path = tmp_path / "c.json"
    first = run_claims(2, quick=True, json_file=path)
    more = run_claims(4, quick=True, json_file=path)
    assert measured == [1, 2, 3, 4]
    assert (first.seeds, more.seeds) == ((1, 2), (1, 2, 3, 4))
    assert more.runs == tuple(map(seed_run, (1, 2, 3, 4)))
    assert load_claims(path) == more
    assert more.command == "secure-fl bench claims --seeds 4 --quick"


def test_seeds_that_are_there_are_not_left_out(tmp_path: Path, measured: list[int]) -> None:
    path = tmp_path / "c.json"
    run_claims(4, quick=True, json_file=path)
    assert run_claims(2, quick=True, json_file=path).seeds == (1, 2, 3, 4)
    assert measured == [1, 2, 3, 4]


def test_a_stopped_measurement_goes_on(tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(seed: int, *_: object) -> SeedRun:
        if seed == 3:
            raise KeyboardInterrupt
        measured.append(seed)
        return seed_run(seed)

    path = tmp_path / "c.json"
    with monkeypatch.context() as patch:
        patch.setattr(run, "measure_seed", stopped)
        with pytest.raises(KeyboardInterrupt):
            run_claims(4, quick=True, json_file=path)
    assert load_claims(path).seeds == (1, 2)
    assert run_claims(4, quick=True, json_file=path).seeds == (1, 2, 3, 4)
    assert measured == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"code": "other"}, "other code or libraries"),
        ({"stream": replace(QUICK_STREAM, epochs=2)}, "other settings"),
        ({"cases": (Case("ulb", "even"),)}, "other settings"),
    ],
)
def test_figures_of_something_else_are_kept_apart(
    tmp_path: Path, measured: list[int], change: dict[str, object], what: str
) -> None:
    path = tmp_path / "c.json"
    save_claims(replace(claims_of(1), **change), path)  # type: ignore[arg-type]
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=what):
        run_claims(3, quick=True, json_file=path)
    assert (path.read_bytes(), measured) == (before, [])


def test_the_digest_is_that_of_all_code_that_the_figures_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(store.__file__).parents[2]
    copied = shutil.copytree(package, tmp_path / "secure_fl", ignore=shutil.ignore_patterns("__pycache__"))
    before = code_digest()
    monkeypatch.setattr(store, "files", lambda _: copied)
    assert code_digest() == before
    for name in ("bench/claims/page.py", "report/page.py"):
        (copied / name).write_text("", encoding="utf-8")
    assert code_digest() == before
    seen = {before}
    measuring = ("alarms", "delays", "library", "positives", "retraining", "scene", "stream")
    for name in (
        *(f"bench/claims/{part}.py" for part in measuring),
        *(
            f"federation/{part}.py"
            for part in ("run", "rounds", "opening", "history", "bank", "baselines", "global_model")
        ),
        *(
            "settings/experiment.py",
            "data/metrics.py",
            "codec/quantization.py",
            "training/local.py",
            "data/simulator.py",
            "data/drift/stream.py",
            "data/synthetic/library.py",
        ),
    ):
        with (copied / name).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        seen.add(code_digest())
    assert len(seen) == 1 + len(measuring) + 14
    monkeypatch.setattr(store, "version", lambda library: "another")
    assert code_digest() not in seen


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 2, "settings": {}}'])
def test_another_file_is_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="holds no figures of this benchmark"):
        run_claims(3, quick=True, json_file=path)
    assert path.read_text() == text


def test_too_few_seeds_claim_nothing() -> None:
    page = render(claims_of(1, 2), None)
    assert "2 seeds give no interval beside so many comparisons; 10 are the fewest that do" in page
    assert "**fewer**" not in page
    assert "give no interval" not in render(claims_of(*range(1, 11)), None)


def test_a_page_names_the_seeds_that_it_has() -> None:
    assert "above, seeds\n1 to 3;" in render(claims_of(1, 2, 3), None)
    assert "above, seeds\n1, 3;" in render(claims_of(1, 3), None)


@pytest.mark.slow
def test_the_documents_are_what_the_stored_figures_say() -> None:
    claims = load_claims(FIGURES)
    assert json.loads(FIGURES.read_text(encoding="utf-8"))["summary"] == json.loads(json.dumps(claims.summary()))
    assert PAGE.read_text(encoding="utf-8") == render(claims, PICTURE.name)
    assert PICTURE.read_text(encoding="utf-8") == draw(claims)


def test_the_stored_figures_are_of_full_size_and_of_enough_seeds() -> None:
    claims = load_claims(FIGURES)
    assert claims.stream == StreamSettings()
    assert claims.cases == CASES
    assert claims.seeds == tuple(range(1, len(claims.seeds) + 1))
    assert len(claims.seeds) >= max(20, seeds_needed(claims.comparisons))
