"""START HERE: federated training with a secure sum in every round.

    broadcast the model -> each bank trains locally -> update = new - old weights, one flat vector
      -> quantize (with the number of examples, which stays hidden in the sum) -> the scheme's client half -> bytes
      -> the scheme's server half -> the exact sum -> the mean update -> apply -> evaluate -> record

Round 0 (`round_zero.py`) uses the same secure sum for the statistics that the features need, so that the banks agree on
one standardization, and on the mean number of examples per bank, without showing each other either.

FedAvg: McMahan, Moore, Ramage, Hampson, Aguera y Arcas, "Communication-Efficient Learning of Deep Networks from
Decentralized Data", AISTATS 2017. Here every bank takes part in every round, unless it drops out.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import numpy as np

from secure_fl.codec.quantization import CLIP_RANGE, Contribution, FloatVector, MeanUpdate, make_codec, next_clip
from secure_fl.data import (
    Examples,
    FeatureSchema,
    encode,
)
from secure_fl.data.datasets import Dataset, open_dataset
from secure_fl.data.metrics import Scores, require_both_classes
from secure_fl.errors import ProtocolError, TrainingError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.bank import Bank
from secure_fl.federation.baselines import train_baselines
from secure_fl.federation.checkpoint import Checkpoint, Snapshot
from secure_fl.federation.exhibit import Overheard, make_exhibit, without_the_update
from secure_fl.federation.global_model import GlobalModel, LastSum
from secure_fl.federation.results import Exhibit, Model, Result, RoundRecord, Seconds
from secure_fl.federation.round_zero import agree_on_statistics, private_length
from secure_fl.privacy.distributed import clipped_to_norm
from secure_fl.privacy.federation import FederationPrivacy, Lifetime, distributed_noise_multiplier
from secure_fl.privacy.lifetime import LedgerStore
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Outcome, Party, Transcript, Values, reason
from secure_fl.settings.experiment import Experiment
from secure_fl.training import evaluate, initial_weights, usable_device

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def run_federation(
    experiment: Experiment,
    progress: Progress = lambda what, done, total: None,
    checkpoint: Checkpoint | None = None,
) -> Result:
    """Train one model across the banks of an experiment, and the baselines beside it.

    `checkpoint`: where the state is kept after every round, so that the run can go on after it was stopped.
    """
    usable_device(experiment.device)
    weights = initial_weights(experiment.seed)
    aggregation = _prepare(experiment, len(weights))  # refuses what cannot work before any data is touched

    progress("transactions", 0, 1)
    dataset = open_dataset(experiment)
    require_both_classes(np.concatenate([bank.test.fraud for bank in dataset.banks]))
    if checkpoint is not None and not checkpoint.resume:
        checkpoint.start(dataset.resolved(experiment))
    before = checkpoint.load() if checkpoint is not None and checkpoint.can_resume else None
    lifetime = Lifetime(LedgerStore.of_user(), secrets.token_hex(16) if checkpoint is None else checkpoint.run)
    folder, resume = (None, False) if checkpoint is None else (checkpoint.banks, checkpoint.resume)
    privacy = FederationPrivacy.open(experiment, aggregation.noise, dataset, folder, resume, lifetime)
    banks = tuple(
        Bank(data, number, experiment, privacy.rows.get(data.name), aggregation.noise)
        for number, data in enumerate(dataset.banks, start=1)
    )
    if before is not None:
        privacy.require_rounds(len(before.rounds))
        standardization, model, rounds = before.standardization, before.model, list(before.rounds)
        scores, exhibit = before.scores, before.exhibit
        aggregation.transcript.deliveries[:0] = before.deliveries
    else:
        standardization, mean_examples = agree_on_statistics(aggregation, banks)
        model, rounds = GlobalModel(weights, _clip(experiment, mean_examples), mean_examples), []
    schema = FeatureSchema.create(dataset.banks[0].train.schema, standardization, dataset.key)
    for bank in banks:
        bank.adopt(schema)
        bank.residual = None if before is None else before.residuals[bank.name]
    test = _pooled_test(dataset, schema)
    progress("transactions", 1, 1)

    broadcast = model.to_bytes()
    for number in range(len(rounds) + 1, experiment.rounds + 1):
        progress("rounds", number - 1, experiment.rounds)
        charge = partial(privacy.charge, number, model.digest)
        done = run_round(aggregation, banks, model, broadcast, number, charge)
        model = model.updated(done.mean, next_clip(done.mean.update, model.clip, done.clipped_fraction))
        broadcast = (
            done.last_sum.to_bytes(aggregation.plan, model) if experiment.downlink == "sum" else model.to_bytes()
        )
        scores = evaluate(model.weights, test)
        record, shown = _record(done, scores, aggregation.transcript, privacy.epsilon), done.exhibit
        if privacy.sums is not None:  # only the sum protects banks: what tells one of them, or the noise, is left out
            record, shown = replace(record, max_abs_error=None), without_the_update(shown)
        rounds.append(record)
        exhibit = shown if number == 1 else exhibit
        if checkpoint is not None:
            residuals = {bank.name: bank.residual for bank in banks}
            deliveries = tuple(aggregation.transcript.deliveries)
            checkpoint.save(Snapshot(standardization, model, tuple(rounds), scores, exhibit, deliveries, residuals))
    progress("rounds", experiment.rounds, experiment.rounds)

    if checkpoint is None:
        privacy.close()  # else the keys go with the checkpoint, once the results are on disk
    local, central = train_baselines(experiment, banks, test, lambda n: progress("baselines", n, len(banks) + 1))
    return Result(
        experiment=dataset.resolved(experiment).model_dump(mode="json", exclude_none=True),
        rounds=tuple(rounds),
        final=scores,
        local=local,
        central=central,
        custody=aggregation.scheme.custody,
        exhibit=exhibit,
        data=dataset.summary(),
        synthetic=dataset.synthetic.summary(dataset.banks) if dataset.synthetic is not None else None,
        parameters=len(weights),
        privacy=privacy.report(),
        model=Model(model.weights, schema.to_dict()),
        transcript=tuple(aggregation.transcript.deliveries),
    )


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
    max_abs_error: float
    clipped_fraction: float | None
    seconds: Seconds
    exhibit: Exhibit


def run_round(
    aggregation: SecureAggregation,
    banks: tuple[Bank, ...],
    model: GlobalModel,
    broadcast: bytes,
    number: int,
    charge: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> RoundOutcome:
    """One round of FedAvg with a secure sum; `broadcast` is how the model reaches the banks.

    `charge`: called before each attempt at a sum, whose noise, if it has any, is drawn anew.
    """
    codec = model.codec(aggregation.plan, aggregation.noise)
    cohort = aggregation.cohort(number, codec.length, context=model.digest)
    received = aggregation.broadcast(cohort, broadcast)

    started = clock()
    contributions, absent = _train(banks, cohort, received)
    train_seconds = clock() - started

    speaking = next((b.name for b in banks if b.name not in {*aggregation.dropping(number), *absent}), banks[0].name)
    values: dict[str, Values] = {}
    encode_seconds: dict[str, float] = {}
    overheard: list[Overheard] = []

    def clients(attempt: Cohort[Plan]) -> dict[str, Party]:
        charge()
        halves: dict[str, Party] = {}
        for bank in banks:
            if bank.name in contributions:
                started = clock()
                values[bank.name] = bank.encode(contributions[bank.name], attempt.plan, number)
                encode_seconds[bank.name] = clock() - started
                halves[bank.name] = aggregation.client(attempt, bank.name, values[bank.name])
        overheard.append(Overheard(halves[speaking], attempt, speaking, aggregation.scheme.input_stage))
        return halves | {speaking: overheard[-1]}

    done = aggregation.sum(cohort, clients, absent, clock)
    outcome = done.outcome

    started = clock()
    mean = codec.decode(outcome.sum.total, len(outcome.sum.contributors))
    decode_seconds = clock() - started
    contributors = tuple(name for name in cohort.banks if name in outcome.sum.contributors)
    for bank in banks:
        if bank.name in contributors:
            bank.settle(contributions[bank.name], values[bank.name], cohort.plan)
    summed = [contributions[name] for name in contributors]
    noisy = aggregation.noise is not None
    exact = mean_within_norm(summed, model.clip) if noisy else exact_mean(summed, model.mean_examples)
    shown = contributions[speaking].update if noisy else contributions[speaking].weighted(model.mean_examples)
    values_sent = len(contributors) * len(model.weights)
    return RoundOutcome(
        number=number,
        last_sum=LastSum(outcome.sum.total, len(contributors)),
        mean=mean,
        contributors=contributors,
        dropped=tuple(name for name in cohort.banks if name not in contributors),
        attempts=done.attempts,
        refused=done.refused,
        max_abs_error=float(np.abs(mean.update - exact).max()),
        clipped_fraction=None if mean.clipped is None else mean.clipped / values_sent,
        seconds=_seconds(train_seconds, encode_seconds, outcome, decode_seconds),
        exhibit=make_exhibit(aggregation.scheme, cohort.plan, codec, shown, overheard[-1]),
    )


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


def exact_mean(contributions: list[Contribution], mean_examples: float) -> FloatVector:
    """What the secure sum is compared with, in float64: the mean of the weighted updates."""
    mean: FloatVector = np.mean([c.weighted(mean_examples) for c in contributions], axis=0)
    return mean


def mean_within_norm(contributions: list[Contribution], norm: float) -> FloatVector:
    """The plain mean of updates clipped to a norm, in float64: what a noisy sum is compared with."""
    mean: FloatVector = np.mean([clipped_to_norm(c.update, norm) for c in contributions], axis=0)
    return mean


def _prepare(experiment: Experiment, parameters: int) -> SecureAggregation:
    if experiment.private and experiment.mechanism == "distributed":
        return SecureAggregation(experiment, parameters, distributed_noise_multiplier(experiment, parameters))
    bits = experiment.bits if isinstance(experiment.bits, int) else None
    longest = make_codec(parameters, bits, clip=1.0, mean_examples=1.0).length
    if experiment.private_rows:
        longest = max(longest, private_length(bits))
    return SecureAggregation(experiment, longest)


def _seconds(train: float, encode: dict[str, float], outcome: Outcome, decode: float) -> Seconds:
    banks = outcome.sum.contributors
    return Seconds(
        train=train,
        client=median(encode[name] + outcome.party_seconds[name] for name in banks),
        server=outcome.server_seconds,
        decode=decode + sum(spent for name, spent in outcome.party_seconds.items() if name not in encode),
    )


def _record(done: RoundOutcome, scores: Scores, transcript: Transcript, epsilon: float | None) -> RoundRecord:
    uploads, downloads = transcript.uploads(done.number), transcript.downloads(done.number)
    banks = sorted({*done.contributors, *done.dropped} & {*uploads, *downloads}, key=list(downloads).index)
    return RoundRecord(
        round=done.number,
        contributors=done.contributors,
        dropped=done.dropped,
        attempts=done.attempts,
        refused=done.refused,
        auprc=scores.auprc,
        roc_auc=scores.roc_auc,
        upload_bytes={name: uploads[name] for name in banks if name in uploads},
        download_bytes={name: downloads[name] for name in banks},
        max_abs_error=done.max_abs_error,
        quantization_step=done.mean.step,
        clipped_fraction=done.clipped_fraction,
        seconds=done.seconds,
        epsilon=epsilon,
    )


def _clip(experiment: Experiment, mean_examples: float) -> float:
    """The clip range of the first round, or the norm that all updates are clipped to under a distributed noise.

    The range is twice what Adam moves a weight by in a round, about the learning rate a step (Kingma, Ba, ICLR 2015,
    2.1). That suits a bank of mean size. A much larger one may be clipped at first; that is reported, and doubles it.
    """
    if experiment.private and experiment.mechanism == "distributed":
        return experiment.max_update_norm
    if experiment.initial_clip is not None:
        return experiment.initial_clip
    steps = np.ceil(mean_examples / experiment.batch_size) * experiment.local_epochs
    return min(float(2 * experiment.learning_rate * steps), CLIP_RANGE[1])


def _pooled_test(dataset: Dataset, schema: FeatureSchema) -> Examples:
    """All banks' later transactions, which only the sandbox pools, to measure every model on the same rows."""
    return Examples.pooled([encode(bank.test, schema) for bank in dataset.banks])
