"""The settings of a run, declared once and checked before anything starts.

section     what a section is; which settings a run fills in by itself
data, synthetic, banks, training, privacy, summing, robust, auditing    the sections
catalogue   every setting with its section, for whoever lists them
experiment  all of them together, and what only several of them can contradict; TOML
"""

from secure_fl.settings.auditing import Auditing
from secure_fl.settings.banks import Banks, Drop
from secure_fl.settings.data import BUILT_IN, IN_MEMORY, Data
from secure_fl.settings.experiment import Experiment, Holdings
from secure_fl.settings.privacy import PRIVATE_TRAINING, Privacy
from secure_fl.settings.robust import Robust
from secure_fl.settings.section import FilledIn, Section
from secure_fl.settings.summing import Summing
from secure_fl.settings.synthetic import Synthetic
from secure_fl.settings.training import PositiveWeight, Steps, Training

__all__ = [
    "BUILT_IN",
    "IN_MEMORY",
    "PRIVATE_TRAINING",
    "Auditing",
    "Banks",
    "Data",
    "Drop",
    "Experiment",
    "FilledIn",
    "Holdings",
    "PositiveWeight",
    "Privacy",
    "Robust",
    "Section",
    "Steps",
    "Summing",
    "Synthetic",
    "Training",
]
