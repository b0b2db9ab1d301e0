"""The list of all settings: each once, in one section, with words."""

from __future__ import annotations

from secure_fl.settings import Experiment
from secure_fl.settings.catalogue import SECTIONS, declared, help_text, is_filled_in, title


def test_every_setting_is_listed_once_with_what_it_is() -> None:
    listed = list(declared())
    assert sorted(name for _, name, _ in listed) == sorted(Experiment.model_fields)
    assert {section for section, _, _ in listed} == set(SECTIONS)
    assert all(name in section.model_fields and help_text(field).endswith(".") for section, name, field in listed)
    filled_in = {"key_check", "names", "retrained_from", "synthetic_patterns", "without"}
    assert {name for _, name, field in listed if is_filled_in(field)} == filled_in


def test_sections_have_titles_of_their_own() -> None:
    titles = [title(section) for section in SECTIONS]
    assert len(set(titles)) == len(SECTIONS)
    assert all(titles)
