"""`secure-fl run --without BANK --from RUN_DIR`: what it takes, says and leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Done
from typer.testing import CliRunner

from secure_fl import Result
from secure_fl.cli.app import app
from secure_fl.errors import ConfigurationError


def run(*arguments: object) -> Done:
    """Raises the command's error."""
    done = CliRunner().invoke(app, ["run", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done


@pytest.fixture(scope="module")
def earlier(run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_small(scheme="plaintext", banks=4, rounds=1).save(tmp_path_factory.mktemp("earlier") / "run")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--without", "bank-2"), "add --from RUN_DIR"),
        (("--key", "ab" * 32), "add --from RUN_DIR"),
        (("--from", "RUN"), "add --without BANK"),
        (("--from", "RUN", "--without", "bank-2", "--rounds", "3"), "leave out rounds"),
        (("RUN/experiment.toml", "--from", "RUN", "--without", "bank-2"), "leave out experiment"),
        (("--from", "RUN", "--without", "bank-2", "--unreviewed"), "leave out unreviewed"),
        (("--from", "RUN", "--without", "bank-7"), "no bank of"),
    ],
)
def test_what_does_not_go_together_is_refused(earlier: Path, options: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        run(*(option.replace("RUN", str(earlier)) if "RUN" in option else option for option in options))
    assert "; " in str(caught.value)


def test_what_is_resumed_has_the_settings_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "run.unfinished").mkdir()
    (tmp_path / "run.unfinished" / "run").touch()
    with pytest.raises(ConfigurationError, match="leave out from, without"):
        run("--resume", tmp_path / "run", "--from", "RUN", "--without", "bank-2")


@pytest.mark.slow
def test_a_bank_leaves(earlier: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("--from", earlier, "--without", "bank-2", "--out", out, "--json", "-")
    assert json.loads(done.stdout)["experiment"]["without"] == ["bank-2"]
    assert "bank-1, bank-3, bank-4 do all rounds again, round 0 too, without bank-2" in done.stderr
    with pytest.raises(ConfigurationError, match="folder"):
        run("--from", earlier, "--without", "bank-3", "--json", earlier / "metrics.json", "--force")
    with pytest.raises(ConfigurationError, match="bank-2 has left already"):
        run("--from", out, "--without", "bank-2")
