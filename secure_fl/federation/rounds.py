"""One round of FedAvg: the banks train, their updates are encoded, summed by the scheme, and the mean is decoded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median

from secure_fl.codec.quantization import Codec, Contribution, MeanUpdate
from secure_fl.errors import ProtocolError, TrainingError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.bank import Bank
from secure_fl.federation.checked_sums import bounded
from secure_fl.federation.combining import Averaging, Combining
from secure_fl.federation.defence import Defence
from secure_fl.federation.exhibit import Overheard, make_exhibit
from secure_fl.federation.global_model import GlobalModel, LastSum
from secure_fl.federation.results import Exhibit, Seconds
from secure_fl.robust.poisoning import Attackers
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Outcome, Party, Values, reason


@dataclass(frozen=True)
class RoundOutcome:
    """A round before its model is evaluated."""

    number: int
    last_sum: LastSum
    mean: MeanUpdate
    contributors: tuple[str, ...]
    dropped: tuple[str, ...]
    attempts: int
    refused: Mapping[str, str]
    max_abs_error: float | None
    """Of the mean update; None where it is withheld."""
    clipped_fraction: float | None
    seconds: Seconds
    exhibit: Exhibit
    excluded: tuple[str, ...] = ()
    """Contributors that a robust rule left out."""
    byzantine: tuple[str, ...] = ()
    """Contributors that attacked."""


@dataclass(frozen=True)
class Robustness:
    """Who attacks, and the rule that stands in for the mean; None: nobody, and none."""

    attackers: Attackers | None = None
    defence: Defence | None = None
    norm_bound: float | None = None
    """The longest update that is taken (L2)."""

    def checked(self, cohort: Cohort[Plan], model: GlobalModel) -> Cohort[Plan]:
        """A cohort whose parties check updates against the norm bound."""
        return replace(cohort, plan=bounded(cohort.plan, self.norm_bound, model))

    def poison(
        self, contributions: Mapping[str, Contribution], round_: int, model: GlobalModel
    ) -> Mapping[str, Contribution]:
        """What banks send in a round, from what each would honestly send."""
        return contributions if self.attackers is None else self.attackers.poison(contributions, round_, model.clip)

    def combining(self, aggregation: SecureAggregation, codec: Codec, model: GlobalModel, round_: int) -> Combining:
        """How a round's updates become one."""
        if self.defence is None:
            return Averaging(aggregation, codec, model, self.norm_bound)
        return self.defence.combining(aggregation, codec, model, round_)

    def attacked(self, banks: tuple[str, ...]) -> tuple[str, ...]:
        """Which of the banks attack."""
        return () if self.attackers is None else tuple(name for name in banks if name in self.attackers.names)


def run_round(
    aggregation: SecureAggregation,
    banks: tuple[Bank, ...],
    model: GlobalModel,
    broadcast: bytes,
    number: int,
    charge: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
    robustness: Robustness = Robustness(),  # frozen
) -> RoundOutcome:
    """One round of FedAvg with a secure sum; `broadcast` is how the model reaches the banks.

    `charge`: called before each attempt at a sum, whose noise, if it has any, is drawn anew.
    """
    codec = model.codec(aggregation.plan, aggregation.noise)
    cohort = robustness.checked(aggregation.cohort(number, codec.length, context=model.digest), model)
    received = aggregation.broadcast(cohort, broadcast)

    started = clock()
    honest, absent = _train(banks, cohort, received)
    train_seconds = clock() - started

    contributions = robustness.poison(honest, number, model)
    combining = robustness.combining(aggregation, codec, model, number)
    speaking = next((b.name for b in banks if b.name not in {*aggregation.dropping(number), *absent}), banks[0].name)
    upload = _Upload(aggregation, banks, contributions, speaking)
    done = combining.sum(cohort, lambda attempt: upload.clients(attempt, charge, clock), absent, clock)
    started = clock()
    combined = combining.combine(done.outcome.sum, cohort)
    contributors = combined.contributors
    decode_seconds = clock() - started
    upload.settle(cohort.plan, contributors)
    return RoundOutcome(
        number=number,
        last_sum=LastSum(done.outcome.sum.total, len(done.outcome.sum.contributors)),
        mean=combined.mean,
        contributors=contributors,
        dropped=tuple(name for name in cohort.banks if name not in contributors),
        attempts=done.attempts,
        refused=done.refused,
        max_abs_error=combined.max_abs_error(contributions),
        clipped_fraction=combined.clipped_fraction,
        seconds=_seconds(train_seconds, upload.encode_seconds, done.outcome, decode_seconds),
        exhibit=upload.exhibit(cohort.plan, codec, model),
        excluded=combined.excluded,
        byzantine=robustness.attacked(contributors),
    )


@dataclass
class _Upload:
    """What banks send in a round, made anew for each attempt at its sum."""

    aggregation: SecureAggregation
    banks: tuple[Bank, ...]
    contributions: Mapping[str, Contribution]
    speaking: str
    """Whose message is exhibited."""
    values: dict[str, Values] = field(default_factory=dict)
    encode_seconds: dict[str, float] = field(default_factory=dict)
    overheard: Overheard | None = None
    """Its message of the last attempt."""

    @property
    def noisy(self) -> bool:
        """Whether banks add shares of noise."""
        return self.aggregation.noise is not None

    def exhibit(self, plan: Plan, codec: Codec, model: GlobalModel) -> Exhibit:
        """One message, beside the update in it as it was encoded."""
        assert self.overheard is not None, "the bank is asked in every attempt at a sum that it belongs to"
        speaking = self.contributions[self.speaking]
        update = speaking.update if self.noisy else speaking.weighted(model.mean_examples)
        return make_exhibit(self.aggregation.scheme, plan, codec, update, self.overheard)

    def clients(
        self, attempt: Cohort[Plan], charge: Callable[[], None], clock: Callable[[], float]
    ) -> dict[str, Party]:
        """The client halves of the banks that have something to add."""
        charge()
        halves: dict[str, Party] = {}
        for bank in self.banks:
            if bank.name in self.contributions and bank.name in attempt.banks:
                bank.join(attempt)
                started = clock()
                self.values[bank.name] = bank.encode(self.contributions[bank.name], attempt.plan, attempt.round)
                self.encode_seconds[bank.name] = clock() - started
                halves[bank.name] = self.aggregation.client(attempt, bank.name, self.values[bank.name])
        if self.speaking in halves:
            stage = self.aggregation.scheme.input_stage
            self.overheard = halves[self.speaking] = Overheard(halves[self.speaking], attempt, self.speaking, stage)
        return halves

    def settle(self, plan: Plan, contributors: tuple[str, ...]) -> None:
        """Banks whose values are in the sum carry over what rounding lost."""
        for bank in self.banks:
            if bank.name in contributors:
                bank.settle(self.contributions[bank.name], self.values[bank.name], plan)


def _train(
    banks: tuple[Bank, ...], cohort: Cohort[Plan], received: Mapping[str, memoryview]
) -> tuple[dict[str, Contribution], dict[str, str]]:
    """What the banks contribute; and those that cannot take part in the round, each with the reason.

    Raises the first bank's own error where fewer than the threshold can.
    """
    contributions: dict[str, Contribution] = {}
    errors: dict[str, ProtocolError | TrainingError] = {}
    for bank in banks:
        try:
            bank.receive(cohort, received[bank.name])
            contributions[bank.name] = bank.train(cohort.round)
        except (ProtocolError, TrainingError) as error:
            errors[bank.name] = error
    if len(contributions) < cohort.plan.threshold:
        raise next(iter(errors.values()))
    return contributions, {bank: reason(error) for bank, error in errors.items()}


def _seconds(train: float, encode: dict[str, float], outcome: Outcome, decode: float) -> Seconds:
    banks = outcome.sum.contributors
    return Seconds(
        train=train,
        client=median(encode[name] + outcome.party_seconds[name] for name in banks),
        server=outcome.server_seconds,
        decode=decode + sum(spent for name, spent in outcome.party_seconds.items() if name not in encode),
    )
