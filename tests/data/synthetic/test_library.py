"""The built-in library: marked as such, plausible, different from one another, and never used unless asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from secure_fl.data import Simulation, simulate
from secure_fl.data.synthetic.command import synthesize
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.population import population
from secure_fl.data.synthetic.proposals import read_proposals
from secure_fl.data.synthetic.sampler import sample_campaigns
from secure_fl.data.synthetic.similarity import resembles_any
from secure_fl.errors import ConfigurationError


def test_every_pattern_says_that_it_is_built_in_and_what_it_is_modelled_on() -> None:
    assert len(library()) >= 12
    for proposal in library():
        assert proposal.provenance.label == "built-in library"
        assert proposal.provenance.model is None
        assert proposal.provenance.reference


def test_no_two_patterns_are_alike() -> None:
    patterns = [proposal.pattern for proposal in library()]
    assert len({pattern.name for pattern in patterns}) == len(patterns)
    for place, pattern in enumerate(patterns):
        assert not resembles_any(pattern, patterns[:place])


def test_every_pattern_finds_room_in_a_usual_training_period() -> None:
    host = population(simulate(Simulation(transactions=6_000, days=120)))
    for proposal in library():
        assert len(sample_campaigns(proposal.pattern, 500, host, np.random.default_rng(0)).rows) == 500


def test_the_command_writes_the_library_without_any_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_MODEL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    result = synthesize(5, True, tmp_path / "p.json")
    assert result.source == "built-in library"
    assert read_proposals(tmp_path / "p.json").proposals == result.proposals == library(5)


@pytest.mark.parametrize("count", [0, -3, 1_000])
def test_more_than_there_are_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(ConfigurationError, match="the built-in library has"):
        synthesize(count, True, tmp_path / "p.json")
    assert not (tmp_path / "p.json").exists()
