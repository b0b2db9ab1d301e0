"""Settings of local training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from secure_fl.settings.section import Repeatable, Section

PositiveWeight = Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["balanced"]


class Steps(Section):
    """How a bank takes its steps."""

    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    """Rows of a step."""
    learning_rate: Annotated[float, Field(ge=1e-30, le=1e30)] = 2e-3
    """Of Adam."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """The share of hidden units that a step leaves out."""
    positive_weight: PositiveWeight = 10.0
    """Factor on the loss of a fraud; balanced: as many times as a bank has more legitimate rows than frauds."""
    hidden: Annotated[str, Field(pattern=r"^(none|[1-9][0-9]{0,3}(-[1-9][0-9]{0,3}){0,7})$")] = "64-32"
    """Units of the fraud model's hidden layers, such as 16-8; none: a logistic regression."""
    activation: Literal["relu", "square"] = "relu"
    """Of hidden units: squares can be computed on ciphertexts."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where training takes place."""

    @property
    def hidden_units(self) -> tuple[int, ...]:
        """Of each hidden layer."""
        return () if self.hidden == "none" else tuple(map(int, self.hidden.split("-")))


class Training(Steps, Repeatable):
    """Training."""

    rounds: Annotated[int, Field(ge=1, le=10_000)] = 10
    """How often the banks train and their updates are summed."""
    local_epochs: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Passes over its rows that a bank makes in a round."""
