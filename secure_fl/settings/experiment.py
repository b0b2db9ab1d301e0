"""All settings of a run: frozen, validated, and the same in Python, on the command line and in TOML.

Strings become objects here and nowhere else. A resolved experiment, written next to its results, repeats the run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import ModelWrapValidatorHandler, ValidationError, field_validator, model_validator

from secure_fl.errors import ConfigurationError
from secure_fl.settings.auditing import Auditing
from secure_fl.settings.banks import Banks
from secure_fl.settings.data import IN_MEMORY, Data
from secure_fl.settings.privacy import PRIVATE_TRAINING, Privacy
from secure_fl.settings.robust import Robust
from secure_fl.settings.summing import Summing
from secure_fl.settings.synthetic import Synthetic


class Holdings(Banks, Synthetic, Data):
    """What decides which rows each bank holds."""


class Experiment(Auditing, Robust, Summing, Privacy, Holdings):
    """Every setting of a run. Raises `ConfigurationError` where one is unknown, out of range or contradictory."""

    @field_validator(
        *("numeric", "categorical", "identifiers", "names", "drop", "without", "synthetic_patterns", "audit_groups"),
        mode="before",
    )
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value  # TOML and the command line have lists

    @model_validator(mode="wrap")
    @classmethod
    def _one_line(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        implied: dict[str, Any] = {}
        if isinstance(data, dict) and data.get("mechanism", "dp-sgd") == "dp-sgd" and _asks_for_privacy(data):
            implied = {name: value for name, value in PRIVATE_TRAINING.items() if name not in data}
            data = implied | data
        try:
            experiment = handler(data)
        except ValidationError as error:
            raise ConfigurationError(_first_problem(error)) from None
        experiment.model_fields_set.difference_update(implied)  # nobody said these
        experiment._check()
        return experiment

    def _check(self) -> None:
        self.check_names()
        self.check_left()
        self.check_sums(self.rounds)
        self.check_columns()
        self.check_privacy()
        if self.private_sums:
            self.check_noise()
        self.check_attack()
        if self.attack != "none" and self.private_rows:
            raise ConfigurationError(
                "a bank that attacks keeps no promise to its rows, and epsilon would be untrue; leave out --attack or "
                "--epsilon"
            )
        if self.robust != "none":
            self._check_rule()
        elif self.group_size is not None:
            raise ConfigurationError(
                "groups are for a rule that compares them, and there is none; add --robust, or leave out --group-size"
            )
        self.check_proofs(self.scheme)
        if self.alike and self.clip_margin == 1:
            raise ConfigurationError(
                "with a clip_margin of 1 the clip range could only shrink, since under a rule or proofs nobody says "
                "what was clipped; use more than 1"
            )
        if self.proofs:
            self._check_proofs()
        if self.synthetic != "none":
            self._check_synthetic()

    def _check_proofs(self) -> None:
        if self.holders is not None:
            raise ConfigurationError(
                "proofs are checked by two share-holders, who both answer; leave out --proofs, or holders and quorum"
            )
        if self.private_sums:
            raise ConfigurationError(
                "shares of noise take an update out of the range that is proved; leave out --proofs, or use "
                "--mechanism dp-sgd"
            )
        if self.error_feedback:
            raise ConfigurationError(
                "error feedback makes an update longer than what is proved; leave out --proofs or it"
            )

    def _check_rule(self) -> None:
        if self.private_sums:
            raise ConfigurationError(
                f"distributed noise protects sums, and {self.robust} reads single updates; leave out --robust, or use "
                "--mechanism dp-sgd"
            )
        if self.private_rows and self.robust == "fltrust":
            raise ConfigurationError(
                "fltrust gives the aggregator rows, which DP-SGD does not cover; use another rule, or leave out "
                "--epsilon"
            )
        if self.error_feedback:
            raise ConfigurationError(
                f"banks cannot know what {self.robust} took from their update; leave out error_feedback"
            )
        if self.downlink == "sum":
            raise ConfigurationError(f"{self.robust} makes no sum that banks could decode; use --downlink weights")
        if self.group_size is not None and self.threshold is not None:
            raise ConfigurationError(
                "each group has a threshold of its own, a majority and never fewer than three; leave out --threshold"
            )
        self.check_rule(self.scheme)
        if self.holders is not None and self.way(self.scheme) == "distances":
            raise ConfigurationError(
                f"distances of updates are opened by the key authority, so that {self.robust} has no committee; leave "
                "out holders and quorum, or use --group-size"
            )
        most = self.banks - self.byzantine
        if self.way(self.scheme) == "distances" and self.threshold is not None and self.threshold > most:
            raise ConfigurationError(
                f"{self.robust} sums {most} of {self.banks} banks where {self.byzantine} are byzantine, which is below "
                f"a threshold of {self.threshold}; use a threshold of at most {most}, or fewer byzantine"
            )

    def _check_synthetic(self) -> None:
        if self.without:
            raise ConfigurationError(
                "patterns of synthetic fraud were validated and approved while all banks were there, so rows of those "
                "that left may have decided which there are; run with --synthetic none, and leave banks out of that run"
            )
        if self.dataset == "ulb":
            raise ConfigurationError(
                "V1 to V28 of ulb are principal components, which no fraud pattern can describe; use the simulated "
                "dataset, or --synthetic none"
            )
        if self.dataset == IN_MEMORY:
            raise ConfigurationError("synthetic rows are added to transactions from files only; leave out synthetic")
        if self.private_rows:
            raise ConfigurationError(
                "synthetic rows follow real customers, so that a real row would influence more than its own gradient, "
                "which DP-SGD does not cover; leave out --synthetic or --epsilon"
            )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What was said; the rest is as docs/settings.md has it."""
        return ((name, getattr(self, name)) for name in type(self).model_fields if name in self.model_fields_set)

    def __str__(self) -> str:
        return repr(self)

    def with_(self, **changes: Any) -> Self:
        """The same experiment with some settings changed, checked anew; None: as if it had not been said."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{name: value for name, value in (said | changes).items() if value is not None})

    def with_banks(self, names: tuple[str, ...]) -> Self:
        """The same experiment on rows that are handed over, of banks with these names. Raises `ConfigurationError`."""
        self.require_gone(names)
        if "banks" in self.model_fields_set and self.banks != len(names):
            raise ConfigurationError(
                f"rows of {len(names)} banks were handed over, and the experiment has {self.banks}; leave out banks"
            )
        return self.with_(dataset=IN_MEMORY, banks=len(names), names=names)

    def without_privacy(self) -> Self:
        """What somebody would train with who need not protect rows: DP-SGD's own defaults are the usual ones again."""
        private = {"epsilon", "delta", "noise_multiplier", "lifetime_epsilon", "mechanism"}
        usual = {
            name
            for name, value in PRIVATE_TRAINING.items()
            if self.private_rows and name != "rounds" and getattr(self, name) == value
        }
        kept = {name: getattr(self, name) for name in self.model_fields_set - private - usual}
        return type(self)(**(kept | {"rounds": self.rounds}))

    def resolved(self, key_check: str | None, synthetic_patterns: tuple[str, ...]) -> Self:
        """The same settings, tied to a federation key and to the patterns that were trained on."""
        return self.model_copy(update={"key_check": key_check, "synthetic_patterns": synthetic_patterns})

    def to_toml(self) -> str:
        """The settings as resolved; `from_toml` reads them back."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def from_toml(cls, path: Path, **changes: Any) -> Self:
        """The settings in a file, with some of them changed. Raises `ConfigurationError`."""
        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read ({error.strerror}); give an experiment.toml") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{path} is not valid TOML ({error}); correct it") from None
        with _in_file(path):
            return cls(**{**settings, **changes})


@contextmanager
def _in_file(path: Path) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _asks_for_privacy(settings: dict[str, Any]) -> bool:
    return settings.get("epsilon") is not None or settings.get("noise_multiplier") is not None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in problem["loc"][:1]) or "a setting"
    if problem["type"] == "extra_forbidden":
        return f"there is no setting {name!r}; see secure-fl run --help"
    return f"{name} is refused: {problem['msg'][0].lower()}{problem['msg'][1:]}; change {name}"
