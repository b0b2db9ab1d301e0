"""The attack command: its files, and what it refuses."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from secure_fl.attacks import attack
from secure_fl.attacks.command import run_command
from secure_fl.cli.progress import show_progress
from secure_fl.errors import ConfigurationError, RequestError

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"dataset": "simulated", "trials": 2, "batches": (1, 2)}


@pytest.mark.slow
def test_table_json_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command("inversion", "plaintext", tmp_path / "a.json", tmp_path / "a.html", show_progress, **SMALL)
    assert "inversion against plaintext" in capsys.readouterr().out
    found = json.loads((tmp_path / "a.json").read_text())
    assert (found["attack"], found["scheme"]) == ("inversion", "plaintext")
    command = "secure-fl attack inversion --scheme plaintext --dataset simulated --trials 2 --batches 1,2"
    assert found["command"] == command
    assert [row["batch"] for row in found["results"]] == [1, 2]
    for row in found["results"]:
        assert row["interval"][0] <= row["success_rate"] <= row["interval"][1]
        assert 0 <= row["guessing"] <= 1
        assert row["trials"] == 2
    page = (tmp_path / "a.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert command in page
    assert page.count(">rebuilt</th>") == 3  # one row of the batch of one, two of the batch of two


@pytest.mark.slow
def test_in_python_it_finds_what_the_command_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command("inversion", "plaintext", tmp_path / "a.json", None, show_progress, **SMALL)
    capsys.readouterr()
    seen: list[int] = []
    report = attack("inversion", progress=lambda _what, done, _total: seen.append(done), **SMALL)
    assert report.to_json() + "\n" == (tmp_path / "a.json").read_text()
    assert [row.batch for row in report.shown] == [1, 2, 2]
    assert seen
    assert capsys.readouterr() == ("", "")
    for name, scheme, dataset in (("inversio", "ckks", "ulb"), ("inversion", "x", "ulb"), ("inversion", "ckks", "x")):
        with pytest.raises(ConfigurationError):
            attack(name, scheme, dataset=dataset)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run_command("inversion", "plaintext", tmp_path / f"{name}.json", None, show_progress, **SMALL)
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()


@pytest.mark.parametrize("scheme", ["additive", "ckks"])
def test_split_view(tmp_path: Path, scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(
        "split-view", scheme, tmp_path / "s.json", tmp_path / "s.html", show_progress, **(SMALL | {"batches": (1,)})
    )
    rows = json.loads((tmp_path / "s.json").read_text())["results"]
    assert [row["success_rate"] for row in rows] == ([0.0, 0.0] if scheme == "additive" else [1.0, 1.0, 1.0])
    assert ("refused" in capsys.readouterr().out) == (scheme == "additive")
    assert ("refused: " in (tmp_path / "s.html").read_text()) == (scheme == "additive")


@pytest.mark.slow
def test_membership(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {"dataset": "simulated", "models": 8, "pools": 3, "rows": 60, "rounds": 1}
    settings["epsilons"] = (math.inf,)
    run_command("membership", "plaintext", tmp_path / "m.json", tmp_path / "m.html", show_progress, **settings)
    (row,) = json.loads((tmp_path / "m.json").read_text())["results"]
    assert row["epsilon"] is None
    assert row["interval"][0] <= row["success_rate"] <= row["interval"][1]
    assert "no DP" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "m.html").read_text()


@pytest.mark.slow
def test_audit_epsilon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(
        "audit-epsilon", "plaintext", tmp_path / "e.json", tmp_path / "e.html", show_progress, epsilon=2.0, runs=1
    )
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["attack"] == "audit-epsilon"
    assert found["command"] == "secure-fl attack audit-epsilon --scheme plaintext --epsilon 2.0 --runs 1"
    assert {row["view"] for row in found["results"]} == {"final model", "every sum", "sums and colluding banks"}
    for row in found["results"]:
        assert row["claimed_epsilon"] == pytest.approx(2.0, abs=0.01)
        assert 0 <= row["audited_epsilon"] <= row["highest_possible"]
    said = capsys.readouterr().out
    assert "refuted" in said
    assert "REFUTED" not in said
    page = (tmp_path / "e.html").read_text()
    assert "Nothing contradicts the promise of epsilon 2 at delta 1e-05" in page
    assert "sums and colluding banks" in page


@pytest.mark.slow
def test_the_page_loads_nothing(tmp_path: Path) -> None:
    run_command(
        "inversion", "bfv", None, tmp_path / "a.html", show_progress, dataset="simulated", trials=1, batches=(1,)
    )
    page = (tmp_path / "a.html").read_text()
    assert not re.search(r"<script|<link|<img|url\((?!#)|@import|https?://(?!www\.w3\.org)", page)


@pytest.mark.parametrize(
    ("attack", "scheme", "settings", "what"),
    [
        ("theft", "masked", {}, "there is no attack 'theft'"),
        ("inversion", "rot13", {}, "there is no scheme 'rot13'"),
        ("inversion", "masked", {"batches": (0, 1)}, "a batch below 1"),
        ("inversion", "masked", {"batches": ()}, "a batch below 1"),
        ("inversion", "masked", {"dataset": "mine.csv"}, "nobody's secret"),
        ("inversion", "masked", {"dataset": "simulated", "trials": 0}, "0 trials"),
        ("inversion", "masked", {"dataset": "simulated", "step": "lamb"}, "no local step"),
        ("inversion", "masked", {"dataset": "simulated", "banks": 2}, "banks"),
        ("inversion", "masked", {"dataset": "simulated", "bits": "float32"}, "sums integers"),
        ("split-view", "ckks", {"dataset": "simulated", "batches": (10**7,)}, "is refused"),
        ("membership", "ckks", {"dataset": "simulated", "rows": 1}, "--rows 1"),
        ("membership", "ckks", {"epsilons": (0.0,)}, "epsilon or delta"),
        ("audit-epsilon", "ckks", {"epsilon": -1.0}, "epsilon or delta"),
        ("audit-epsilon", "ckks", {"runs": 0}, "0 runs"),
        ("poisoning", "plaintext", {"rules": ("mode",)}, "there is no rule 'mode'"),
        ("poisoning", "plaintext", {"attacks": ("theft",)}, "there is no attack 'theft'"),
        ("poisoning", "plaintext", {"byzantine": (-1,)}, "fewer than 0 attackers"),
        ("poisoning", "plaintext", {"seeds": 0}, "0 seeds"),
        ("poisoning", "plaintext", {"rounds": 0}, "rounds"),
        ("poisoning", "plaintext", {"rules": ("bulyan",), "byzantine": (2,)}, "bulyan needs 4 f + 3"),
        ("poisoning", "masked", {"rules": ("median",)}, "masked hides them"),
    ],
)
def test_what_cannot_work_is_refused(
    tmp_path: Path, attack: str, scheme: str, settings: dict[str, Any], what: str
) -> None:
    with pytest.raises(RequestError, match=re.escape(what)) as refusal:
        run_command(attack, scheme, tmp_path / "a.json", None, show_progress, **settings)
    assert isinstance(refusal.value, ConfigurationError)
    assert "; " in str(refusal.value)
    assert list(tmp_path.iterdir()) == []
