"""The settings of a run: frozen, validated, and the same in Python, on the command line and in TOML.

Strings become objects here and nowhere else. A resolved experiment, written next to its results, repeats the run.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)

from secure_fl.codec.quantization import CLIP_RANGE
from secure_fl.errors import ConfigurationError
from secure_fl.privacy.accounting import LEAST_NOISE, require_delta
from secure_fl.secagg.attempts import ATTEMPTS
from secure_fl.secagg.budget import FLOAT32, MAX_BANKS, MAX_BITS, MIN_BANKS, MIN_BITS
from secure_fl.secagg.schemes import SCHEMES

BUILT_IN = ("simulated", "ulb")
"""Datasets that need no file."""
_COLUMNS = ("label", "time", "amount", "numeric", "categorical", "identifiers")
PRIVATE_TRAINING = {
    "rounds": 5,
    "batch_size": 1024,
    "learning_rate": 0.02,
    "positive_weight": 1.0,
}
"""What DP-SGD trains with where nothing else is said: few, large batches, and no weight on frauds, whose gradients are
clipped anyway. Found by `benchmarks/privacy_utility.py`."""
_DROP = re.compile(r"(?P<bank>[^@]+)@(?P<round>[0-9]{1,9}):(?P<stage>[a-z_]+)")


@dataclass(frozen=True)
class Drop:
    """A bank that stops answering in one round, from one stage on."""

    bank: str
    round: int
    stage: str

    @classmethod
    def parse(cls, text: str) -> Drop:
        """BANK@ROUND:STAGE."""
        match = _DROP.fullmatch(text)
        if match is None:
            raise ConfigurationError(f"{text!r} does not say who drops out; write BANK@ROUND:STAGE")
        return cls(match["bank"], int(match["round"]), match["stage"])


class Experiment(BaseModel):
    """Every setting of a run. Raises `ConfigurationError` where one is unknown, out of range or contradictory."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    # Transactions
    dataset: str = "simulated"
    """simulated, ulb, or the path of a CSV or Parquet file."""
    transactions: Annotated[int, Field(ge=1_000, le=20_000_000)] = 200_000
    """Simulated only: how many."""
    fraud_share: Annotated[float, Field(ge=0.001, le=0.2)] = 0.005
    """Simulated only: the share of fraud."""
    label: str | None = None
    """File only: the column that is 1 for fraud and 0 otherwise."""
    time: str | None = None
    """File only: the column with the time; without it, rows are taken to be in order of time."""
    amount: str | None = None
    """File only: the column with the amount."""
    numeric: tuple[str, ...] = ()
    """File only: further numeric columns; where neither these nor categorical ones are named, they are inferred."""
    categorical: tuple[str, ...] = ()
    """File only: columns with few different texts."""
    identifiers: tuple[str, ...] = ()
    """File only: customer first, then terminal, merchant ...: pseudonymized with the federation key."""
    key_check: str | None = None
    """File only: check value of the federation key of the run that is to be repeated."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The latest share of all transactions is the test set."""

    # Synthetic fraud
    synthetic: Literal["none", "approved", "unreviewed"] = "none"
    """Patterns to train on beside the real rows: those that somebody approved, or also those that wait for a review."""
    synthetic_share: Annotated[float, Field(gt=0, le=1000)] = 0.5
    """Synthetic frauds for every real fraud of a bank's training rows."""
    synthetic_patterns: tuple[str, ...] = ()
    """Exactly these, by digest; filled in when a run is resolved, so that it repeats."""

    # Banks
    banks: Annotated[int, Field(ge=MIN_BANKS, le=MAX_BANKS)] = 3
    split: Literal["even", "size", "pattern"] = "even"
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Split by pattern only: small values make banks differ more."""

    # Training
    rounds: Annotated[int, Field(ge=1, le=10_000)] = 10
    local_epochs: Annotated[int, Field(ge=1, le=1_000)] = 1
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    learning_rate: Annotated[float, Field(ge=1e-30, le=1e30)] = 2e-3
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    positive_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["balanced"] = 10.0
    """Factor on the loss of a fraud."""
    device: Literal["cpu", "cuda"] = "cpu"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1

    # Differential privacy
    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """What all rounds together may spend; the noise follows from it."""
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    lifetime_epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """What all runs on a bank's rows together may spend, at this run's delta; what goes beyond is refused."""
    noise_multiplier: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Instead of `epsilon`: the noise, whose epsilon is then computed."""
    mechanism: Literal["dp-sgd", "distributed"] = "dp-sgd"
    """dp-sgd: every bank protects each row by itself; distributed: shares of noise protect each bank in the sum."""
    max_grad_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """dp-sgd: L2 norm that a row's gradient is clipped to."""
    max_update_norm: Annotated[float, Field(ge=CLIP_RANGE[0], le=CLIP_RANGE[1])] = 1.0
    """distributed: L2 norm that a bank's update is clipped to."""

    # Secure sum
    scheme: str = "ckks"
    bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | Literal["float32"] = 16
    threshold: int | None = None
    """The fewest banks whose sum is opened; None: a majority."""
    attempts: Annotated[int, Field(ge=1, le=100)] = ATTEMPTS
    """How often the sum of a round is attempted; each time with fresh keys, without banks that were to blame."""
    error_feedback: bool = False
    """Banks carry over to the next round what quantization took from their update."""
    downlink: Literal["weights", "sum"] = "weights"
    """How the model reaches the banks: float32 weights, or the integers of the last sum (smaller, and exact)."""
    initial_clip: Annotated[float, Field(ge=CLIP_RANGE[0], le=CLIP_RANGE[1])] | None = None
    """Clip range of the first round; None: twice what Adam moves a weight by in a round."""
    drop: tuple[str, ...] = ()
    """Banks that vanish: BANK@ROUND:STAGE."""

    @field_validator("numeric", "categorical", "identifiers", "drop", "synthetic_patterns", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value  # TOML and the command line have lists

    @field_validator("dataset")
    @classmethod
    def _whole_path(cls, dataset: str) -> str:
        return dataset if dataset in BUILT_IN else str(Path(dataset).resolve())

    @model_validator(mode="wrap")
    @classmethod
    def _one_line(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, dict) and data.get("mechanism", "dp-sgd") == "dp-sgd" and _asks_for_privacy(data):
            data = PRIVATE_TRAINING | data
        try:
            experiment = handler(data)
        except ValidationError as error:
            raise ConfigurationError(_first_problem(error)) from None
        experiment._check_scheme()
        experiment._check_columns()
        experiment._check_privacy()
        experiment._check_synthetic()
        return experiment

    @property
    def bank_names(self) -> tuple[str, ...]:
        return tuple(f"bank-{number}" for number in range(1, self.banks + 1))

    @property
    def drops(self) -> tuple[Drop, ...]:
        return tuple(Drop.parse(text) for text in self.drop)

    def _check_scheme(self) -> None:
        if self.scheme not in SCHEMES:
            raise ConfigurationError(f"there is no scheme {self.scheme!r}; choose one of {', '.join(sorted(SCHEMES))}")
        if self.bits == FLOAT32 and self.scheme != "plaintext":
            raise ConfigurationError(f"{self.scheme} sums integers; use {MIN_BITS} to {MAX_BITS} bits, not float32")
        if self.bits == FLOAT32 and (self.error_feedback or self.downlink == "sum"):
            raise ConfigurationError(
                "float32 is not quantized, so it has no rounding to feed back and no integer sum to send down; use "
                f"{MIN_BITS} to {MAX_BITS} bits, or leave out error_feedback and downlink"
            )
        if self.threshold is not None and not self.banks // 2 < self.threshold <= self.banks:
            raise ConfigurationError(
                f"a threshold of {self.threshold} is refused; use {self.banks // 2 + 1} to {self.banks} for "
                f"{self.banks} banks"
            )
        if len({(drop.bank, drop.round) for drop in self.drops}) < len(self.drops):
            raise ConfigurationError(f"a bank drops out twice in one round: {', '.join(self.drop)}; say it once")
        stages = SCHEMES[self.scheme].stages
        for drop in self.drops:
            if drop.bank not in self.bank_names or not 1 <= drop.round <= self.rounds or drop.stage not in stages:
                raise ConfigurationError(
                    f"nobody can drop out as {drop.bank}@{drop.round}:{drop.stage}; banks are bank-1 to "
                    f"bank-{self.banks}, rounds 1 to {self.rounds}, stages of {self.scheme}: {', '.join(stages)}"
                )

    def _check_privacy(self) -> None:
        if not self.private:
            if self.delta is not None:
                raise ConfigurationError("a delta alone promises nothing; add --epsilon E or --noise-multiplier S")
            if self.mechanism != "dp-sgd":
                raise ConfigurationError("distributed noise needs a size; add --epsilon E or --noise-multiplier S")
            if self.lifetime_epsilon is not None:
                raise ConfigurationError("a limit for life limits no run without noise; add --epsilon E --delta D")
            return
        if self.epsilon is not None and self.noise_multiplier is not None:
            raise ConfigurationError("epsilon and noise_multiplier decide each other; give one of them")
        if self.delta is None:
            raise ConfigurationError("an epsilon means nothing without a delta; add --delta, such as 1e-5")
        require_delta(self.delta)
        if self.private_rows and self.noise_multiplier is not None and self.noise_multiplier < LEAST_NOISE:
            raise ConfigurationError(
                f"a noise multiplier of {self.noise_multiplier:g} protects nobody: epsilon is in the hundreds; "
                f"use at least {LEAST_NOISE:g}"
            )
        if self.mechanism == "dp-sgd" and self.positive_weight == "balanced":
            raise ConfigurationError(
                "balanced weighting looks at all rows of a bank, which DP-SGD does not cover; give positive_weight "
                "a number"
            )
        if self.mechanism == "distributed" and self.error_feedback:
            raise ConfigurationError(
                "error feedback would carry a bank's own noise over and cancel it; leave out error_feedback"
            )
        if self.mechanism == "distributed" and self.bits == FLOAT32:
            raise ConfigurationError(f"noise is added to integers; use {MIN_BITS} to {MAX_BITS} bits, not float32")

    @property
    def private(self) -> bool:
        """Whether the model is trained under differential privacy."""
        return self.epsilon is not None or self.noise_multiplier is not None

    @property
    def private_rows(self) -> bool:
        """Whether every bank protects its rows by DP-SGD."""
        return self.private and self.mechanism == "dp-sgd"

    def without_privacy(self) -> Self:
        """What somebody would train with who need not protect rows: DP-SGD's own defaults are the usual ones again."""
        usual = {
            name: type(self).model_fields[name].default
            for name, private in PRIVATE_TRAINING.items()
            if self.private_rows and name != "rounds" and getattr(self, name) == private
        }
        nothing = {"epsilon": None, "delta": None, "noise_multiplier": None, "lifetime_epsilon": None}
        return self.model_copy(update=nothing | usual)

    def _check_columns(self) -> None:
        named = [n for n in (*_COLUMNS, "key_check") if getattr(self, n)]
        if self.dataset in BUILT_IN:
            if named:
                raise ConfigurationError(f"{self.dataset} has columns of its own; leave out {', '.join(named)}")
            return
        if not self.label:
            raise ConfigurationError(
                f"the label column of {self.dataset!r} is not declared; add --label COLUMN, or use simulated or ulb"
            )
        single = [self.label, self.time, self.amount]
        columns = [n for n in (*single, *self.numeric, *self.categorical, *self.identifiers) if n is not None]
        twice = {name for name in columns if columns.count(name) > 1}
        if twice:
            raise ConfigurationError(f"column {min(twice)!r} is declared twice; give each column one meaning")

    def _check_synthetic(self) -> None:
        if self.synthetic == "none":
            return
        if self.dataset == "ulb":
            raise ConfigurationError(
                "V1 to V28 of ulb are principal components, which no fraud pattern can describe; use the simulated "
                "dataset, or --synthetic none"
            )
        if self.private_rows:
            raise ConfigurationError(
                "synthetic rows follow real customers, so that a real row would influence more than its own gradient, "
                "which DP-SGD does not cover; leave out --synthetic or --epsilon"
            )

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
