"""Every setting with its section, for whoever lists them: the command line, the page of the docs, a run's report."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.fields import FieldInfo

from secure_fl.settings.auditing import Auditing
from secure_fl.settings.banks import Banks
from secure_fl.settings.data import Data
from secure_fl.settings.experiment import Experiment
from secure_fl.settings.privacy import Privacy
from secure_fl.settings.robust import Robust
from secure_fl.settings.section import FilledIn, Repeatable, Section
from secure_fl.settings.summing import Summing
from secure_fl.settings.synthetic import Synthetic
from secure_fl.settings.training import Training

SECTIONS: tuple[type[Section], ...] = (Data, Banks, Training, Synthetic, Privacy, Summing, Robust, Auditing)
"""In the order in which they are listed. A setting belongs to the first that has it; the seed to training."""


def declared() -> Iterator[tuple[type[Section], str, FieldInfo]]:
    """Every setting, with its section."""
    seen = set(Repeatable.model_fields)
    for section in SECTIONS:
        for name in section.model_fields:
            if name not in seen or (section is Training and name in Repeatable.model_fields):
                yield section, name, Experiment.model_fields[name]
            seen.add(name)


def is_filled_in(field: FieldInfo) -> bool:
    """Whether a run fills it in, so that nobody gives it."""
    return any(isinstance(mark, FilledIn) for mark in field.metadata)


def title(section: type[Section]) -> str:
    """The heading of a section: the first words of what it says of itself."""
    return (section.__doc__ or "").split(":")[0].rstrip(".")


def help_text(field: FieldInfo) -> str:
    """What a setting is, in one line."""
    return " ".join((field.description or "").split())
